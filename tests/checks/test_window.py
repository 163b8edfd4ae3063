"""P16: a thermal window that does not fit the counts is told before a training is blind by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.checks.audit import AuditOptions, AuditReport, audit_path
from fusetrain.checks.findings import Finding

MakePairs = Callable[..., Path]


def deepen(root: Path, *, low: int, span: int, rim: int = 0) -> None:
    """Turn all infrared images into 16-bit counts, with a black rim on the left."""
    for path in sorted(root.glob("imagesIR/*/*")):
        levels = np.asarray(Image.open(path).convert("L"), np.float64)
        counts = np.rint(low + span * levels / 255).astype(np.uint16)
        counts[:, :rim] = 0
        path.unlink()
        Image.fromarray(counts).save(path.with_suffix(".png"))


def audited(path: Path, thermal: str) -> AuditReport:
    path.write_text(f"{path.read_text()}thermal: {thermal}\n")
    return audit_path(path, workers=1)


def windows(report: AuditReport) -> list[Finding]:
    return [entry for entry in report.findings if entry.code == "P16"]


@pytest.mark.parametrize(
    ("thermal", "level"),
    [
        ("auto", None),
        ("percentile", None),
        ("{range: [7000, 8000]}", None),
        ("raw", "warn"),
        ("{range: [0, 100]}", "error"),
        ("{range: [20000, 30000]}", "error"),
    ],
)
def test_window_is_held_against_the_counts(
    make_pairs: MakePairs, thermal: str, level: str | None
) -> None:
    path = make_pairs(train=6, val=3)
    deepen(path.parent, low=7000, span=1000)
    found = windows(audited(path, thermal))
    assert [entry.level for entry in found] == ([level] * 2 if level else [])
    for entry, split in zip(found, ("train", "val"), strict=bool(level)):
        assert entry.split == split
        assert "256 levels" in entry.message
        assert 7000 <= entry.numbers["counts_low"] < entry.numbers["counts_high"] <= 8000


def test_rim_without_counts_does_not_blind_the_policy_auto(make_pairs: MakePairs) -> None:
    path = make_pairs(train=6, val=3)
    deepen(path.parent, low=30000, span=400, rim=12)
    assert windows(audited(path, "auto")) == []


def test_range_beside_the_levels_of_8_bits_is_told(make_pairs: MakePairs) -> None:
    report = audited(make_pairs(), "{range: [7000, 9000]}")
    assert {entry.level for entry in windows(report)} == {"error"}
    assert report.refusals()
    assert not report.refusals(["P16", *report.counts.keys() & {"P11"}])


@pytest.mark.parametrize(("thermal", "count"), [("raw", 2), ("auto", 0)])
def test_image_that_cannot_be_read_is_left_to_its_own_code(
    make_pairs: MakePairs, thermal: str, count: int
) -> None:
    path = make_pairs(train=6, val=3)
    deepen(path.parent, low=7000, span=1000)
    broken = sorted(path.parent.glob("imagesIR/train/*"))[0]
    broken.write_bytes(broken.read_bytes()[:200])
    report = audited(path, thermal)
    assert len(windows(report)) == count
    assert "I02" in report.counts


def test_headers_alone_say_nothing_of_windows(make_pairs: MakePairs) -> None:
    path = make_pairs()
    path.write_text(f"{path.read_text()}thermal: {{range: [7000, 9000]}}\n")
    options = AuditOptions(headers_only=True, registration="off")
    assert windows(audit_path(path, workers=1, options=options)) == []
