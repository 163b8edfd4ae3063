"""Every layout is trained on as it lies there, and survives a conversion with equal boxes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusetrain.cli.app import run
from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.spec import load_spec

from ..data.layouts.conftest import Tree

CONFIG = """\
model: {width: 0.25}
train: {epochs: 1, batch: 2, imgsz: 64, threads: 1, device: cpu, amp: false}
schedule: {warmup: {epochs: 0}}
run: {project: runs}
"""
TRAIN, VAL = ("a1", "b2", "c3"), ("d4", "e5")
LEFT, TOP, RIGHT, BOTTOM = Tree.box


def native(tree: Tree) -> None:
    for split, stems in (("train", TRAIN), ("val", VAL)):
        for stem in stems:
            tree.pair(f"images/{split}/{stem}.jpg", f"imagesIR/{split}/{stem}.png")
            tree.text(f"labels/{split}/{stem}.txt", tree.yolo)


def siblings(tree: Tree) -> None:
    for split, stems in (("train", TRAIN), ("test", VAL)):
        for stem in stems:
            tree.pair(f"{split}/visible/{stem}.png", f"{split}/infrared/{stem}.png")
            tree.text(f"{split}/labels/{stem}.txt", tree.yolo)


def llvip(tree: Tree) -> None:
    for split, stems in (("train", TRAIN), ("test", VAL)):
        for stem in stems:
            tree.pair(f"visible/{split}/{stem}.jpg", f"infrared/{split}/{stem}.jpg")
            tree.text(f"Annotations/{stem}.xml", tree.voc())


def m3fd(tree: Tree) -> None:
    for stem in ("aa", "bb", "cc", "dd", "ee", "ff"):  # no frames of one recording
        tree.pair(f"Vis/{stem}.png", f"Ir/{stem}.png")
        tree.text(f"Annotation/{stem}.xml", tree.voc("People"))


def kaist(tree: Tree) -> None:
    for recording in ("set00/V000", "set03/V001", "set06/V000"):
        for stem in ("I00000", "I00020"):
            tree.pair(f"{recording}/visible/{stem}.jpg", f"{recording}/lwir/{stem}.jpg")
            tree.text(f"annotations/{recording}/{stem}.txt", tree.bbgt())


def flir_aligned(tree: Tree) -> None:
    for stem in (*TRAIN, *VAL):
        tree.pair(f"JPEGImages/{stem}_RGB.jpg", f"JPEGImages/{stem}_PreviewData.jpeg")
        tree.text(f"Annotations/{stem}_PreviewData.xml", tree.voc("bicycle"))
    tree.text("align_train.txt", "".join(f"{stem}_PreviewData\n" for stem in TRAIN))
    tree.text("align_validation.txt", "".join(f"{stem}_PreviewData\n" for stem in VAL))


def coco_document(names: dict[str, str | None]) -> str:
    images = [
        {"id": number, "file_name": rgb, "height": 48, "width": 64}
        | ({"ir_file_name": ir} if ir else {})
        for number, (rgb, ir) in enumerate(names.items())
    ]
    box = [LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP]
    boxes = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": box, "iscrowd": 0}
        for number in range(len(names))
    ]
    categories = [{"id": 1, "name": "person"}]
    return json.dumps({"images": images, "annotations": boxes, "categories": categories})


def flir_adas(tree: Tree) -> None:
    for split, stems in (("train", TRAIN), ("val", VAL)):
        for stem in stems:
            tree.pair(f"{split}/RGB/{stem}.jpg", f"{split}/thermal_8_bit/{stem}.jpeg")
        names: dict[str, str | None] = {f"thermal_8_bit/{stem}.jpeg": None for stem in stems}
        tree.text(f"{split}/thermal_annotations.json", coco_document(names))


def dronevehicle(tree: Tree) -> None:
    left, top, right, bottom = (side + 100 for side in tree.box)
    corners = (left, top, right, top, right, bottom, left, bottom)
    for split, stems in (("train", TRAIN), ("val", VAL)):
        for stem in stems:
            paths = (f"{split}/{split}{part}/{stem}.jpg" for part in ("img", "imgr"))
            tree.pair(*paths, border=100)
            for part in ("label", "labelr"):
                text = tree.polygon("car", corners, (264, 248))
                tree.text(f"{split}/{split}{part}/{stem}.xml", text)


def vedai(tree: Tree) -> None:
    left, right, top, bottom = 16 * LEFT, 16 * RIGHT, 16 * TOP * 4 // 3, 16 * BOTTOM * 4 // 3
    line = f"300 300 0.1 1 1 0 {left} {right} {right} {left} {top} {top} {bottom} {bottom}\n"
    for stem in (*TRAIN, *VAL):
        tree.pair(*(f"Vehicules512/{stem}_{kind}.png" for kind in ("co", "ir")), size=(64, 64))
        tree.text(f"Annotations1024/{stem}.txt", line)
    tree.text("Annotations1024/fold01.txt", "\n".join(TRAIN))
    tree.text("Annotations1024/fold01test.txt", "\n".join(VAL))


def coco(tree: Tree) -> None:
    for split, stems in (("train", TRAIN), ("val", VAL)):
        names = {f"{split}/cam0/{stem}.png": f"{split}/cam1/{stem}9.png" for stem in stems}
        for rgb, ir in names.items():
            tree.pair(f"images/{rgb}", f"images/{ir}")
        tree.text(f"annotations/instances_{split}.json", coco_document({**names}))


def two_coco_files(tree: Tree) -> None:
    stems = (*TRAIN, *VAL)
    for stem in stems:
        tree.pair(f"rgb/{stem}.png", f"thermal/{stem}.png")
    for modality in ("rgb", "thermal"):
        tree.text(f"{modality}.json", coco_document({f"{stem}.png": None for stem in stems}))


def voc_pairs(tree: Tree) -> None:
    for stem in (*TRAIN, *VAL):
        tree.pair(f"JPEGImages/{stem}.jpg", f"JPEGImagesIR/{stem}.jpg")
        tree.text(f"Annotations/{stem}.xml", tree.voc("dog"))
    tree.text("ImageSets/Main/train.txt", "\n".join(TRAIN))
    tree.text("ImageSets/Main/val.txt", "\n".join(VAL))


def four_channels(tree: Tree) -> None:
    for split, stems in (("train", TRAIN), ("val", VAL)):
        for stem in stems:
            rgb, ir = tree.painted()
            both = np.concatenate([np.asarray(rgb), np.asarray(ir)[..., None]], axis=2)
            tree.image(f"images/{split}/{stem}.png", Image.fromarray(both))
            tree.text(f"labels/{split}/{stem}.txt", tree.yolo)
    text = "train: images/train\nval: images/val\nnames: [person]\nchannels: rgbt\n"
    tree.text("data.yaml", text)


LAYOUTS: dict[str, Callable[[Tree], None]] = {
    made.__name__: made
    for made in (
        native,
        siblings,
        llvip,
        m3fd,
        kaist,
        flir_aligned,
        flir_adas,
        dronevehicle,
        vedai,
        coco,
        two_coco_files,
        voc_pairs,
        four_channels,
    )
}


@pytest.fixture(params=list(LAYOUTS))
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set in one of the layouts, in a folder that is the working one; `val` is split off."""
    monkeypatch.chdir(tmp_path)
    Path("train.yaml").write_text(CONFIG)
    LAYOUTS[request.param](Tree(tmp_path / "set"))
    if "val" in load_spec(Path("set")).splits:
        return Path("set")
    words = ["split", "set", "--out", "dealt", "--ratios", "0.7", "0.3", "0", "--names-only"]
    assert run(["prepare", *words]) == 0
    return Path("dealt")


def indexes(path: Path) -> dict[str, DatasetIndex]:
    spec = load_spec(path)
    return {split: scan_split(spec, split).index for split in spec.splits}


@pytest.mark.slow
def test_layout_is_trained_on_as_it_lies_there(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    # The painted rectangle is the same in both images and in every pair.
    accepted = [word for code in ("P06", "P09") for word in ("--allow", code)]
    assert run(["train", "--config", "train.yaml", "--data", str(folder), *accepted]) == 0
    assert Path("runs/exp/weights/best.safetensors").is_file()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize("to", ["fusetrain", "coco", "voc", "yolo"])
def test_conversion_keeps_every_box(folder: Path, to: str) -> None:
    assert run(["prepare", "convert", str(folder), "--to", to, "--out", "made"]) == 0
    given, made = indexes(folder), indexes(Path("made"))
    assert made.keys() == given.keys()
    for split, index in given.items():
        assert len(index) == len(made[split]) > 0
        assert len(index.boxes) > 0
        for one, other in rows(index, made[split]):
            np.testing.assert_allclose(one[0], other[0], atol=1e-6)
            assert one[1] == other[1]


def rows(one: DatasetIndex, other: DatasetIndex) -> list[tuple[Any, Any]]:
    """Return boxes and class names of the pairs of both, ordered by where the boxes came from."""

    def contents(index: DatasetIndex) -> list[tuple[Any, list[str]]]:
        return [
            (index.boxes_cxcywh_unit(row), [index.class_names[c] for c in index.classes(row)])
            for row in range(len(index))
        ]

    return list(zip(contents(one), contents(other), strict=True))
