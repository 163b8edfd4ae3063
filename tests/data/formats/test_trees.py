"""What written folders look like to other tools."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pycocotools.coco import COCO

from fusetrain.data.formats.coco_tree import CocoJson
from fusetrain.data.formats.tree import read_split, tidy_corners, written_split
from fusetrain.data.formats.voc_tree import VocXml
from fusetrain.errors import DataError

MakePairs = Callable[..., Path]


def test_coco_tree_is_read_by_pycocotools(make_pairs: MakePairs, tmp_path: Path) -> None:
    path = make_pairs(train=3)
    (path.parent / "labels/train/train_001.txt").unlink()
    written = CocoJson().write([read_split(path, "train")], tmp_path / "new")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(written.parent / "annotations/train.json"))
    images = coco.loadImgs(coco.getImgIds())
    assert [(image["height"], image["width"]) for image in images] == [(48, 64)] * 2
    for image in images:
        assert (written.parent / image["file_name"]).is_file()
        assert (written.parent / image["ir_file_name"]).is_file()
    found = coco.loadAnns(coco.getAnnIds(imgIds=[images[0]["id"]]))
    assert [one["bbox"] for one in found] == [
        [8, 12, 16, 24],
        pytest.approx([38.4, 9.6, 19.2, 28.8]),
    ]
    assert [coco.cats[one["category_id"]]["name"] for one in found] == ["person", "car"]
    assert found[0]["area"] == 384


def test_voc_tree_is_plain_xml_with_whole_pixels(make_pairs: MakePairs, tmp_path: Path) -> None:
    written = VocXml().write([read_split(make_pairs(), "train")], tmp_path / "new")
    root = ElementTree.parse(written.parent / "Annotations/train_000.xml").getroot()
    assert (root.findtext("size/width"), root.findtext("size/height")) == ("64", "48")
    assert root.findtext("filename") == "train_000.jpg"
    assert [one.findtext("name") for one in root.iter("object")] == ["person", "car"]
    corners = [one.text for one in next(root.iter("bndbox"))]
    assert corners == ["8", "12", "24", "36"]


def test_voc_labels_lie_by_split_where_keys_repeat(make_pairs: MakePairs, tmp_path: Path) -> None:
    path = make_pairs()
    root = path.parent
    for split in ("train", "val"):
        for part in ("images", "imagesIR", "labels"):
            for file in (root / part / split).iterdir():
                file.rename(file.with_stem(file.stem[-3:]))
    indexes = [read_split(path, split) for split in ("train", "val")]
    written = VocXml().write(indexes, tmp_path / "new")
    assert (written.parent / "Annotations/val/000.xml").is_file()
    assert (written.parent / "Annotations/train/000.xml").is_file()
    assert read_split(written, "val").box_classes.tolist() == indexes[1].box_classes.tolist()


@pytest.mark.parametrize("name", [" car", "c\x01r"])
def test_class_name_that_xml_cannot_hold_is_refused(
    name: str, make_pairs: MakePairs, tmp_path: Path
) -> None:
    path = make_pairs()
    names = json.dumps([name, "car"])
    path.write_text(path.read_text().replace("[person, car]", names), encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written as XML"):
        VocXml().write([read_split(path, "train")], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_label_files_follow_images_that_others_place(make_pairs: MakePairs) -> None:
    split = written_split(CocoJson(), read_split(make_pairs(), "val"))
    assert split.pairs[0].rgb == "visible/val/val_000.jpg"
    assert split.pairs[0].ir == "infrared/val/val_000.png"
    files = dict(CocoJson().label_files([split]))
    assert list(files) == ["annotations/val.json", "data.yaml"]


def test_only_made_up_digits_are_tidied() -> None:
    box = (29.999_99, 10.123_456_7, 640.0, 511.999_999)
    assert tidy_corners(box, (512, 640)) == [30, 10.1235, 640, 512]
    thin = (10.000_01, 10.0, 10.000_02, 20.0)
    assert tidy_corners(thin, (512, 640)) == list(thin)
