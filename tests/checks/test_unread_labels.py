"""L13: files with boxes among the labels that nothing is read from, and what is none of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fusetrain.checks.audit import audit_path

from ..conftest import MakePairs

BOX = "0 .5 .5 .25 .25\n"
LABELS = "labels/train"


def unread(path: Path) -> dict[str, str]:
    """Return the files that L13 names, with what it says of them."""
    findings = audit_path(path, workers=1).findings
    return {found.path: found.message for found in findings if found.code == "L13"}


def test_label_whose_both_images_are_lost_is_told(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    for folder in ("images/train", "imagesIR/train"):
        next((path.parent / folder).glob("train_002.*")).unlink()
    assert unread(path) == {f"{LABELS}/train_002.txt": "no image has its name"}


def test_label_under_another_name_is_told_beside_the_pair_that_lacks_it(
    make_pairs: MakePairs,
) -> None:
    path = make_pairs(train=4, val=2)
    label = path.parent / LABELS / "train_001.txt"
    label.rename(label.with_name("frame_001.txt"))
    assert unread(path) == {f"{LABELS}/frame_001.txt": "no image has its name"}
    assert audit_path(path, workers=1).counts["L09"] == 1


def test_label_of_an_image_without_partner_is_a_consequence_only(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    next((path.parent / "imagesIR/train").glob("train_002.*")).unlink()
    assert unread(path) == {}


def test_second_label_file_of_a_pair_is_told_with_the_one_that_is_read(
    make_pairs: MakePairs,
) -> None:
    path = make_pairs(train=4, val=2)
    (path.parent / LABELS / "Train_001.txt").write_text(BOX)
    first, second = sorted(("Train_001.txt", "train_001.txt"))
    assert unread(path) == {f"{LABELS}/{second}": f"{LABELS}/{first} is read"}


def test_labels_that_all_have_other_names_are_one_finding(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    for label in sorted((path.parent / LABELS).iterdir()):
        label.rename(label.with_name(f"boxes_{label.name}"))
    told = {f"{LABELS}/boxes_train_000.txt": "none of the 4 label files has the name of an image"}
    assert unread(path) == told


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "person\ncar\n"),
        ("notes.txt", "boxes of the first day were drawn on infrared\n"),
        ("background.txt", ""),
    ],
)
def test_files_without_boxes_are_no_labels(make_pairs: MakePairs, name: str, text: str) -> None:
    path = make_pairs(train=4, val=2)
    (path.parent / LABELS / name).write_text(text)
    assert unread(path) == {}


def test_nothing_is_missed_where_lists_pick_the_images(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    images = sorted((path.parent / "images/train").iterdir())
    chosen = path.parent / "train.txt"
    chosen.write_text("".join(f"./images/train/{image.name}\n" for image in images[:3]))
    path.write_text(path.read_text().replace("images/train", "train.txt"))
    assert len(audit_path(path, workers=1).scans["train"].index) == 3
    assert unread(path) == {}


def test_splits_that_share_a_folder_of_labels_miss_nothing(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    path.write_text(path.read_text().replace("images/val", "images/train"))
    next((path.parent / "images/train").glob("train_002.*")).unlink()
    next((path.parent / "imagesIR/train").glob("train_002.*")).unlink()
    assert unread(path) == {}


def test_a_folder_of_labels_within_another_is_not_missed_there(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    root = path.parent
    for folder in ("images", "imagesIR", "labels"):
        (root / folder / "val").rename(root / folder / "train" / "val")
        for held in (root / folder / "train" / "val").iterdir():
            if folder != "labels":
                held.rename(root / folder / "train" / held.name)
    path.write_text(path.read_text().replace("images/val", "images/train/val"))
    (root / "images/train/val").mkdir(exist_ok=True)
    assert unread(path) == {}


def renamed(path: Path, rgb: str, ir: str) -> Path:
    """Give the images of a set suffixes, and say so in its YAML."""
    for folder, suffix in (("images", rgb), ("imagesIR", ir)):
        for image in sorted((path.parent / folder).rglob("*.*")):
            image.rename(image.with_stem(image.stem + suffix))
    path.write_text(path.read_text() + f'suffixes: {{rgb: "{rgb}", ir: "{ir}"}}\n')
    return path


def test_labels_of_pairs_with_suffixes_are_looked_for_by_their_key(make_pairs: MakePairs) -> None:
    path = renamed(make_pairs(train=4, val=2), "_visible", "_lwir")
    assert audit_path(path, workers=1).scans["train"].index.has_labels.all()
    assert unread(path) == {}


def test_labels_named_after_one_image_of_a_pair_are_one_finding(make_pairs: MakePairs) -> None:
    path = renamed(make_pairs(train=4, val=2), "_visible", "_lwir")
    for label in sorted((path.parent / LABELS).iterdir()):
        label.rename(label.with_stem(label.stem + "_visible"))
    message = f"labels of its image and of 3 others are looked for as {LABELS}/train_000.txt"
    assert unread(path) == {f"{LABELS}/train_000_visible.txt": message}


def test_a_second_label_file_is_told_only_for_an_image_that_is_there(
    make_pairs: MakePairs,
) -> None:
    path = make_pairs(train=4, val=2)
    (path.parent / LABELS / "TRAIN_001.txt").write_text(BOX)
    images = sorted((path.parent / "images/train").iterdir())
    (path.parent / "train.txt").write_text(f"./images/train/{images[0].name}\n")
    path.write_text(path.read_text().replace("images/train", "train.txt"))
    assert unread(path) == {}


def test_both_label_sets_are_looked_through(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    second = path.parent / "labelsIR"
    shutil.copytree(path.parent / "labels", second)
    (second / "train" / "lost.txt").write_text(BOX)
    path.write_text(path.read_text() + "ir_labels: {imagesIR: labelsIR}\n")
    assert unread(path) == {"labelsIR/train/lost.txt": "no image has its name"}
