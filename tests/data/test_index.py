from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusetrain.checks.audit import audit_path
from fusetrain.data.index import DatasetIndex, PackedPaths, count_pairs, scan_split
from fusetrain.data.spec import load_spec

MakePairs = Callable[..., Path]


def scan_train(path: Path) -> DatasetIndex:
    return scan_split(load_spec(path), "train").index


def test_index_holds_paths_and_boxes_of_every_pair(make_pairs: MakePairs) -> None:
    path = make_pairs(train=3)
    index = scan_train(path)
    assert len(index) == 3
    assert index.class_names == ("person", "car")
    assert index.rgb_path(1) == path.parent / "images/train/train_001.jpg"
    assert index.ir_path(1) == path.parent / "imagesIR/train/train_001.png"
    for row in range(3):
        assert index.boxes_cxcywh_unit(row).tolist() == [
            [0.25, 0.5, 0.25, 0.5],
            pytest.approx([0.75, 0.5, 0.3, 0.6]),
        ]
        assert index.classes(row).tolist() == [0, 1]
    with pytest.raises(IndexError):
        index.rgb_path(3)
    with pytest.raises(IndexError):
        index.classes(-1)


def test_index_cannot_be_written_to(make_pairs: MakePairs) -> None:
    index = scan_train(make_pairs())
    with pytest.raises(ValueError, match="read-only"):
        index.boxes_cxcywh_unit(0)[0, 0] = 1.0


def test_missing_label_file_is_background_and_known_as_missing(make_pairs: MakePairs) -> None:
    path = make_pairs(train=3)
    (path.parent / "labels/train/train_001.txt").unlink()
    (path.parent / "labels/train/train_002.txt").write_text("")
    scan = scan_split(load_spec(path), "train")
    assert scan.index.has_labels.tolist() == [True, False, True]
    assert [len(scan.index.classes(row)) for row in range(3)] == [2, 0, 0]
    assert list(scan.label_paths)[1] == "labels/train/train_001.txt"


def test_bad_lines_are_left_out_and_good_ones_keep_their_line_numbers(
    make_pairs: MakePairs,
) -> None:
    path = make_pairs(train=2)
    label = path.parent / "labels/train/train_001.txt"
    label.write_text("9 .5 .5 .1 .1\n1 .5 .5 .1 .1\n")
    scan = scan_split(load_spec(path), "train")
    assert scan.index.classes(1).tolist() == [1]
    assert scan.box_lines.tolist() == [1, 2, 2]
    (problem,) = scan.label_problems
    assert (problem.code, problem.path, problem.line) == ("L02", "labels/train/train_001.txt", 1)


def test_files_in_subfolders_and_with_any_case_are_paired(make_pairs: MakePairs) -> None:
    path = make_pairs(train=1)
    root = path.parent
    for part, name in (("images", "N.JPG"), ("imagesIR", "n.Png"), ("labels", "n.txt")):
        (root / part / "train" / "Seq 1").mkdir()
        next((root / part / "train").glob("train_000.*")).rename(
            root / part / "train" / "Seq 1" / name
        )
    (root / "images/train/.hidden.jpg").write_bytes(b"")
    (root / "images/train/notes.md").write_bytes(b"")
    index = scan_train(path)
    assert list(index.rgb_paths) == ["images/train/Seq 1/N.JPG"]
    assert list(index.ir_paths) == ["imagesIR/train/Seq 1/n.Png"]
    assert len(index.classes(0)) == 2


@pytest.mark.fault(40)
def test_link_to_itself_is_a_picture_that_cannot_be_read(make_pairs: MakePairs) -> None:
    path = make_pairs()
    picture = path.parent / "images/train/train_001.jpg"
    picture.unlink()
    picture.symlink_to(picture.name)
    report = audit_path(path)
    assert [(entry.code, entry.path) for entry in report.findings if entry.level == "error"] == [
        ("I01", "images/train/train_001.jpg")
    ]


def test_loop_of_links_ends(make_pairs: MakePairs) -> None:
    path = make_pairs(train=2)
    (path.parent / "images/train/again").symlink_to(path.parent / "images/train")
    assert len(scan_train(path)) == 2


def test_list_file_picks_pairs_and_makes_no_infrared_orphans(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4)
    (path.parent / "list.txt").write_text("images/train/train_002.jpg\n")
    path.write_text(path.read_text().replace("train: images/train", "train: list.txt"))
    scan = scan_split(load_spec(path), "train")
    assert list(scan.index.rgb_paths) == ["images/train/train_002.jpg"]
    assert scan.pairing.rgb_only == scan.pairing.ir_only == ()


def test_folders_with_equal_names_in_them_stay_apart(make_pairs: MakePairs) -> None:
    path = make_pairs(train=2, val=2)
    for part in ("images", "imagesIR", "labels"):
        for file in (path.parent / part / "val").iterdir():
            file.rename(file.with_name(file.name.replace("val", "train")))
    text = path.read_text().replace("train: images/train", "train: [images/train, images/val]")
    path.write_text(text)
    index = scan_train(path)
    assert len(index) == 4
    assert len(set(index.keys)) == 4
    for row in range(4):
        assert index.rgb_path(row).parent.name == index.ir_path(row).parent.name


def test_count_agrees_with_the_scan_without_reading_anything(make_pairs: MakePairs) -> None:
    path = make_pairs(train=5)
    (path.parent / "imagesIR/train/train_003.png").unlink()
    for file in path.parent.rglob("*.jpg"):
        file.write_bytes(b"")
    spec = load_spec(path)
    assert count_pairs(spec, "train") == len(scan_split(spec, "train").index) == 4


def test_fingerprint_changes_with_names_sizes_and_labels_only(make_pairs: MakePairs) -> None:
    path = make_pairs()
    root = path.parent
    before = scan_train(path).fingerprint()
    assert len(before) == 64
    os.utime(root / "images/train/train_000.jpg", (0, 0))
    assert scan_train(path).fingerprint() == before
    moved = root.rename(root.with_name("moved"))
    assert scan_train(moved / "data.yaml").fingerprint() == before
    changes = [
        lambda: (moved / "labels/train/train_000.txt").write_text("0 .5 .5 .1 .1\n"),
        lambda: (moved / "images/train/train_001.jpg").write_bytes(b"other size"),
        lambda: (moved / "imagesIR/train/train_001.png").write_bytes(b"other size"),
        lambda: (moved / "imagesIR/train/train_002.png").unlink(),
        lambda: path_with_names(moved / "data.yaml"),
    ]
    seen = {before}
    for change in changes:
        change()
        seen.add(scan_train(moved / "data.yaml").fingerprint())
    assert len(seen) == 1 + len(changes)


def path_with_names(path: Path) -> None:
    path.write_text(path.read_text().replace("person", "walker"))


def test_index_survives_pickling_and_stays_small(make_pairs: MakePairs) -> None:
    index = scan_train(make_pairs(train=6))
    data = pickle.dumps(index)
    copy = pickle.loads(data)
    assert copy.fingerprint() == index.fingerprint()
    assert copy.rgb_path(5) == index.rgb_path(5)
    np.testing.assert_array_equal(copy.boxes_cxcywh_unit(3), index.boxes_cxcywh_unit(3))


PATHS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=20)


@given(PATHS)
def test_packed_paths_come_back_unchanged(paths: list[str]) -> None:
    packed = PackedPaths.pack(paths)
    assert len(packed) == len(paths)
    assert list(packed) == paths


@pytest.mark.fault(40)
def test_names_that_are_no_text_survive(make_pairs: MakePairs) -> None:
    path = make_pairs(train=1)
    for part in ("images", "imagesIR"):
        (file,) = (path.parent / part / "train").iterdir()
        name = os.fsencode(file.parent) + b"/\xff\n[red]" + os.fsencode(file.suffix)
        os.rename(os.fsencode(file), name)
    index = scan_train(path)
    assert index.rgb_path(0).is_file()
    assert index.ir_path(0).is_file()
