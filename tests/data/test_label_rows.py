"""Rows of a label set: one picklable call each, whatever the format."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.data.class_names import collect_class_names
from fusetrain.data.coco_rows import read_coco_rows
from fusetrain.data.label_rows import LabelReader, LabelRow, read_rows
from fusetrain.data.sources import LabelFormat, LabelSet, Source
from fusetrain.data.storage import Storage

UNIT = (28 / 64, 24 / 48, 24 / 64, 24 / 48)
TEXTS: dict[LabelFormat, str] = {
    "yolo": f"0 {UNIT[0]} {UNIT[1]} {UNIT[2]} {UNIT[3]}\n",
    "obb": "0 .25 .25 .625 .25 .625 .75 .25 .75\n",
    "kaist": "person 16 12 24 24 0 0 0 0 0 0 0\n",
    "vedai": "28 24 0 1 1 0 256 640 640 256 256 256 768 768\n",
    "voc": (
        "<annotation><object><name>person</name><bndbox><xmin>16</xmin><ymin>12</ymin>"
        "<xmax>40</xmax><ymax>36</ymax></bndbox></object></annotation>"
    ),
}


@pytest.mark.parametrize("label_format", TEXTS)
def test_every_format_gives_the_same_box(tmp_path: Path, label_format: LabelFormat) -> None:
    size = (64, 64) if label_format == "vedai" else (64, 48)
    Image.new("RGB", size).save(tmp_path / "a.png")
    name = "a.xml" if label_format == "voc" else "a.txt"
    (tmp_path / name).write_text(TEXTS[label_format])
    names = ("car",) if label_format == "vedai" else ("person",)
    reader = LabelReader(str(tmp_path), LabelSet("", label_format), names)
    copy = pickle.loads(pickle.dumps(reader))
    (labels, missing) = read_rows(copy, [LabelRow(name, "a.png"), LabelRow("", "a.png")])
    assert missing is None
    assert labels is not None
    assert labels.problems == ()
    np.testing.assert_allclose(labels.boxes_cxcywh_unit, [UNIT], atol=1e-6)


@pytest.mark.parametrize("label_format", ["yolo", "obb"])
def test_border_is_taken_off_shares_of_the_image(tmp_path: Path, label_format: LabelFormat) -> None:
    Image.new("RGB", (264, 248)).save(tmp_path / "a.png")
    x, y = np.array([116, 140]) / 264, np.array([112, 136]) / 248
    text = f"0 {x.mean()} {y.mean()} {x[1] - x[0]} {y[1] - y[0]}\n"
    if label_format == "obb":
        text = f"0 {x[0]} {y[0]} {x[1]} {y[0]} {x[1]} {y[1]} {x[0]} {y[1]}\n"
    (tmp_path / "a.txt").write_text(text)
    storage = Storage(border_px=100)
    reader = LabelReader(str(tmp_path), LabelSet("", label_format), ("x",), storage)
    labels = reader(LabelRow("a.txt", "a.png"))
    assert labels is not None
    np.testing.assert_allclose(labels.boxes_cxcywh_unit, [UNIT], atol=1e-6)


def test_coco_rows_are_joined_by_folders_or_by_stem(tmp_path: Path) -> None:
    names = ["cam1/a.png", "cam2/a.png", "old/b.jpg", "c_PreviewData.jpg"]
    images = [
        {"id": number, "file_name": name, "height": 48, "width": 64}
        for number, name in enumerate(names)
    ]
    boxes = [
        {"id": number, "image_id": number, "category_id": number, "bbox": [16, 12, 24, 24]}
        for number in range(4)
    ]
    categories = [{"id": number, "name": f"n{number}"} for number in range(4)]
    document = {"images": images, "annotations": boxes, "categories": categories}
    (tmp_path / "t.json").write_text(json.dumps(document))
    labels = LabelSet("t.json", "coco", suffix="_PreviewData")
    reader = LabelReader(str(tmp_path), labels, ("n0", "n1", "n2", "n3"))
    paths = ["set/cam2/a.png", "cam1/a.png", "new/b.png", "c.png", "cam3/a.png"]
    found, problems = read_coco_rows(reader, [LabelRow("", path) for path in paths])
    assert problems == ()
    assert [None if entry is None else entry.classes.tolist() for entry in found] == [
        [1],
        [0],
        [2],
        [3],
        None,
    ]


@pytest.mark.parametrize(
    ("names", "paths", "wanted"),
    [
        (["camA/0.png"], ["images/camA/0.png", "images/camB/0.png"], [True, False]),
        (["0.png"], ["images/camA/0.png", "images/camB/0.png"], [False, False]),
        (["0.png"], ["images/camA/0.png", "images/camA/0.png"], [True, True]),
        (["other/0.png"], ["images/camB/0.png"], [True]),
        (["A/0.png", "B/0.png"], ["x/A/0.png", "x/B/0.png", "x/C/0.png"], [True, True, False]),
    ],
)
def test_boxes_of_one_image_are_given_to_no_other(
    tmp_path: Path, names: list[str], paths: list[str], wanted: list[bool]
) -> None:
    numbered = list(enumerate(names))
    document = {
        "images": [{"id": n, "file_name": name, "height": 48, "width": 64} for n, name in numbered],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 0, "bbox": [16, 12, 24, 24]}
            for n, _ in numbered
        ],
        "categories": [{"id": 0, "name": "n"}],
    }
    (tmp_path / "t.json").write_text(json.dumps(document))
    reader = LabelReader(str(tmp_path), LabelSet("t.json", "coco"), ("n",))
    found, _ = read_coco_rows(reader, [LabelRow("", path) for path in paths])
    assert [entry is not None for entry in found] == wanted


def test_names_of_several_label_sets_are_joined(tmp_path: Path) -> None:
    for folder, names in (("a", ("zebra", "ant")), ("b", ("mole",))):
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names):
            text = TEXTS["kaist"].replace("person", name)
            (tmp_path / folder / f"{number}.txt").write_text(text)
    source = Source("v", "i", "a", labels=LabelSet("a", "kaist"), ir_labels=LabelSet("b", "kaist"))
    assert collect_class_names(tmp_path, [source]) == ("ant", "mole", "zebra")
    assert collect_class_names(tmp_path, [Source("v", "i", "nowhere")]) == ()


def test_numbered_classes_are_counted_over_all_files_below_a_folder(tmp_path: Path) -> None:
    (tmp_path / "labels" / "train").mkdir(parents=True)
    label = tmp_path / "labels" / "train" / "a.txt"
    label.write_text("0 .5 .5 .1 .1\n4 .5 .5 .1 .1\nnonsense\n")
    source = Source("v", "i", "labels")
    assert collect_class_names(tmp_path, [source]) == ("0", "1", "2", "3", "4")
