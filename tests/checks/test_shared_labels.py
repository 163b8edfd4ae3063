"""L14: one label file, or one entry of a COCO file, for two pictures; and what is none of that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.checks.audit import AuditOptions, AuditReport, audit_path

from ..conftest import MakePairs

NAME = "0{}.jpg"


def numbered_anew(path: Path) -> Path:
    """Name the pairs of every split 00, 01, ...; return the folder of the set."""
    root = path.parent
    for part in ("images", "imagesIR", "labels"):
        for split in ("train", "val"):
            for number, file in enumerate(sorted((root / part / split).iterdir())):
                file.rename(file.with_stem(f"0{number}"))
    return root


def with_one_folder(path: Path) -> Path:
    """Give both splits one folder of labels."""
    root = numbered_anew(path)
    for file in (root / "labels/train").iterdir():
        file.rename(root / "labels" / file.name)
    for split in ("train", "val"):
        shutil.rmtree(root / "labels" / split)
    path.write_text(f"{path.read_text()}annotations: labels\n", encoding="utf-8")
    return root


def with_coco(path: Path, names: list[str]) -> None:
    """Give both splits one COCO file that names images so, each with the same box."""
    images = [
        {"id": n, "file_name": name, "width": 64, "height": 48} for n, name in enumerate(names)
    ]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [8, 8, 20, 20]}
        for n in range(len(names))
    ]
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}]
    document = {"images": images, "annotations": boxes, "categories": categories}
    (path.parent / "boxes.json").write_text(json.dumps(document), encoding="utf-8")
    shutil.rmtree(path.parent / "labels")
    path.write_text(f"{path.read_text()}annotations: boxes.json\nformat: coco\n", encoding="utf-8")


def told(report: AuditReport) -> list[tuple[str, str, str]]:
    """Return level, split and file of each finding L14."""
    shared = [found for found in report.findings if found.code == "L14"]
    return [(found.level, found.split, found.path) for found in shared]


@pytest.mark.parametrize("headers_only", [False, True])
def test_label_file_of_two_splits_is_told_once_a_later_picture(
    make_pairs: MakePairs, headers_only: bool
) -> None:
    path = make_pairs(train=3, val=2)
    with_one_folder(path)
    options = AuditOptions(headers_only=headers_only, registration="off")
    report = audit_path(path, workers=1, options=options)
    assert told(report) == [("error", "val", f"labels/0{number}.txt") for number in range(2)]
    message = next(found.message for found in report.findings if found.code == "L14")
    assert message == "read for images/val/00.jpg, and for another picture, images/train/00.jpg"
    assert [found.code for found in report.refusals()].count("L14") == 2
    assert not report.refusals(["L14"])


def test_same_picture_in_both_splits_is_d04_alone(make_pairs: MakePairs) -> None:
    path = make_pairs(train=2, val=2)
    root = with_one_folder(path)
    for number in range(2):
        for part, suffix in (("images", "jpg"), ("imagesIR", "png")):
            name = f"0{number}.{suffix}"
            shutil.copy(root / part / "train" / name, root / part / "val" / name)
    report = audit_path(path, workers=1)
    assert told(report) == []
    assert report.counts["D04"] >= 2


def test_picture_made_from_another_is_a_warning(make_pairs: MakePairs) -> None:
    path = make_pairs(train=2, val=1)
    root = with_one_folder(path)
    levels = np.kron(np.arange(48).reshape(6, 8) * 7919 % 251, np.ones((8, 8))).astype(np.uint8)
    clear = Image.fromarray(levels).convert("RGB")
    clear.save(root / "images/train" / NAME.format(0), quality=95)
    fog = Image.blend(clear, Image.new("RGB", clear.size, (200, 200, 200)), 0.5)
    fog.save(root / "images/val" / NAME.format(0), quality=95)
    assert told(audit_path(path, workers=1)) == [("warn", "val", "labels/00.txt")]


def test_empty_label_file_misleads_nobody(make_pairs: MakePairs) -> None:
    path = make_pairs(train=2, val=1)
    root = with_one_folder(path)
    (root / "labels/00.txt").write_text("")
    assert told(audit_path(path, workers=1)) == []


def test_image_of_a_coco_file_that_joins_with_two_splits_is_told(make_pairs: MakePairs) -> None:
    path = make_pairs(train=2, val=2)
    numbered_anew(path)
    with_coco(path, [NAME.format(number) for number in range(2)])
    assert told(audit_path(path, workers=1)) == [("error", "val", "boxes.json")] * 2


def test_coco_file_that_names_folders_is_shared_by_right(make_pairs: MakePairs) -> None:
    path = make_pairs(train=2, val=2)
    numbered_anew(path)
    splits = ("train", "val")
    with_coco(path, [f"images/{split}/{NAME.format(n)}" for split in splits for n in range(2)])
    report = audit_path(path, workers=1)
    assert told(report) == []
    assert "L09" not in report.counts


def test_joined_boxes_of_two_files_that_lack_images_are_not_shared(make_pairs: MakePairs) -> None:
    path = make_pairs(train=3, val=2)
    names = [f"train_00{number}.jpg" for number in range(3)]
    with_coco(path, ["train_000.jpg"])
    (path.parent / "boxes.json").rename(path.parent / "few.json")
    (path.parent / "labels").mkdir()
    text = path.read_text().partition("annotations:")[0]
    path.write_text(text, encoding="utf-8")
    with_coco(path, names)
    text = path.read_text().replace("annotations: boxes.json", "annotations: few.json")
    path.write_text(f"{text}ir_annotations: boxes.json\nlabel_source: union\n", encoding="utf-8")
    report = audit_path(path, workers=1)
    assert told(report) == []
    assert report.scans["train"].index.has_labels.all()
