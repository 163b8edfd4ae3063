from __future__ import annotations

from pathlib import Path

import pytest

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.findings import CODES, Finding, finding
from fusetrain.checks.registration.shifts import RegistrationFacts
from fusetrain.checks.report import (
    documentation,
    grouped,
    pictures_line,
    place,
    registration_summary,
    to_json,
    training_lines,
    untold_numbers,
    verdict_line,
)


def report_of(*findings: Finding, path: Path = Path("set/data.yaml")) -> AuditReport:
    return AuditReport(tuple(findings), {"train": 9, "val": 1}, path=path)


def test_findings_are_grouped_by_level_and_code_in_their_order() -> None:
    report = report_of(
        finding("P01", "a", split="train", path="1.jpg"),
        finding("P01", "b", split="train", path="2.jpg"),
        finding("L04", "c", split="train", path="1.txt", line=3),
        finding("L04", "d", split="train", path="1.txt", line=1, level="info"),
    )
    assert [(g.level, g.code, len(g.findings)) for g in grouped(report)] == [
        ("error", "P01", 2),
        ("error", "L04", 1),
        ("info", "L04", 1),
    ]
    assert grouped(report)[0].meaning == CODES["P01"].meaning
    assert grouped(report)[0].remedy == CODES["P01"].remedy


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        (finding("L04", "", split="val", path="l/1.txt", line=3), "l/1.txt:3"),
        (finding("P01", "", split="val", path="i/1.jpg"), "i/1.jpg"),
        (finding("P15", "", split="val"), "val"),
        (finding("S03", ""), "all splits"),
    ],
)
def test_place_is_file_and_line_or_split(entry: Finding, shown: str) -> None:
    assert place(entry) == shown


@pytest.mark.parametrize(
    ("message", "numbers", "shown"),
    [
        ("mean difference 0.80 of 255", {"difference": 0.803}, ""),
        ("moved by (-3.1, +4) px", {"dx": -3.14, "dy": 4.2}, ""),
        ("30 % of the images are grey", {"grey_visible": 0.3}, ""),
        ("two sizes", {"aspect_ratio": 1.25493}, "aspect ratio 1.255"),
        ("12 boxes of 7", {"share": 0.5, "boxes": 12}, "share 0.5"),
        ("no number", {}, ""),
    ],
)
def test_numbers_are_shown_where_the_message_does_not_tell_them(
    message: str, numbers: dict[str, float], shown: str
) -> None:
    assert (
        untold_numbers(finding("P09" if "P09" in CODES else "P04", message, numbers=numbers))
        == shown
    )


def test_json_finding_has_the_agreed_keys_and_says_where_its_code_is_explained() -> None:
    entry = finding("L04", "cx is 2", split="train", path="l/1.txt", line=3, numbers={"cx": 2.0})
    document = to_json(report_of(entry))
    assert document["findings"] == [
        {
            "code": "L04",
            "level": "error",
            "split": "train",
            "path": "l/1.txt",
            "line": 3,
            "message": "cx is 2",
            "numbers": {"cx": 2.0},
            "remedy": CODES["L04"].remedy,
            "docs": "docs/check-data.md#l04",
        }
    ]
    assert document["verdict"] == "error"
    assert document["counts"] == {"L04": 1}
    assert document["pairs"] == {"train": 9, "val": 1}
    assert documentation("P09") == "docs/check-data.md#p09"


def test_registration_is_summed_up_by_split_over_sure_pairs() -> None:
    def fact(split: str, dx: float | None, *, is_sure: bool = True) -> RegistrationFacts:
        return RegistrationFacts(split, 0, "r", "i", dx_px=dx, dy_px=dx and 2.0, is_sure=is_sure)

    facts = [fact("train", 3.0), fact("train", 4.0), fact("train", 8.0)]
    facts += [fact("train", 99.0, is_sure=False), fact("val", None, is_sure=False)]
    assert registration_summary(facts) == {
        "train": {"pairs": 4, "sure": 3, "dx_px": 4.0, "dy_px": 2.0, "mad_px": 1.0},
        "val": {"pairs": 1, "sure": 0, "dx_px": None, "dy_px": None, "mad_px": None},
    }
    assert registration_summary([]) == {}


def test_verdict_counts_levels_and_minds_the_singular() -> None:
    report = report_of(finding("P01", "a"), finding("L09", "b"), finding("L09", "c"))
    assert verdict_line(report) == (
        "error: 9 pairs in train, 1 pair in val; 1 error, 2 warnings, 0 remarks"
    )
    assert verdict_line(AuditReport((), {})) == "ok: no pairs; 0 errors, 0 warnings, 0 remarks"


def test_training_is_named_as_next_only_where_it_would_start() -> None:
    warned = report_of(finding("L09", "b"), finding("D04", "c"), path=Path("my set/data.yaml"))
    assert training_lines(warned) == [
        "next: fusetrain train --config FILE --data 'my set/data.yaml'"
    ]
    one_split = AuditReport((finding("L09", "b"),), {"test": 4}, path=Path("set"))
    assert training_lines(one_split) == []
    assert pictures_line(one_split) == (
        "next: `fusetrain check-data set --html FILE` shows the pairs"
    )
    refused = training_lines(report_of(finding("P01", "a"), finding("I01", "b")))
    assert refused == [
        "train refuses this set because of P01, I01; `--allow CODE` accepts one kind, never I01",
        "next: mend these, then `fusetrain check-data set/data.yaml`",
    ]
    broken = training_lines(report_of(finding("S04", "unknown key", path="data.yaml")))
    assert broken == ["next: mend set/data.yaml, then `fusetrain check-data set/data.yaml`"]
