"""Public layouts through a data YAML: formats, annotations, suffixes, border, channels, lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusetrain.data.image import read_header
from fusetrain.data.index import SplitScan, scan_split
from fusetrain.data.spec import load_spec
from fusetrain.data.storage import Storage
from fusetrain.errors import DataError

XML = (
    "<annotation><size><width>64</width><height>48</height></size><object><name>{name}</name>"
    "<bndbox><xmin>16</xmin><ymin>12</ymin><xmax>40</xmax><ymax>36</ymax></bndbox></object>"
    "</annotation>"
)
UNIT = (28 / 64, 24 / 48, 24 / 64, 24 / 48)
YOLO = "1 " + " ".join(f"{value:.6f}" for value in UNIT) + "\n"


class Folder:
    """A data-set folder that tests fill."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rng = np.random.default_rng(1)

    def text(self, path: str, text: str) -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")
        return self.root / path

    def pair(self, rgb: str, ir: str, *, size: tuple[int, int] = (64, 48)) -> None:
        for path, mode in ((rgb, "RGB"), (ir, "L")):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
            Image.fromarray(self.rng.integers(0, 256, shape, np.uint8)).save(self.root / path)

    def scan(self, yaml: str, split: str = "train") -> SplitScan:
        return scan_split(load_spec(self.text("data.yaml", yaml)), split)

    def fault(self, yaml: str) -> str:
        with pytest.raises(DataError) as caught:
            self.scan(yaml)
        return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_voc_with_names_from_the_labels_and_with_given_ones(folder: Folder) -> None:
    for stem, name in (("a", "dog"), ("b", "cat")):
        folder.pair(f"visible/train/{stem}.png", f"infrared/train/{stem}.png")
        folder.text(f"Annotations/{stem}.xml", XML.format(name=name))
    head = "train: visible/train\nir: {visible: infrared}\nformat: voc\nannotations: Annotations\n"
    scan = folder.scan(f"{head}names: auto\n")
    assert scan.index.class_names == ("cat", "dog")
    assert scan.index.box_classes.tolist() == [1, 0]
    np.testing.assert_allclose(scan.index.boxes, [UNIT, UNIT], atol=1e-6)
    scan = folder.scan(f"{head}names: [dog]\n")
    assert scan.index.box_classes.tolist() == [0]
    assert [problem.code for problem in scan.label_problems] == ["L02"]


def test_kaist_with_annotations_that_mirror_the_recordings(folder: Folder) -> None:
    for recording in ("set00/V000", "set06/V001"):
        folder.pair(f"{recording}/visible/I1.png", f"{recording}/lwir/I1.png")
        folder.text(f"ann/{recording}/I1.txt", "% bbGt version=3\nperson 16 12 24 24 0 0 0 0 0 0 0")
    scan = folder.scan(
        "train: [set00/V000, set06/V001/visible]\nir: {visible: lwir}\nformat: kaist\n"
        "annotations: ann\nnames: [person]\n"
    )
    assert list(scan.label_paths) == ["ann/set00/V000/I1.txt", "ann/set06/V001/I1.txt"]
    np.testing.assert_allclose(scan.index.boxes, [UNIT, UNIT], atol=1e-6)


@pytest.mark.parametrize("form", ["one", "each", "in the entry"])
def test_coco(folder: Folder, form: str) -> None:
    folder.pair("images/train/a.png", "imagesIR/train/a.png")
    document = {
        "images": [
            {
                "id": 1,
                "file_name": "images/train/a.png",
                "ir_file_name": "imagesIR/train/a.png",
                "height": 48,
                "width": 64,
            }
        ],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 9, "bbox": [16, 12, 24, 24]}],
        "categories": [{"id": 4, "name": "x"}, {"id": 9, "name": "car"}],
    }
    folder.text("ann/t.json", json.dumps(document))
    yaml = {
        "one": "train: images/train\nannotations: ann/t.json\nnames: auto\n",
        "each": "train: images/train\nannotations: {train: ann/t.json}\nnames: [x, car]\n",
        "in the entry": "train: ann/t.json\nnames: auto\n",
    }[form]
    scan = folder.scan(yaml)
    assert scan.index.class_names[int(scan.index.box_classes[0])] == "car"
    assert scan.index.ir_paths[0] == "imagesIR/train/a.png"
    np.testing.assert_allclose(scan.index.boxes, [UNIT], atol=1e-6)


def stated(*names: str) -> str:
    """Return a COCO JSON that states pairs, with a box on the first."""
    images = [
        {"id": number, "file_name": f"./images/{name}", "ir_file_name": f"imagesIR//{name}"}
        for number, name in enumerate(names)
    ]
    box = {"id": 1, "image_id": 0, "category_id": 0, "bbox": [16, 12, 24, 24]}
    categories = [{"id": 0, "name": "car"}]
    return json.dumps({"images": images, "annotations": [box], "categories": categories})


def test_stated_pairs_whose_files_are_gone_are_kept_and_told(folder: Folder) -> None:
    for name in ("b.png", "c.png", "d.png"):
        folder.pair(f"images/{name}", f"imagesIR/{name}")
    (folder.root / "images/c.png").unlink()
    (folder.root / "imagesIR/d.png").unlink()
    folder.text("t.json", stated("a.png", "b.png", "c.png", "d.png"))
    scan = folder.scan("train: t.json\nnames: auto\n")
    assert list(scan.index.rgb_paths) == ["images/a.png", "images/b.png"]
    assert list(scan.index.ir_paths) == ["imagesIR/a.png", "imagesIR/b.png"]
    assert [orphan.path for orphan in scan.pairing.rgb_only] == ["images/d.png"]
    assert [orphan.path for orphan in scan.pairing.ir_only] == ["imagesIR/c.png"]


def test_suffixes_in_one_folder_and_in_two(folder: Folder) -> None:
    for stem in ("a", "b"):
        folder.pair(f"flat/{stem}_co.png", f"flat/{stem}_ir.png", size=(64, 64))
        folder.pair(f"images/{stem}-v.png", f"imagesIR/{stem}-i.png")
        folder.text(f"labels/{stem}.txt", YOLO)
        corners = "16 40 40 16 12 12 36 36"
        folder.text(f"Annotations512/{stem}.txt", f"28 24 0 1 1 0 {corners}\n")
    vedai = (
        "train: flat\nsuffixes: {rgb: _co, ir: _ir}\nformat: vedai\n"
        "annotations: Annotations512\nnames: auto\n"
    )
    scan = folder.scan(vedai)
    assert list(scan.index.keys) == ["a", "b"]
    np.testing.assert_allclose(scan.index.boxes[0] * 512, [28, 24, 24, 24], atol=1e-3)
    scan = folder.scan("train: images\nsuffixes: {rgb: -v, ir: -i}\nnames: [x, y]\n")
    assert list(scan.index.keys) == ["a", "b"]
    assert scan.index.ir_paths[0] == "imagesIR/a-i.png"
    assert scan.index.box_classes.tolist() == [1, 1]


def test_border_is_taken_off_images_and_boxes(folder: Folder) -> None:
    folder.pair("images/a.png", "imagesIR/a.png", size=(84, 68))
    folder.text("labels/a.txt", f"0 {38 / 84} {34 / 68} {24 / 84} {24 / 68}\n0 .02 .02 .02 .02\n")
    scan = folder.scan("train: images\nborder: 10\nnames: [x]\n")
    assert scan.index.storage == Storage(border_px=10)
    np.testing.assert_allclose(scan.index.boxes, [UNIT], atol=1e-6)
    assert [problem.code for problem in scan.label_problems] == ["L05"]
    header = read_header(scan.index.rgb_path(0), storage=scan.index.storage)
    assert header.size_hw == (48, 64)


def test_oriented_boxes_are_enclosed(folder: Folder) -> None:
    folder.pair("rgb/images/a.png", "ir/images/a.png")
    folder.text("rgb/obb/a.txt", "1 .25 .5 .4375 .25 .625 .5 .4375 .75\n")
    scan = folder.scan(
        "train: rgb/images\nir: {rgb: ir}\nlabels: {images: obb}\nformat: obb\nnames: [x, y]\n"
    )
    np.testing.assert_allclose(scan.index.boxes, [(0.4375, 0.5, 0.375, 0.5)], atol=1e-6)
    assert scan.index.box_classes.tolist() == [1]


def test_second_label_set_is_found_by_the_rule_of_the_first(folder: Folder) -> None:
    folder.pair("rgb/images/a.png", "ir/images/a.png")
    folder.text("rgb/labels/a.txt", YOLO)
    folder.text("ir/labels/a.txt", YOLO + YOLO.replace("1 ", "0 ", 1))
    head = "train: rgb/images\nir: {rgb: ir}\nnames: [x, y]\n"
    assert folder.scan(head).index.box_classes.tolist() == [1]
    scan = folder.scan(f"{head}label_source: ir\n")
    assert scan.index.box_classes.tolist() == [1, 0]
    assert list(scan.label_paths) == ["ir/labels/a.txt"]


def test_names_auto_counts_numbers_or_takes_classes_txt(folder: Folder) -> None:
    folder.pair("images/a.png", "imagesIR/a.png")
    folder.text("labels/a.txt", YOLO)
    yaml = "train: images\nnames: auto\n"
    assert folder.scan(yaml).index.class_names == ("0", "1")
    folder.text("labels/classes.txt", "walker\nwagon\n")
    assert folder.scan(yaml).index.class_names == ("walker", "wagon")


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("format: pascal\n", "data.yaml:3:1"),
        ("annotations: nowhere\n", "which is no folder below"),
        ("annotations: nowhere.json\n", "which is no file below"),
        ("annotations: ../x\n", "below the root"),
        ("annotations: {val: labels}\n", "`annotations:` has no entry for train"),
        ("format: coco\n", "needs `annotations:`"),
        ("format: voc\nannotations: broken.json\n", "does not go with format voc"),
        ("annotations: broken.json\n", "broken.json"),
        ("suffixes: {rgb: _v}\n", "two different endings"),
        ("suffixes: {rgb: _v, ir: _v}\n", "two different endings"),
        ("suffixes: {rgb: _v, infrared: _i}\n", "data.yaml:3:"),
        ("border: -1\n", "data.yaml:3:1"),
        ("border: wide\n", "data.yaml:3:1"),
        ("channels: four\n", "data.yaml:3:1"),
        ("ir_labels: {imagesIR: nowhere}\n", "'nowhere' is not there"),
        ("ir_labels: {imagesIR: ../x}\n", "two names of folders"),
        ("label_source: all\n", "data.yaml:3:1"),
        ("labels: {images: xml}\n", "write `format: voc`"),
    ],
)
def test_fault_of_a_key_is_said_with_its_place(folder: Folder, yaml: str, words: str) -> None:
    folder.pair("images/a.png", "imagesIR/a.png")
    folder.text("xml/a.xml", XML.format(name="x"))
    folder.text("broken.json", "{")
    assert words in folder.fault(f"train: images\nnames: [x]\n{yaml}")


def test_json_entry_must_name_both_images_inside_the_root(folder: Folder) -> None:
    document: dict[str, Any] = {"annotations": [], "categories": []}
    for image, words in (
        ({"id": 1, "file_name": "a.png"}, "infrared partner"),
        ({"id": 1, "file_name": "a.png", "ir_file_name": "../b.png"}, "infrared partner"),
        ({"id": 1, "file_name": "a.png", "ir_file_name": "b.png"}, "'a.png' is not below"),
    ):
        folder.text("t.json", json.dumps({**document, "images": [image]}))
        assert words in folder.fault("train: t.json\nnames: [x]\n")


def test_unreadable_image_leaves_its_boxes_out_with_a_reason(folder: Folder) -> None:
    folder.pair("images/a.png", "imagesIR/a.png")
    (folder.root / "images/a.png").write_bytes(b"no image")
    folder.text("labels/a.txt", "person 16 12 24 24 0 0 0 0 0 0 0\n")
    scan = folder.scan("train: images\nformat: kaist\nnames: [person]\n")
    (problem,) = scan.label_problems
    assert (problem.code, problem.path) == ("L01", "labels/a.txt")
    assert len(scan.index.boxes) == 0


def test_export_of_other_tools_is_read(folder: Folder) -> None:
    folder.pair("train/images/a.png", "train/infrared/a.png")
    folder.text("train/labels/a.txt", YOLO)
    yaml = (
        "train: ../train/images\nnc: 2\nnames: [car, person]\ndownload: https://example.org/x.zip\n"
        "roboflow: {workspace: w, version: 1}\n"
    )
    assert "for infrared/ write `ir: {images: infrared}`" in folder.fault(yaml)
    index = folder.scan(yaml + "ir: {images: infrared}\n").index
    assert index.rgb_paths[0] == "train/images/a.png"
    spec = load_spec(folder.root)
    assert "download and roboflow not used" in spec.layout.sentence
    assert "nc is 3, but there are 2 names" in folder.fault(yaml.replace("nc: 2", "nc: 3"))


def test_climbing_entry_is_refused_where_it_is_no_export(folder: Folder) -> None:
    folder.pair("train/images/a.png", "train/imagesIR/a.png")
    (folder.root / "inner").mkdir()
    yaml = "path: inner\ntrain: ../train/images\nnames: [car]\n"
    assert "without '..'" in folder.fault(yaml)


def test_classes_of_lines_that_cannot_be_used_count(folder: Folder) -> None:
    folder.pair("images/train/a.png", "imagesIR/train/a.png")
    folder.text("labels/train/a.txt", "2 30 20 10 10\n1.0 0.5 0.5 0.1 0.1\nx 1 1 1 1\n")
    spec = load_spec(folder.root)
    assert spec.class_names == ("0", "1", "2")
    problems = scan_split(spec, "train").label_problems
    assert [problem.code for problem in problems] == ["L04", "L01"]


@pytest.mark.parametrize("name", ["set.zip", "a.jpg", "list.txt"])
def test_file_that_is_no_yaml_is_told_as_such(folder: Folder, name: str) -> None:
    with pytest.raises(DataError, match="is no data set"):
        load_spec(folder.text(name, "PK"))
