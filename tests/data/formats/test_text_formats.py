"""KAIST, VEDAI and oriented boxes: lines as the public sets have them, and broken ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusetrain.data.annotations import UNIT_HW, to_labels
from fusetrain.data.formats.kaist_txt import parse_kaist, read_kaist
from fusetrain.data.formats.obb_txt import is_dota, parse_obb, read_obb
from fusetrain.data.formats.text_lines import MAX_LINES
from fusetrain.data.formats.vedai_txt import NAMES, parse_vedai, read_vedai

KAIST = "% bbGt version=3\nperson 282 209 52 111 0 0 0 0 0 0 0\npeople 10.5 20 8 9 2 0 0 0 0 0 0\n"
VEDAI = "690.427287 87.676477 1.243970 1 1 0 676 695 703 688 75 71 102 103\n"
YOLO_OBB = "0 0.239141 0.310635 0.275220 0.308488 0.279829 0.429493 0.243750 0.431640\n"
DOTA = (
    "imagesource:GoogleEarth\ngsd:0.146\n"
    "2753 2408 2861 2385 2888 2468 2805 2502 plane 0\n100 90 140 90 140 130 100 130 ship 1\n"
)


def test_kaist_boxes_are_left_top_width_height() -> None:
    found = parse_kaist(KAIST)
    assert found.boxes_xyxy_px.tolist() == [[282, 209, 334, 320], [10.5, 20, 18.5, 29]]
    assert found.names == ("person", "people")
    assert found.lines.tolist() == [2, 3]
    assert (found.size_hw, found.problems, found.num_ignored) == (None, (), 0)


def test_kaist_counts_flagged_and_unsure_boxes_as_ignored() -> None:
    text = (
        "person 1 1 5 5 0 0 0 0 0 1 0\nperson? 1 1 5 5 0 0 0 0 0 0 0\n"
        "cyclist 1 1 5 5 0 0 0 0 0 0 0\n"
    )
    found = parse_kaist(text)
    assert (found.names, found.ignored_names) == (("cyclist",), ("person", ""))
    assert found.ignored_boxes_xyxy_px.tolist() == [[1, 1, 6, 6]] * 2
    assert parse_kaist(text, ignored=()).names == ("person?", "cyclist")


@pytest.mark.parametrize("width", [5, 10, 11, 12])
def test_kaist_versions_differ_in_columns(width: int) -> None:
    line = " ".join(["person", "1", "2", "5", "6", *"0000000"][:width])
    assert parse_kaist(line).boxes_xyxy_px.tolist() == [[1, 2, 6, 8]]


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        ("person 1 2 5", "L01", 1),
        ("person 1 2 x 6 0 0 0 0 0 0 0", "L01", 12),
        ("person 1 2 1_0 6", "L01", 12),
        ("person nan 2 5 6", "L03", 8),
        ("person 1 2 5 6 0 0 0 0 0 inf 0", "L03", 26),
        ("person 1 2 0 6", "L05", 12),
        ("person 1 2 5 -6", "L05", 14),
        ("no label at all, but prose of six", "L01", 1),
    ],
)
def test_bad_kaist_line_is_reported_with_its_place(line: str, code: str, column: int) -> None:
    found = parse_kaist(f"{KAIST}{line}\n", name="I00001.txt")
    (problem,) = found.problems
    assert (problem.code, problem.line, problem.column) == (code, 4, column)
    assert problem.path == "I00001.txt"
    assert found.lines.tolist() == [2, 3]


def test_kaist_samples(samples: Path) -> None:
    files = sorted((samples / "kaist/annotations").glob("*.txt"))
    found = [read_kaist(path) for path in files]
    assert [len(one) for one in found] == [8, 2, 19, 3, 5, 2, 3, 10, 7]
    assert {name for one in found for name in one.names} == {"person", "people"}
    assert all(not one.problems and not one.num_ignored for one in found)
    labels = to_labels(found[0], size_hw=(512, 640), class_names=("person", "people"))
    assert labels.boxes_cxcywh_unit[0] == pytest.approx(
        [308 / 640, 264.5 / 512, 52 / 640, 111 / 512]
    )
    assert all(not to_labels(o, size_hw=(512, 640), class_names=o.names).problems for o in found)


def test_vedai_corners_are_enclosed_and_named() -> None:
    found = parse_vedai(VEDAI)
    assert found.boxes_xyxy_px.tolist() == [[676, 71, 703, 103]]
    assert (found.names, found.size_hw, found.problems) == (("car",), (1024, 1024), ())


def test_vedai_labels_fit_the_smaller_images() -> None:
    both = [
        to_labels(parse_vedai(VEDAI), size_hw=size_hw, class_names=tuple(NAMES.values()))
        for size_hw in ((1024, 1024), (512, 512))
    ]
    assert both[0].boxes_cxcywh_unit.tolist() == both[1].boxes_cxcywh_unit.tolist()
    shares = [689.5 / 1024, 87 / 1024, 27 / 1024, 32 / 1024]
    assert both[0].boxes_cxcywh_unit.tolist() == [pytest.approx(shares)]


@pytest.mark.parametrize(
    ("old", "new", "code", "column"),
    [
        (" 103", "", "L01", 1),
        (" 103", " 103 7", "L01", 1),
        (" 1 1 0 ", " 6 1 0 ", "L02", 31),
        (" 1 1 0 ", " 1.5 1 0 ", "L02", 31),
        (" 1 1 0 ", " x 1 0 ", "L01", 31),
        (" 676 ", " NaN ", "L03", 37),
    ],
)
def test_bad_vedai_line_is_reported(old: str, new: str, code: str, column: int) -> None:
    found = parse_vedai(VEDAI.replace(old, new))
    (problem,) = found.problems
    assert (problem.code, problem.line, problem.column) == (code, 1, column)
    assert len(found) == 0


def test_vedai_samples(samples: Path) -> None:
    files = sorted((samples / "vedai/Annotations1024").glob("*.txt"))
    found = [read_vedai(path) for path in files]
    assert [len(one) for one in found] == [1, 11, 2]
    assert all(not one.problems for one in found)
    assert found[1].names[3:9] == ("truck", "car", "van", "pickup", "pickup", "car")
    assert found[1].names[-1] == "boat"
    assert found[2].boxes_xyxy_px.tolist() == [[449, 344, 497, 363], [501, 345, 574, 380]]


def test_yolo_obb_is_enclosed_in_shares_of_the_image() -> None:
    found = parse_obb(YOLO_OBB)
    assert found.boxes_xyxy_px.tolist() == [[0.239141, 0.308488, 0.279829, 0.431640]]
    assert (found.names, found.size_hw) == (("0",), UNIT_HW)
    assert parse_obb(YOLO_OBB, class_names=("car",)).names == ("car",)


def test_dota_is_enclosed_in_pixels() -> None:
    found = parse_obb(DOTA)
    assert found.boxes_xyxy_px.tolist() == [[2753, 2385, 2888, 2502], [100, 90, 140, 130]]
    assert (found.names, found.lines.tolist()) == (("plane", "ship"), [3, 4])
    assert (found.size_hw, found.problems) == (None, ())


def test_dota_is_told_from_yolo_obb() -> None:
    assert is_dota(DOTA)
    assert is_dota("1 2 3 2 3 4 1 4 small-vehicle\n")
    assert not is_dota(YOLO_OBB)
    assert not is_dota("")
    assert parse_obb("").problems == ()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("0 .1 .1 .2 .1 .2 .2 .1", "L01"),
        ("0.5 .1 .1 .2 .1 .2 .2 .1 .2", "L01"),
        ("2 .1 .1 .2 .1 .2 .2 .1 .2", "L02"),
        ("-1 .1 .1 .2 .1 .2 .2 .1 .2", "L02"),
        ("0 .1 .1 .2 .1 .2 .2 .1 inf", "L03"),
        ("0 .1 .1 .2 .1 .2 .2 .1 y", "L01"),
    ],
)
def test_bad_yolo_obb_line_is_reported(line: str, code: str) -> None:
    found = parse_obb(f"{YOLO_OBB}{line}\n", class_names=("car", "bus"))
    assert [(problem.code, problem.line) for problem in found.problems] == [(code, 2)]
    assert len(found) == 1


def test_bad_dota_line_is_reported() -> None:
    found = parse_obb(f"{DOTA}1 2 3 4 5 6 7 8\n1 2 3 x 5 6 7 8 ship 0\n1 2 3 4 5 6 7 8 ship hard\n")
    assert [(p.code, p.line) for p in found.problems] == [("L01", 5), ("L01", 6), ("L01", 7)]


def test_dronevehicle_samples_enclose_to_the_upright_labels(samples: Path) -> None:
    for modality in ("rgb", "ir"):
        folder = samples / "dronevehicle" / modality
        for path in sorted((folder / "obb_labels").glob("*.txt")):
            found = to_labels(read_obb(path), size_hw=None, class_names=list("01234"))
            upright = np.loadtxt(folder / "labels" / path.name, ndmin=2)
            assert found.problems == ()
            assert found.classes.tolist() == upright[:, 0].tolist()
            assert found.boxes_cxcywh_unit == pytest.approx(upright[:, 1:], abs=2e-6)


@pytest.mark.parametrize("read", [read_kaist, read_vedai, read_obb])
def test_file_that_is_no_label_file_is_one_problem(read: object, tmp_path: Path) -> None:
    assert callable(read)
    (tmp_path / "long.txt").write_text("\n" * (MAX_LINES + 1))
    (tmp_path / "bytes.txt").write_bytes(b"person \xff 1 2 3")
    (tmp_path / "folder.txt").mkdir()
    for name in ("long.txt", "bytes.txt", "folder.txt", "missing.txt"):
        found = read(tmp_path / name, name=name)
        assert [(p.code, p.path, p.line) for p in found.problems] == [("L01", name, 1)]
        assert len(found) == 0
    (tmp_path / "empty.txt").write_text("\r\n  \r\n")
    assert read(tmp_path / "empty.txt").problems == ()
