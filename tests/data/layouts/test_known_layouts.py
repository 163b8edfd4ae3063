"""One tiny tree for each public layout: what it is called, its pairs, boxes, classes and splits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fusetrain.data.image import read_ir, read_rgb
from fusetrain.data.index import SplitScan, count_pairs, scan_split
from fusetrain.data.spec import DataSpec, load_spec


def load(tree: Any) -> tuple[DataSpec, dict[str, SplitScan]]:
    spec = load_spec(tree.root)
    return spec, {split: scan_split(spec, split) for split in spec.splits}


def expect(
    tree: Any,
    name: str,
    *,
    pairs: dict[str, int],
    classes: tuple[str, ...] = ("person",),
    boxes: bool = True,
) -> tuple[DataSpec, dict[str, SplitScan]]:
    """Assert the layout, pairs without orphans, and the one painted box of every pair."""
    spec, scans = load(tree)
    assert spec.layout.name == name
    assert {split: len(scan.index) for split, scan in scans.items()} == pairs
    assert {split: count_pairs(spec, split) for split in pairs} == pairs
    assert spec.class_names == classes
    for scan in scans.values():
        assert scan.pairing.rgb_only == scan.pairing.ir_only == scan.pairing.ambiguous == ()
        assert scan.label_problems == ()
        assert scan.index.has_labels.all() == boxes
        for row in range(len(scan.index) if boxes else 0):
            np.testing.assert_allclose(
                scan.index.boxes_cxcywh_unit(row), [tree.box_unit], atol=2e-6, err_msg=name
            )
    return spec, scans


def test_yolofuse_with_and_without_splits(tree: Any) -> None:
    for stem in ("a", "b"):
        tree.pair(f"images/{stem}.jpg", f"imagesIR/{stem}.png")
        tree.text(f"labels/{stem}.txt", tree.yolo)
    spec, _ = expect(tree, "fusetrain", pairs={"train": 2}, classes=("0",))
    assert "prepare split" in " ".join(spec.layout.notes)


def test_split_first_and_yolofuse_names(tree: Any) -> None:
    for split in ("train", "val", "test"):
        tree.pair(f"{split}/images/{split}.jpg", f"{split}/imagesIR/{split}.png")
        tree.text(f"{split}/labels/{split}.txt", tree.yolo)
    tree.text("classes.txt", "person\ncar\n")
    expect(
        tree,
        "fusetrain",
        pairs={"train": 1, "val": 1, "test": 1},
        classes=("person", "car"),
    )


WORDS = [
    ("visible", "infrared"),
    ("vis", "lwir"),
    ("vi", "ir"),
    ("rgb", "thermal"),
    ("RGB", "T"),
    ("RGB_images", "thermal_images"),
    ("Vis", "TIR"),
]
LABELS = [
    "labels/{split}",
    "{split}/labels",
    "labels",
    "{rgb}/labels",
    "{split}/{rgb}",
    "{rgb}/{split}",
    "{rgb}/{split}/labels",
]


@pytest.mark.parametrize(("rgb", "ir"), WORDS)
@pytest.mark.parametrize("order", ["{modality}/{split}", "{split}/{modality}"])
def test_siblings_in_either_order(tree: Any, rgb: str, ir: str, order: str) -> None:
    for split, count in (("train", 3), ("valid", 2)):
        for number in range(count):
            stem = f"{split}-{number}"
            folders = [order.format(modality=name, split=split) for name in (rgb, ir)]
            tree.pair(f"{folders[0]}/{stem}.png", f"{folders[1]}/{stem}.png")
            tree.text(f"labels/{split}/{stem}.txt", tree.yolo)
    expect(tree, "siblings", pairs={"train": 3, "val": 2}, classes=("0",))


@pytest.mark.parametrize("place", LABELS)
@pytest.mark.parametrize("kind", ["yolo", "voc"])
def test_labels_in_the_usual_places(tree: Any, place: str, kind: str) -> None:
    for split in ("train", "val"):
        folder = place.format(split=split, rgb="visible")
        tree.pair(f"visible/{split}/{split}0.png", f"infrared/{split}/{split}0.png")
        if kind == "yolo":
            tree.text(f"{folder}/{split}0.txt", tree.yolo)
        else:
            tree.text(f"{folder}/{split}0.xml", tree.voc("car"))
    expect(
        tree,
        "siblings",
        pairs={"train": 1, "val": 1},
        classes=("0",) if kind == "yolo" else ("car",),
    )


def test_llvip(tree: Any) -> None:
    for split, stems in (("train", ("010001", "010002")), ("test", ("190001",))):
        for stem in stems:
            tree.pair(f"visible/{split}/{stem}.jpg", f"infrared/{split}/{stem}.jpg")
            tree.text(f"Annotations/{stem}.xml", tree.voc())
    spec, scans = expect(tree, "llvip", pairs={"train": 2, "val": 1})
    assert "VOC XML in Annotations" in spec.layout.sentence
    assert "test" in " ".join(spec.layout.notes)
    assert list(scans["val"].label_paths) == ["Annotations/190001.xml"]


def test_m3fd_with_xml_and_with_json(tree: Any) -> None:
    document: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    document["categories"] = [{"id": 7, "name": "Truck"}, {"id": 3, "name": "Bus"}]
    left, top, right, bottom = tree.box
    for number in range(3):
        tree.pair(f"Vis/{number:05}.png", f"Ir/{number:05}.png")
        tree.text(f"Annotation/{number:05}.xml", tree.voc("People"))
        document["images"].append(
            {"id": str(number), "file_name": f"{number:05}.png", "height": 48, "width": 64}
        )
        document["annotations"].append(
            {
                "id": number,
                "image_id": str(number),
                "category_id": 7,
                "bbox": [left, top, right - left, bottom - top],
            }
        )
    expect(tree, "m3fd", pairs={"train": 3}, classes=("People",))
    for path in (tree.root / "Annotation").iterdir():
        path.unlink()
    tree.text("instances.json", json.dumps(document))
    spec, scans = expect(tree, "m3fd", pairs={"train": 3}, classes=("Truck",))
    assert "COCO JSON in instances.json" in spec.layout.sentence
    assert set(scans["train"].label_paths) == {"instances.json"}


def test_msrs_has_no_labels(tree: Any) -> None:
    for split, stem in (("train", "00001D"), ("test", "00002N")):
        tree.pair(f"{split}/vi/{stem}.png", f"{split}/ir/{stem}.png")
        tree.image(f"{split}/label/{stem}.png", tree.painted()[1])
    spec, _ = expect(tree, "msrs", pairs={"train": 1, "val": 1}, classes=("0",), boxes=False)
    assert spec.layout.sentence.endswith("no labels")


@pytest.mark.parametrize("labels", ["mirrored", "flat", "xml"])
def test_kaist_as_published(tree: Any, labels: str) -> None:
    for recording in ("set00/V000", "set03/V001", "set06/V000"):
        for number in (0, 20):
            stem = f"I{number:05}"
            tree.pair(f"{recording}/visible/{stem}.jpg", f"{recording}/lwir/{stem}.jpg")
            if labels == "mirrored":
                tree.text(f"annotations/{recording}/{stem}.txt", tree.bbgt())
            elif labels == "flat":
                flat = recording.replace("/", "_")
                tree.text(f"annotations/{flat}_{stem}.txt", tree.bbgt())
            else:
                tree.text(f"annotations-xml-new/{recording}/{stem}.xml", tree.voc())
    spec, scans = expect(tree, "kaist", pairs={"train": 4, "val": 2})
    assert "sets 00 to 05 are train" in " ".join(spec.layout.notes)
    assert len(set(scans["train"].index.keys)) == 4


def test_kaist_with_its_lists(tree: Any) -> None:
    for recording in ("set00/V000", "set01/V002"):
        for number in range(3):
            stem = f"I{number:05}"
            tree.pair(f"{recording}/visible/{stem}.jpg", f"{recording}/lwir/{stem}.jpg")
            tree.text(f"annotations/{recording}/{stem}.txt", tree.bbgt("cyclist"))
    tree.text("imageSets/train-all-20.txt", "set00/V000/I00000\nset01/V002/I00002\n")
    tree.text("imageSets/test-all-20.txt", "set00/V000/I00001\n")
    _, scans = expect(tree, "kaist", pairs={"train": 2, "val": 1}, classes=("cyclist",))
    assert list(scans["train"].index.rgb_paths) == [
        "set00/V000/visible/I00000.jpg",
        "set01/V002/visible/I00002.jpg",
    ]


def test_kaist_as_flat_samples(tree: Any) -> None:
    for stem in ("set01_V000_I00001", "set09_V001_I00002"):
        tree.pair(f"images/{stem}_visible.png", f"images/{stem}_lwir.png")
        tree.text(f"annotations/{stem}.txt", tree.bbgt())
    _, scans = expect(tree, "kaist", pairs={"train": 1, "val": 1})
    assert list(scans["train"].index.keys) == ["set01_v000_i00001"]


def test_flir_aligned(tree: Any) -> None:
    for number in range(4):
        stem = f"FLIR_{number:05}"
        tree.pair(f"JPEGImages/{stem}_RGB.jpg", f"JPEGImages/{stem}_PreviewData.jpeg")
        tree.text(f"Annotations/{stem}_PreviewData.xml", tree.voc("bicycle"))
    tree.text("align_train.txt", "".join(f"FLIR_{n:05}_PreviewData\n" for n in (0, 1, 3)))
    tree.text("align_validation.txt", "FLIR_00002_PreviewData\n")
    spec, scans = expect(tree, "flir-aligned", pairs={"train": 3, "val": 1}, classes=("bicycle",))
    assert "align_train.txt" in " ".join(spec.layout.notes)
    assert scans["val"].index.ir_paths[0] == "JPEGImages/FLIR_00002_PreviewData.jpeg"


def test_flir_adas(tree: Any) -> None:
    left, top, right, bottom = tree.box
    for split in ("train", "val"):
        images = []
        for number in range(2):
            stem = f"FLIR_{number:05}"
            tree.pair(f"{split}/RGB/{stem}.jpg", f"{split}/thermal_8_bit/{stem}.jpeg")
            tree.pair(f"{split}/other/{stem}.jpg", f"{split}/thermal_16_bit/{stem}.tiff")
            name = f"thermal_8_bit/{stem}.jpeg"
            images.append({"id": number, "file_name": name, "height": 48, "width": 64})
        boxes = [
            {"id": n, "image_id": n, "category_id": 1, "iscrowd": 0, "bbox": [left, top, 24, 24]}
            for n in range(2)
        ]
        document = {
            "images": images,
            "annotations": boxes,
            "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
        }
        tree.text(f"{split}/thermal_annotations.json", json.dumps(document))
    assert (right - left, bottom - top) == (24, 24)
    spec, _ = expect(tree, "flir-adas", pairs={"train": 2, "val": 2})
    assert "thermal_16_bit" in " ".join(spec.layout.notes)


@pytest.mark.parametrize("border", [0, 100])
def test_dronevehicle_as_published(tree: Any, border: int) -> None:
    left, top, right, bottom = (side + border for side in tree.box)
    size = (64 + 2 * border, 48 + 2 * border)
    corners = (left, top, right, top, right, bottom, left, bottom)
    for split in ("train", "val"):
        for stem in ("00001", "00002"):
            tree.pair(
                f"{split}/{split}img/{stem}.jpg",
                f"{split}/{split}imgr/{stem}.jpg",
                border=border,
            )
            tree.text(
                f"{split}/{split}label/{stem}.xml", tree.polygon("feright car", corners, size)
            )
            tree.text(f"{split}/{split}labelr/{stem}.xml", tree.polygon("car", corners, size))
    spec, scans = expect(
        tree, "dronevehicle", pairs={"train": 2, "val": 2}, classes=("car", "freight car")
    )
    assert spec.storage.border_px == border
    assert any(str(border) in note for note in spec.layout.notes) == bool(border)
    scan = scans["train"]
    assert scan.rgb_labels is not None
    assert scan.ir_labels is not None
    assert scan.rgb_labels.box_classes.tolist() == [1, 1]
    assert scan.ir_labels.box_classes.tolist() == [0, 0]
    np.testing.assert_allclose(scan.ir_labels.boxes, [tree.box_unit] * 2, atol=2e-6)
    index = scan.index
    assert read_rgb(index.rgb_path(0), storage=index.storage).shape == (48, 64, 3)
    assert read_ir(index.ir_path(0), storage=index.storage)[24, 28] > 180


def test_dronevehicle_whose_frame_was_cut_but_not_in_its_labels(tree: Any) -> None:
    left, top, right, bottom = (side + 100 for side in tree.box)
    tree.pair("train/trainimg/1.jpg", "train/trainimgr/1.jpg")
    text = tree.polygon("bus", (left, top, right, top, right, bottom, left, bottom), (264, 248))
    tree.text("train/trainlabel/1.xml", text)
    tree.text("train/trainlabelr/1.xml", text)
    spec, _ = expect(tree, "dronevehicle", pairs={"train": 1}, classes=("bus",))
    assert spec.storage.border_px == 0


def test_vedai_prefers_one_size_and_uses_the_first_fold(tree: Any) -> None:
    left, top, right, bottom = (16 * side for side in tree.box)
    left, right, top, bottom = left, right, top * 4 // 3, bottom * 4 // 3
    line = f"300 300 0.1 1 1 0 {left} {right} {right} {left} {top} {top} {bottom} {bottom}\n"
    for stem in ("00000000", "00000001", "00000002"):
        for size in ("512", "1024"):
            paths = (f"Vehicules{size}/{stem}_{kind}.png" for kind in ("co", "ir"))
            tree.pair(*paths, size=(64, 64))
        tree.text(f"Annotations1024/{stem}.txt", line)
    tree.text("Annotations1024/fold01.txt", "00000000\n00000002\n")
    tree.text("Annotations1024/fold01test.txt", "00000001\n")
    spec, scans = expect(tree, "vedai", pairs={"train": 2, "val": 1}, classes=("car",))
    assert "Vehicules512" in " ".join(spec.layout.notes)
    assert scans["val"].index.rgb_paths[0] == "Vehicules1024/00000001_co.png"


def test_coco_that_names_both_images(tree: Any) -> None:
    left, top, right, bottom = tree.box
    for split, count in (("train", 3), ("val", 1)):
        images, boxes = [], []
        for number in range(count):
            rgb, ir = f"{split}/cam0/{number}.png", f"{split}/cam1/frame{number + 90}.png"
            tree.pair(f"images/{rgb}", f"images/{ir}")
            images.append(
                {"id": number, "file_name": rgb, "ir_file_name": ir, "height": 48, "width": 64}
            )
            box = [left, top, right - left, bottom - top]
            boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": box})
        document = {
            "images": images,
            "annotations": boxes,
            "categories": [{"id": 1, "name": "boat"}],
        }
        tree.text(f"annotations/instances_{split}.json", json.dumps(document))
    _, scans = expect(tree, "coco", pairs={"train": 3, "val": 1}, classes=("boat",))
    assert scans["val"].index.ir_paths[0] == "images/val/cam1/frame90.png"


def test_two_coco_files_joined_by_stem(tree: Any) -> None:
    left, top, right, bottom = tree.box
    for modality, category in (("rgb", 1), ("thermal", 2)):
        document = {
            "images": [{"id": 5, "file_name": "a.png", "height": 48, "width": 64}],
            "annotations": [
                {
                    "id": 1,
                    "image_id": 5,
                    "category_id": category,
                    "bbox": [left, top, right - left, bottom - top],
                }
            ],
            "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
        }
        tree.text(f"{modality}.json", json.dumps(document))
    tree.pair("rgb/a.png", "thermal/a.png")
    _, scans = load(tree)
    scan = scans["train"]
    assert scan.rgb_labels is not None
    assert scan.ir_labels is not None
    assert scan.rgb_labels.box_classes.tolist() == [0]
    assert scan.ir_labels.box_classes.tolist() == [1]


def test_voc_pairs_with_image_sets(tree: Any) -> None:
    for stem in "abcd":
        tree.pair(f"JPEGImages/{stem}.jpg", f"JPEGImagesIR/{stem}.jpg")
        tree.text(f"Annotations/{stem}.xml", tree.voc("dog"))
    tree.text("ImageSets/Main/train.txt", "a\nb\nd\n")
    tree.text("ImageSets/Main/val.txt", "c\n")
    _, scans = expect(tree, "siblings", pairs={"train": 3, "val": 1}, classes=("dog",))
    assert list(scans["val"].index.keys) == ["c"]
