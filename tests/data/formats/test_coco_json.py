from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusetrain.data.annotations import to_labels
from fusetrain.data.formats.coco_json import CocoFile, read_once
from fusetrain.data.formats.coco_parts import MAX_SHOWN
from fusetrain.errors import DataError


def document() -> dict[str, Any]:
    """Return a small FLIR-like document: gaps in the ids, folders in the names, a crowd."""
    return {
        "info": {"description": "thermal"},
        "images": [
            {
                "id": 7,
                "file_name": "thermal_8_bit/FLIR_00001.jpeg",
                "height": 512,
                "width": 640,
                "extra_info": {"weather": "clear"},
            },
            {"id": 3, "file_name": "thermal_8_bit\\FLIR_00002.jpeg", "height": 512, "width": 640},
            {"id": "x", "file_name": "FLIR_00003.jpeg"},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 18, "bbox": [0, 10, 64, 20.5]},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [5, 6, 7, 8], "iscrowd": 0},
            {"id": 3, "image_id": 7, "category_id": 1, "bbox": [5, 6, 70, 8], "iscrowd": 1},
            {"id": 4, "image_id": 7, "category_id": 18, "bbox": [1, 2, 3, 4], "extra_info": {}},
        ],
    }


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
@pytest.mark.parametrize(
    ("mark", "num_ignored"),
    [(0, 0), ("0", 0), (False, 0), ("False", 0), (None, 0), (1, 1), ("1", 1), (True, 1)],
)
def test_marks_of_crowds_are_spelt_in_several_ways(
    key: str, mark: object, num_ignored: int
) -> None:
    given = document()
    given["annotations"][2].pop("iscrowd")
    given["annotations"][2][key] = mark
    assert CocoFile.from_document(given, name="a.json").annotations(0).num_ignored == num_ignored


def test_boxes_are_joined_with_their_images_by_id() -> None:
    found = CocoFile.from_document(document(), name="a.json")
    assert found.class_names == ("person", "dog")
    assert found.file_names[:2] == (
        "thermal_8_bit/FLIR_00001.jpeg",
        "thermal_8_bit/FLIR_00002.jpeg",
    )
    assert found.problems == ()
    first, second, third = (found.annotations(row) for row in range(3))
    assert first.boxes_xyxy_px.tolist() == [[5, 6, 12, 14], [1, 2, 4, 6]]
    assert (first.names, first.ignored_names) == (("person", "dog"), ("person",))
    assert (first.num_ignored, first.size_hw) == (1, (512, 640))
    assert second.boxes_xyxy_px.tolist() == [[0, 10, 64, 30.5]]
    assert (len(third), third.size_hw, third.path) == (0, None, "a.json")
    labels = to_labels(second, size_hw=None, class_names=found.class_names)
    assert labels.boxes_cxcywh_unit.tolist() == [
        pytest.approx([0.05, 20.25 / 512, 0.1, 20.5 / 512])
    ]
    with pytest.raises(IndexError):
        found.annotations(3)


def test_infrared_partners_may_be_named() -> None:
    both = document()
    assert not CocoFile.from_document(both).names_ir
    for image in both["images"]:
        image["ir_file_name"] = "ir\\" + image["file_name"].rpartition("\\")[2]
    found = CocoFile.from_document(both)
    assert found.names_ir
    assert found.ir_file_names[1] == "ir/FLIR_00002.jpeg"


def test_boxes_as_shares_of_the_image_are_told() -> None:
    shares = document()
    for entry in shares["annotations"]:
        entry["bbox"] = [0.2, 0.1, 0.5, 1.0]
    (problem,) = CocoFile.from_document(shares).problems
    assert (problem.code, problem.is_left_out) == ("L04", True)
    assert "shares, where COCO has px" in problem.message
    shares["annotations"][0]["bbox"] = [0.2, 0.1, 0.5, 1.5]
    assert CocoFile.from_document(shares).problems == ()


def test_rows_are_found_by_stem() -> None:
    found = CocoFile.from_document(document())
    assert found.rows_by_stem() == {"FLIR_00001": 0, "FLIR_00002": 1, "FLIR_00003": 2}
    twice = document()
    twice["images"][2]["file_name"] = "other/FLIR_00001.png"
    with pytest.raises(DataError, match="same name"):
        CocoFile.from_document(twice).rows_by_stem()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"bbox": [1, 2, 3]}, "L01", "four numbers"),
        ({"bbox": None}, "L01", "four numbers"),
        ({"bbox": ["1", 2, 3, 4]}, "L01", "four numbers"),
        ({"bbox": [True, 2, 3, 4]}, "L01", "four numbers"),
        ({"bbox": [1, 2, float("nan"), 4]}, "L03", "not finite"),
        ({"bbox": [1, float("inf"), 3, 4]}, "L03", "not finite"),
        ({"bbox": [1, 2, 0, 4]}, "L05", "no area"),
        ({"bbox": [1, 2, 3, -4]}, "L05", "no area"),
        ({"bbox": [10**400, 2, 3, 4]}, "L04", "outside any image"),
        ({"category_id": 2}, "L02", "category_id 2"),
        ({"category_id": [1]}, "L02", "category_id [1]"),
        ({"category_id": None}, "L02", "category_id None"),
    ],
)
def test_bad_box_is_a_problem_of_its_image(change: dict[str, Any], code: str, words: str) -> None:
    broken = document()
    broken["annotations"][1] |= change
    found = CocoFile.from_document(broken, name="a.json")
    assert found.problems == ()
    (problem,) = found.annotations(0).problems
    assert (problem.code, problem.path) == (code, "a.json")
    assert "annotation 2" in problem.message
    assert words in problem.message
    assert len(found.annotations(0)) == 1


@pytest.mark.parametrize(
    ("where", "entry", "words"),
    [
        (
            "annotations",
            {"id": 9, "image_id": 8, "category_id": 1, "bbox": [1, 2, 3, 4]},
            "image_id",
        ),
        ("annotations", {"id": 9, "image_id": [7], "category_id": 1, "bbox": []}, "image_id"),
        ("annotations", [1, 2], "no object with"),
        ("images", {"id": 7, "file_name": "b.png"}, "id is used twice"),
        ("images", {"id": 8, "file_name": "FLIR_00003.jpeg"}, "file_name is used twice"),
        ("images", {"id": 8}, "no file_name"),
        ("images", {"file_name": "b.png"}, "no id"),
        ("images", {"id": [], "file_name": "b.png"}, "no id"),
        ("images", {"id": 8, "file_name": "../b.png"}, "leads out"),
        ("images", {"id": 8, "file_name": "/b.png"}, "leads out"),
        ("images", {"id": 8, "file_name": "C:\\b.png"}, "leads out"),
        ("images", {"id": 8, "file_name": "b.png", "ir_file_name": "a/../../c"}, "leads out"),
        ("images", {"id": 8, "file_name": "b.png", "ir_file_name": 5}, "no text"),
        ("images", None, "no id"),
        ("categories", {"id": 1, "name": "cat"}, "id is used twice"),
        ("categories", {"id": "2", "name": "cat"}, "whole id"),
        ("categories", {"id": 2}, "whole id"),
    ],
)
def test_bad_entry_is_left_out_and_reported(where: str, entry: Any, words: str) -> None:
    broken = document()
    broken[where].append(entry)
    found = CocoFile.from_document(broken, name="a.json")
    (problem,) = found.problems
    assert (problem.code, problem.path, problem.is_left_out) == ("L01", "a.json", True)
    assert words in problem.message
    assert (len(found), len(found.class_names), len(found.boxes.classes)) == (3, 2, 3)


def test_annotation_ids_used_twice_are_told_and_their_boxes_kept() -> None:
    twice = document()
    twice["annotations"][1]["id"] = 1
    found = CocoFile.from_document(twice)
    (problem,) = found.problems
    assert (problem.code, problem.is_left_out) == ("L01", False)
    assert "annotation 1" in problem.message
    assert len(found.boxes.classes) == 3


def test_categories_of_one_name_are_one_class() -> None:
    twice = document()
    twice["categories"].append({"id": 40, "name": "dog"})
    twice["annotations"][1]["category_id"] = 40
    found = CocoFile.from_document(twice)
    assert found.class_names == ("person", "dog")
    assert found.annotations(0).names == ("dog", "dog")


def test_a_flood_of_faults_is_counted() -> None:
    flood = document()
    flood["annotations"] += [{"image_id": -1}] * (MAX_SHOWN + 5)
    problems = CocoFile.from_document(flood).problems
    assert len(problems) == MAX_SHOWN + 1
    assert "5 more" in problems[-1].message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "no list 'images'"),
        ('{"images": [], "annotations": {}}', "no list 'annotations' and no list 'categories'"),
        ("[" * 100_000, "nested too deep"),
        ('{"images": ' + "9" * 5000 + "}", "not usable JSON"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "not valid JSON"),
    ],
)
def test_file_that_is_no_coco_is_an_error(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words) as caught:
        CocoFile.read(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in caught.value.where


def test_missing_and_binary_files_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match="byte 0 is not UTF-8"):
        CocoFile.read(tmp_path / "a.json")
    with pytest.raises(DataError, match="No such file"):
        CocoFile.read(tmp_path / "b.json")


def test_many_boxes_stay_with_their_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    owners = rng.integers(50, size=3000).tolist()
    boxes = rng.integers(1, 100, (3000, 4)).tolist()
    many = {
        "images": [{"id": 90 - row, "file_name": f"{row}.png"} for row in range(50)],
        "categories": [{"id": 4, "name": "car"}],
        "annotations": [
            {"id": number, "image_id": 90 - owner, "category_id": 4, "bbox": box}
            for number, (owner, box) in enumerate(zip(owners, boxes, strict=True))
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(many))
    found = CocoFile.read(tmp_path / "a.json")
    for row in range(50):
        expected = [
            [x, y, x + w, y + h]
            for owner, (x, y, w, h) in zip(owners, boxes, strict=True)
            if owner == row
        ]
        assert found.annotations(row).boxes_xyxy_px.tolist() == expected


def test_m3fd_sample(samples: Path) -> None:
    found = CocoFile.read(samples / "m3fd/annotations_coco.json")
    assert found.file_names == ("00000.png", "00240.png", "00422.png")
    assert found.problems == ()
    first = found.annotations(0)
    assert first.size_hw == (768, 1024)
    assert first.boxes_xyxy_px[0].tolist() == [45, 371, 82, 478]
    assert len(first) == 11
    assert (
        len(found.boxes.classes)
        == found.boxes.ends[-1]
        == sum(map(len, (found.annotations(row) for row in range(3))))
    )


def test_flir_sample(samples: Path) -> None:
    found = CocoFile.read(samples / "flir-roadscene/flir_aligned_thermal_coco_subset.json")
    assert len(found) == 12
    row = found.file_names.index("FLIR_03952_PreviewData.jpg")
    assert found.annotations(row).boxes_xyxy_px[0].tolist() == [462, 157, 504, 286]
    for row in range(12):
        labels = to_labels(
            found.annotations(row), size_hw=(512, 640), class_names=found.class_names
        )
        assert labels.problems == ()
        assert len(labels.classes) > 0


def test_within_a_block_each_file_is_read_once_and_then_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document()))
    with read_once():
        with read_once():
            first = CocoFile.read(path, name="a.json")
        path.write_text("{}")
        assert CocoFile.read(path, name="a.json") is first
    with pytest.raises(DataError):
        CocoFile.read(path, name="a.json")
