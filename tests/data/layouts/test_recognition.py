"""What is not recognised, what is ambiguous, and what is said about choices."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusetrain.data.index import scan_split
from fusetrain.data.layouts.border import find_border
from fusetrain.data.layouts.sniff import sniff_text
from fusetrain.data.layouts.words import read_place, without_modality
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError


def test_unknown_folder_says_what_was_seen_and_what_to_write(tree: Any) -> None:
    tree.image("pictures_2020/a.png", tree.painted()[0])
    tree.text("notes.txt", "nothing")
    with pytest.raises(DataError) as caught:
        load_spec(tree.root)
    text = str(caught.value)
    assert caught.value.exit_code == 4
    assert caught.value.where == str(tree.root)
    for words in ("pictures_2020/, notes.txt", "1 images", "known: images/ + imagesIR/", "ir: {"):
        assert words in text


def test_folder_of_several_sets_asks_for_one(tree: Any) -> None:
    tree.pair("one/visible/a.png", "one/infrared/a.png")
    tree.pair("two/Vis/a.png", "two/Ir/a.png")
    with pytest.raises(DataError, match="several data sets") as caught:
        load_spec(tree.root)
    assert "one/visible with one/infrared" in str(caught.value)
    assert "two/Vis with two/Ir" in str(caught.value)


def test_two_layouts_that_fit_equally_well_are_refused(tree: Any) -> None:
    for rgb in ("cam_visible", "new_visible"):
        tree.pair(f"{rgb}/a.png", "infrared_x/a.png")
    with pytest.raises(DataError, match="several folders could be a modality") as caught:
        load_spec(tree.root)
    assert "cam_visible with infrared_x or new_visible with infrared_x" in str(caught.value)


def test_the_more_specific_layout_wins_and_the_other_is_named(tree: Any) -> None:
    tree.pair("images/a.png", "imagesIR/a.png")
    tree.pair("visible/a.png", "infrared/a.png")
    spec = load_spec(tree.root)
    assert spec.layout.name == "fusetrain"
    assert "also there, not used: infrared, visible" in spec.layout.notes


def test_other_label_folders_are_named(tree: Any) -> None:
    tree.pair("visible/a.png", "infrared/a.png")
    tree.text("labels/a.txt", tree.yolo)
    tree.text("Annotations/a.xml", tree.voc())
    spec = load_spec(tree.root)
    assert "YOLO txt in labels" in spec.layout.sentence
    assert "other labels, not used: Annotations" in spec.layout.notes


def test_siblings_without_a_common_name_are_orphans_not_unknown(tree: Any) -> None:
    tree.pair("visible/a.png", "infrared/b.png")
    scan = scan_split(load_spec(tree.root), "train")
    assert [orphan.path for orphan in scan.pairing.rgb_only] == ["visible/a.png"]
    assert [orphan.path for orphan in scan.pairing.ir_only] == ["infrared/b.png"]


def test_siblings_with_suffixes_are_matched(tree: Any) -> None:
    for number in range(3):
        tree.pair(f"RGB/f{number}_rgb.png", f"IR/f{number}_ir.png")
        tree.text(f"labels/f{number}.txt", tree.yolo)
    scan = scan_split(load_spec(tree.root), "train")
    assert list(scan.index.keys) == ["f0", "f1", "f2"]
    assert scan.index.has_labels.all()


def test_labels_of_infrared_alone_count_for_both(tree: Any) -> None:
    tree.pair("rgb/a.png", "ir/a.png")
    tree.text("ir/labels/a.txt", tree.yolo)
    spec = load_spec(tree.root)
    scan = scan_split(spec, "train")
    assert list(scan.label_paths) == ["ir/labels/a.txt"]
    assert scan.ir_labels is None
    assert len(scan.index.boxes) == 1


def test_list_that_names_other_images_is_not_used(tree: Any) -> None:
    for stem in "abc":
        tree.pair(f"vis/{stem}.png", f"ir/{stem}.png")
    tree.text("train.txt", "x\ny\nz\n")
    assert set(load_spec(tree.root).splits) == {"train"}
    assert len(scan_split(load_spec(tree.root), "train").index) == 3


def test_lines_of_a_list_without_image_are_counted(tree: Any) -> None:
    for stem in "abc":
        tree.pair(f"vis/{stem}.png", f"ir/{stem}.png")
    tree.text("train.txt", "a.png\n./vis/b.png\nnowhere\n")
    tree.text("val.txt", "C\n")
    spec = load_spec(tree.root)
    assert {split: len(scan_split(spec, split).index) for split in spec.splits} == {
        "train": 2,
        "val": 1,
    }
    assert "1 lines of these lists name no image of the set" in spec.layout.notes


def test_split_without_infrared_folder_is_named(tree: Any) -> None:
    tree.pair("images/val/a.png", "imagesIR/val/a.png")
    tree.image("images/train/b.png", tree.painted()[0])
    spec = load_spec(tree.root)
    assert set(spec.splits) == {"val"}
    assert "also there, not used: images/train" in spec.layout.notes


def test_many_recordings_are_recognised_in_time(tree: Any) -> None:
    for number in range(500):
        for name in ("visible", "lwir", "labels"):
            folder = tree.root / f"rec{number:04}" / name
            folder.mkdir(parents=True)
            (folder / f"f.{'txt' if name == 'labels' else 'png'}").write_text("0 .5 .5 .1 .1\n")
    start = time.perf_counter()
    spec = load_spec(tree.root)
    assert time.perf_counter() - start < 10
    assert len(spec.splits["train"]) == 500
    assert spec.splits["train"][7].label_folder == "rec0007/labels"


def test_link_out_of_the_folder_is_refused(tree: Any, tmp_path: Path) -> None:
    tree.pair("visible/a.png", "infrared/a.png")
    (tree.root / "infrared").rename(tmp_path / "elsewhere")
    (tree.root / "infrared").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="through a link"):
        load_spec(tree.root)


def test_damaged_json_is_noted_and_left_alone(tree: Any) -> None:
    tree.pair("visible/a.png", "infrared/a.png")
    tree.text("train.json", '{"images": [')
    spec = load_spec(tree.root)
    assert any("train.json is not used" in note for note in spec.layout.notes)


@pytest.mark.parametrize(
    ("path", "split", "modality", "kept"),
    [
        ("visible/train", "train", "rgb", "visible/train"),
        ("val/T", "val", "ir", "val/T"),
        ("set00/V000/lwir", "", "ir", "set00/V000/lwir"),
        ("train/trainimgr", "train", "ir", "train/trainimgr"),
        ("images_thermal_train/data/seq1", "train", "ir", "images_thermal_train/data"),
        ("cropinfrared", "", "ir", "cropinfrared"),
        ("JPEGImages", "", None, "JPEGImages"),
        ("training/notes", "train", None, "training"),
        ("stuff", "", None, ""),
    ],
)
def test_paths_are_read_by_their_words(
    path: str, split: str, modality: str | None, kept: str
) -> None:
    place = read_place(path)
    assert (place.split, place.modality, place.path) == (split, modality, kept)


def test_plain_name_of_an_infrared_folder() -> None:
    assert without_modality("imagesIR") == "images"
    assert without_modality("JPEGImages_ir") == "JPEGImages"
    assert without_modality("thermal") == without_modality("notes") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 .5 .5 .1 .1\n", "yolo"),
        ("\n% bbGt version=3\n", "kaist"),
        ("person 1 2 3 4 0 0 0 0 0 0 0\n", "kaist"),
        ("690.4 87.6 1.24 1 1 0 676 695 703 688 75 71 102 103\n", "vedai"),
        ("0 .1 .1 .2 .1 .2 .2 .1 .2\n", "obb"),
        ("imagesource:x\ngsd:1\n1 1 2 1 2 2 1 2 plane 0\n", "obb"),
        ("hello world\n", None),
        ("", None),
    ],
)
def test_format_is_told_from_the_first_line(text: str, expected: str | None) -> None:
    assert sniff_text(text) == expected


def test_border_needs_white_on_all_sides_of_all_images(tree: Any) -> None:
    for stem in "ab":
        tree.pair(f"rgb/{stem}.jpg", f"ir/{stem}.jpg", border=100)
    paths = sorted((tree.root / "rgb").iterdir())
    assert find_border(paths) == 100
    tree.pair("rgb/c.jpg", "ir/c.jpg", size=(264, 248))
    assert find_border(sorted((tree.root / "rgb").iterdir())) == 0
    tree.image("blank.png", tree.painted()[1].point(lambda value: 255).resize((264, 248)))
    assert find_border([tree.root / "blank.png"]) == 0
    assert find_border([tree.root / "missing.png"]) == 0


EXPECTED = [
    ("dronevehicle", "dronevehicle", {"train": 6}, 47),
    ("flir-roadscene", "roadscene", {"train": 12}, 67),
    ("kaist", "kaist", {"test": 9}, 59),
    ("llvip", "llvip", {"train": 5, "val": 6}, 0),
    ("m3fd", "m3fd", {"train": 3}, 40),
    ("msrs", "msrs", {"test": 5}, 0),
    ("uint16-multipage-tiff", "rgbt", {"train": 1}, 0),
    ("vedai", "vedai", {"train": 3}, 14),
]


@pytest.mark.parametrize(("folder", "name", "pairs", "num_boxes"), EXPECTED)
def test_native_samples_are_recognised(
    samples: Path, folder: str, name: str, pairs: dict[str, int], num_boxes: int
) -> None:
    spec = load_spec(samples / folder)
    scans = {split: scan_split(spec, split) for split in spec.splits}
    assert spec.layout.name == name
    assert {split: len(scan.index) for split, scan in scans.items()} == pairs
    assert sum(len(scan.index.boxes) for scan in scans.values()) == num_boxes
    for scan in scans.values():
        low = scan.index.boxes[:, :2] - scan.index.boxes[:, 2:] / 2
        high = scan.index.boxes[:, :2] + scan.index.boxes[:, 2:] / 2
        assert np.all(low >= -1e-6)
        assert np.all(high <= 1 + 1e-6)
