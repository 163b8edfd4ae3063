"""What is lost without a fault in any single file: shares taken for px, images gone from a JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fusetrain.checks.audit import audit_path
from fusetrain.cli.app import run
from fusetrain.data.annotations import Annotations, to_labels

MakePairs = Callable[..., Path]


def converted(path: Path, kind: str) -> Path:
    """Return the folder of the same set in another layout."""
    out = path.parent.parent / kind
    assert run(["prepare", "convert", str(path), "--to", kind, "--out", str(out)]) == 0
    return out


def test_shares_in_xml_are_an_error_and_nothing_else(make_pairs: MakePairs) -> None:
    root = converted(make_pairs(train=14, val=2), "voc")
    for path in root.rglob("*.xml"):
        text = path.read_text(encoding="utf-8")
        shares = re.sub(
            r"(<[xy]m(?:in|ax)>)([\d.]+)", lambda found: f"{found[1]}{float(found[2]) / 640}", text
        )
        path.write_text(shares, encoding="utf-8")
    report = audit_path(root, workers=1)
    assert report.counts == {"L04": 2}
    assert {entry.level for entry in report.findings} == {"error"}
    assert {entry.split for entry in report.findings} == {"train", "val"}


def test_images_that_a_coco_file_names_and_that_are_gone_are_told(make_pairs: MakePairs) -> None:
    root = converted(make_pairs(train=6), "coco")
    for number in (1, 4):
        for path in root.rglob(f"train_{number:03d}.*"):
            path.unlink()
    report = audit_path(root, workers=1)
    assert report.counts == {"L13": 2}
    assert {entry.path for entry in report.findings} == {"annotations/train.json"}
    told = " ".join(entry.message for entry in report.findings)
    assert "train_001" in told
    assert "train_004" in told


def test_an_image_of_a_coco_file_that_lost_its_partner_is_told_once(make_pairs: MakePairs) -> None:
    root = converted(make_pairs(), "coco")
    next(root.glob("infrared/train/train_001.*")).unlink()
    assert audit_path(root, workers=1).counts == {"P01": 1}


@pytest.mark.parametrize("other", ["Person", "PERSON ", "per son"])
def test_names_that_differ_only_in_case_are_told(make_pairs: MakePairs, other: str) -> None:
    path = make_pairs()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("car]", f"{other!r}]"), encoding="utf-8")
    assert audit_path(path, workers=1).counts == ({} if other == "per son" else {"S05": 1})


def message_of(path: Path, code: str) -> str:
    """Return what the only finding with a code says."""
    (found,) = [entry for entry in audit_path(path, workers=1).findings if entry.code == code]
    return found.message


def with_two_names(make_pairs: MakePairs, *, classes: tuple[int, int]) -> Path:
    """Return a set with the names person and car, whose labels have two classes in turn."""
    path = make_pairs(train=3, val=1)
    text = path.read_text(encoding="utf-8").partition("names:")[0]
    path.write_text(f"{text}names: [person, car]\n", encoding="utf-8")
    for number, label in enumerate(sorted((path.parent / "labels").rglob("*.txt"))):
        label.write_text(f"{classes[number % 2]} .5 .5 .2 .2\n")
    return path


def test_classes_counted_from_one_are_asked_about(make_pairs: MakePairs) -> None:
    path = with_two_names(make_pairs, classes=(1, 2))
    report = audit_path(path, workers=1)
    assert report.counts["L02"] == 2
    assert message_of(path, "S03") == (
        "no box has class 0 (person), and 2 lines have class 2: counted from 1? Then each number "
        "is one too high"
    )


def test_a_class_far_beyond_the_names_is_not_called_a_shift(make_pairs: MakePairs) -> None:
    path = with_two_names(make_pairs, classes=(1, 7))
    assert message_of(path, "S03") == "no box has class 0 (person)"


@pytest.mark.parametrize(
    ("suffix", "told"),
    [
        (".json", "; labels/val holds .json files: `format: coco` in the data YAML?"),
        (".csv", ""),
        ("", "; there is no folder labels/val"),
    ],
)
def test_labels_of_another_format_are_told(make_pairs: MakePairs, suffix: str, told: str) -> None:
    path = make_pairs(train=3, val=2)
    folder = path.parent / "labels/val"
    for label in sorted(folder.iterdir()):
        label.rename(label.with_suffix(suffix)) if suffix else label.unlink()
    if not suffix:
        folder.rmdir()
    whole = "none of the 2 pairs has labels; all count as background"
    assert message_of(path, "L09") == whole + told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 .5 .5 .2 .2 .9", "6 columns, expected 5: class cx cy w h; with a confidence?"),
        ("0 .1 .1 .2 .1 .2 .2 .1 .2", "; four corners? `format: obb`"),
        ("0 .1 .1 .2 .1 .2 .2 .1 .2 .1 .15", "; a polygon? write the box around it"),
        ("0 .1 .1 .2 .1 .2 .2", "; a polygon? write the box around it"),
        ("0 .5 .5", "3 columns, expected 5: class cx cy w h"),
    ],
)
def test_lines_of_another_format_are_told(make_pairs: MakePairs, line: str, told: str) -> None:
    path = make_pairs(train=2, val=1)
    (path.parent / "labels/train/train_000.txt").write_text(f"{line}\n")
    assert told in message_of(path, "L01")


@pytest.mark.parametrize(
    ("written", "told"),
    [("Person", "; did you mean 'person'?"), ("CAR", "; did you mean 'car'?"), ("tree", "")],
)
def test_name_of_a_class_in_another_case_is_asked_about(written: str, told: str) -> None:
    box = Annotations(np.array([[8.0, 8, 20, 20]]), (written,), np.ones(1, np.int64), (48, 64))
    (problem,) = to_labels(box, size_hw=None, class_names=("person", "car")).problems
    assert problem.message == f"class {written!r} is not among the names{told}"


def test_a_fault_of_a_coco_box_names_its_image(make_pairs: MakePairs) -> None:
    root = converted(make_pairs(), "coco")
    file = root / "annotations/train.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["annotations"][0]["bbox"] = [5000, 5000, 20, 20]
    file.write_text(json.dumps(document), encoding="utf-8")
    image = document["annotations"][0]["image_id"]
    name = next(e["file_name"] for e in document["images"] if e["id"] == image)
    assert message_of(root, "L04").startswith(f"image {name!r}: box 5000, 5000,")


def test_boxes_of_an_image_that_cannot_be_used_are_one_problem(make_pairs: MakePairs) -> None:
    root = converted(make_pairs(train=4), "coco")
    file = root / "annotations/train.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    lost = document["images"][1].pop("file_name")
    image = document["images"][1]["id"]
    own = [entry for entry in document["annotations"] if entry["image_id"] == image]
    document["annotations"] += [{**own[0], "id": 900 + number} for number in range(3)]
    document["annotations"].append({**own[0], "id": 990, "image_id": 4444})
    file.write_text(json.dumps(document), encoding="utf-8")
    report = audit_path(root, workers=1)
    assert sorted(entry.message for entry in report.findings if entry.code == "L01") == [
        "annotation 990: image_id 4444: no image has this id",
        f"image {image}: no file_name",
        f"images that cannot be used: {len(own) + 3} annotations left out with them",
    ]
    assert message_of(root, "L09") == f"it names no image {lost!r}; the pair counts as background"
