from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.images import ImageFacts, PairFacts
from fusetrain.checks.page import findings as html_findings
from fusetrain.checks.page.flagged import chosen, flagged_pairs
from fusetrain.checks.page.html import require_html_path, write_html
from fusetrain.checks.registration.shifts import RegistrationFacts
from fusetrain.data.index import LabelColumns, scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError, ResourceError, UsageError

from ...html_page import Page

MakePairs = Callable[..., Path]
RGB, IR, LABEL = (
    "images/train/train_001.jpg",
    "imagesIR/train/train_001.png",
    "labels/train/train_001.txt",
)


def report_of(data: Path, *findings: Finding, **settings: object) -> AuditReport:
    spec = load_spec(data)
    scans = {name: scan_split(spec, name) for name in spec.splits}
    pairs = {name: len(scan.index) for name, scan in scans.items()}
    return AuditReport(tuple(findings), pairs, scans, path=data, **settings)  # type: ignore[arg-type]


def written(report: AuditReport, folder: Path) -> Page:
    write_html(report, folder / "report.html", workers=1)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def facts_of(data: Path) -> list[PairFacts]:
    image = ImageFacts((48, 64), 8, 0, picture=b"digest", chroma=9.0, num_colours=90, spread=200.0)
    return [
        PairFacts("train", row, "r", "i", replace(image, median=90.0 + row), image)
        for row in range(4)
    ]


def test_page_shows_verdict_counts_charts_and_each_flagged_pair(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    data = make_pairs()
    report = report_of(
        data,
        finding("L08", "same box as in line 1", split="train", path=LABEL, line=2),
        finding("D01", "same bytes", split="val", path="images/val/val_000.jpg"),
        finding("S03", "no box has class 1 (car)"),
        facts=facts_of(data),
        registration=[RegistrationFacts("train", 0, RGB, IR, dx_px=2.0, dy_px=1.0, is_sure=True)],
        layout="a data YAML",
    )
    page = written(report, tmp_path)
    assert "warn : 4 pairs in train, 2 pairs in val; 0 errors, 3 warnings, 0 remarks" in page.text
    assert "recognised as a data YAML" in page.text
    anchors = {entry["id"] for _, entry in page.seen if "id" in entry}
    links = {entry["href"].removeprefix("#") for entry in page.all("a")}
    assert {"l08", "d01", "s03"} <= links <= anchors
    assert "L08 line 2: same box as in line 1" in page.text
    assert "docs/check-data.md#l08" in page.text
    assert len(page.pictures()) == 4
    assert all(picture.startswith(b"\xff\xd8") for picture in page.pictures())
    assert "Thumbnails of all 2 flagged pairs." in page.text
    for title in (
        "Boxes by class",
        "Box sizes",
        "Box centres",
        "Boxes a pair",
        "Image sizes",
        "Brightness",
        "Shift between the images of a pair",
    ):
        assert title in page.text
    assert len(page.all("svg")) == 7


def test_page_needs_nothing_else_and_says_so_to_the_browser(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    page = written(report_of(make_pairs()), tmp_path)
    tags = {tag for tag, _ in page.seen}
    assert not tags & {"script", "link", "iframe", "object", "base", "form"}
    for _, attributes in page.seen:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "action", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:image/jpeg"))
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")
    style = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    assert "Nothing was found." in page.text


def test_hostile_names_stay_text(make_pairs: MakePairs, tmp_path: Path) -> None:
    data = make_pairs()
    nasty = "<script>alert(1)<\\script>\"' onload=x\x1b"
    folder = data.parent / "images/train"
    (folder / "train_001.jpg").rename(folder / f"{nasty}.jpg")
    ir = data.parent / "imagesIR/train"
    (ir / "train_001.png").rename(ir / f"{nasty}.png")
    os.rename(folder / "train_002.jpg", os.fsencode(folder) + b"/caf\xe9.jpg")
    data.write_text(
        data.read_text().replace("[person, car]", "['<img src=x onerror=alert(1)>', '\"><b>']")
    )
    report = report_of(
        data,
        finding("P11", nasty, split="train", path=f"imagesIR/train/{nasty}.png"),
        finding("P01", "</table>", split="train", path="images/train/caf\udce9.jpg"),
        finding("S03", "${body} $title %s {0}"),
        layout="</style><script>",
    )
    page = written(report, tmp_path)
    assert not {tag for tag, _ in page.seen} & {"script", "iframe"}
    assert len(page.all("img")) == len(page.pictures()) == 3
    assert not any(name.startswith("on") for _, entry in page.seen for name in entry)
    assert "<script>alert(1)<\\script>\"' onload=x\\x1b" in page.text
    assert "caf\\udce9.jpg" in page.text
    assert "${body} $title %s {0}" in page.text
    assert "\x1b" not in page.text


def test_unreadable_and_missing_images_have_a_placeholder_with_the_reason(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    data = make_pairs()
    (data.parent / IR).write_bytes(b"no image")
    (data.parent / "images/val/val_000.jpg").unlink()
    report = report_of(
        data,
        finding("P02", "no visible image", split="val", path="imagesIR/val/val_000.png"),
        finding("I01", "not an image", split="train", path=IR),
    )
    page = written(report, tmp_path)
    assert len(page.pictures()) == 2
    assert "no such file visible" in page.text
    assert "not an image of a known format infrared" in page.text


def test_misregistered_pair_is_overlaid_before_and_after(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    registration = [
        RegistrationFacts("train", row, "", "", dx_px=14.0, dy_px=-3.0, is_sure=True)
        for row in range(4)
    ]
    entry = finding("P09", "shifted", split="train", path=IR)
    report = report_of(make_pairs(), entry, registration=registration)
    page = written(report, tmp_path)
    assert len(page.pictures()) == 4
    assert "the same, infrared moved by (+14.0, -3.0) px" in page.text


def test_shifted_sequence_is_shown_by_pairs_that_lie_as_it_does(make_pairs: MakePairs) -> None:
    shifts = {0: (14.0, -3.0), 1: (0.0, 0.0), 2: (14.5, -3.0), 3: (40.0, 9.0)}
    registration = [
        RegistrationFacts("train", row, "", "", dx_px=dx, dy_px=dy, is_sure=row != 3)
        for row, (dx, dy) in shifts.items()
    ]
    entry = finding("P09", "shifted", split="train", numbers={"dx_px": 14.0, "dy_px": -3.0})
    report = report_of(make_pairs(), entry, registration=registration)
    assert [pair.row for pair in flagged_pairs(report)] == [0, 2, 1]
    assert [pair.findings for pair in flagged_pairs(report)] == [[entry]] * 3


def test_boxes_of_each_modality_are_drawn_on_their_own_image(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    report = report_of(make_pairs(), finding("L09", "lost", split="train", path=LABEL))
    plain = written(report, tmp_path).pictures()
    scan = report.scans["train"]
    none = LabelColumns(np.zeros(4, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    own = LabelColumns(scan.index.box_ends, scan.index.boxes, scan.index.box_classes)
    scans = {**report.scans, "train": replace(scan, rgb_labels=own, ir_labels=none)}
    bare = written(replace(report, scans=scans), tmp_path).pictures()
    assert bare[0] == plain[0]
    assert bare[1] != plain[1]


def test_many_findings_are_cut_with_numbers_and_no_code_is_crowded_out(
    make_pairs: MakePairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusetrain.checks.page.html.MAX_PAIRS", 3)
    monkeypatch.setattr(html_findings, "MAX_ROWS", 2)
    findings = [
        finding("P11", "blank", split="train", path=f"imagesIR/train/train_{row:03d}.png")
        for row in range(8)
    ]
    findings += [finding("L09", "lost", split="val", path="labels/val/val_001.txt")]
    page = written(report_of(make_pairs(train=8), *findings), tmp_path)
    assert "Thumbnails of 3 of 9 flagged pairs, dealt evenly to the codes" in page.text
    assert "2 of 6 rows; --json lists all." in page.text
    assert len(page.pictures()) == 6
    assert "val: images/val/val_001.jpg" in page.text


def test_a_pair_is_shown_once_with_all_its_findings(make_pairs: MakePairs) -> None:
    report = report_of(
        make_pairs(),
        finding("I04", "suffix", split="train", path=RGB),
        finding("P11", "blank", split="train", path=IR),
        finding("L08", "twice", split="train", path=LABEL, line=2),
        finding("L08", "twice", split="val", path=LABEL, line=2),
        finding("S01", "class absent", split="train"),
    )
    (pair,) = flagged_pairs(report)
    assert [entry.code for entry in pair.findings] == ["I04", "P11", "L08"]
    assert (pair.split, pair.rgb_path, pair.ir_path) == ("train", RGB, IR)


def test_one_label_file_of_many_pairs_names_none_of_them(make_pairs: MakePairs) -> None:
    report = report_of(make_pairs(), finding("L08", "twice", split="train", path="all.json"))
    scan = report.scans["train"]
    shared = type(scan.label_paths).pack(["all.json"] * len(scan.index))
    scans = {**report.scans, "train": replace(scan, label_paths=shared)}
    assert flagged_pairs(replace(report, scans=scans)) == []


@pytest.mark.parametrize(("most", "picked"), [(2, [0, 6]), (3, [0, 1, 6]), (9, list(range(7)))])
def test_thumbnails_are_dealt_to_the_codes_in_turn(
    make_pairs: MakePairs, most: int, picked: Sequence[int]
) -> None:
    findings = [
        finding("P11", "blank", split="train", path=f"imagesIR/train/train_{row:03d}.png")
        for row in range(6)
    ]
    findings.append(finding("L09", "lost", split="val", path="labels/val/val_001.txt"))
    pairs = flagged_pairs(report_of(make_pairs(train=6), *findings))
    assert chosen(pairs, most) == [pairs[number] for number in picked]


def test_equal_audits_give_equal_files(make_pairs: MakePairs, tmp_path: Path) -> None:
    report = report_of(make_pairs(), finding("P11", "blank", split="train", path=IR))
    write_html(report, tmp_path / "one.html", workers=1)
    write_html(report, tmp_path / "two.html", workers=2)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_nothing_is_written_into_the_data_set(make_pairs: MakePairs, tmp_path: Path) -> None:
    data = make_pairs()
    before = sorted(data.parent.rglob("*"))
    link = tmp_path / "link"
    link.symlink_to(data.parent / "images")
    for place in (data.parent / "report.html", data.parent / "new/report.html", link / "r.html"):
        with pytest.raises(DataError, match="inside the data set"):
            write_html(report_of(data), place)
    assert sorted(data.parent.rglob("*")) == before


def test_only_html_files_are_written(make_pairs: MakePairs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train\.yaml"):
        write_html(report_of(make_pairs()), tmp_path / "train.yaml")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match=r"folder\.html"):
        require_html_path(tmp_path / "folder.html", roots=[])
    require_html_path(tmp_path / "r.HTM", roots=[])


def test_a_report_of_a_yaml_that_cannot_be_used_is_written_too(tmp_path: Path) -> None:
    entry = finding("S04", "unknown key 'nmaes'", path="data.yaml", line=2)
    report = AuditReport((entry,), {}, notes=("spare is <left>",), path=tmp_path / "set/data.yaml")
    page = written(report, tmp_path)
    assert "data.yaml:2" in page.text
    assert "pairs none" in page.text
    assert "note spare is <left>" in page.text


def test_file_appears_whole_or_not_at_all(
    make_pairs: MakePairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = report_of(make_pairs())
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ResourceError, match="cannot be written"):
        require_html_path(tmp_path / "taken" / "report.html", roots=[])
    out = tmp_path / "out"
    write_html(report, out / "report.html")
    whole = (out / "report.html").read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fusetrain.checks.page.html.os.replace", full_disk)
    with pytest.raises(ResourceError, match="No space left"):
        write_html(report, out / "report.html")
    assert [path.name for path in out.iterdir()] == ["report.html"]
    assert (out / "report.html").read_bytes() == whole


def test_pictures_say_what_they_show(make_pairs: MakePairs, tmp_path: Path) -> None:
    page = written(report_of(make_pairs(), finding("P11", "b", split="train", path=IR)), tmp_path)
    assert [entry["alt"] for entry in page.all("img")] == [f"visible, {RGB}", f"infrared, {IR}"]
    assert all(entry.get("aria-label") for entry in page.all("svg"))
    for picture in page.all("img"):
        assert int(picture["width"]) <= 320
        assert int(picture["height"]) <= 320
    for number, source in enumerate(page.pictures()):
        with Image.open(io.BytesIO(source)) as image:
            assert image.width == int(page.all("img")[number]["width"])


def test_style_sheet_has_no_placeholder_of_the_template(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    write_html(report_of(make_pairs()), tmp_path / "r.html")
    assert not re.search(r"\$\{?[a-z]", (tmp_path / "r.html").read_text(encoding="utf-8"))
