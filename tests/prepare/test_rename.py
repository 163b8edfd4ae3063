from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError
from fusetrain.prepare.rename import plan_rename
from fusetrain.prepare.writing import write_plan


def write_set(root: Path, rgb: Sequence[str], ir: Sequence[str]) -> Path:
    """Write images whose level is their place in the list, and labels of the visible ones."""
    for folder in ("images/train", "imagesIR/train", "labels/train"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(rgb):
        pixels = np.full((40, 60, 3), 10 * number, np.uint8)
        Image.fromarray(pixels).save(root / "images/train" / name)
        stem = name.rpartition(".")[0]
        (root / f"labels/train/{stem}.txt").write_text(f"0 0.5 0.5 0.{number + 1} 0.2\n")
    for number, name in enumerate(ir):
        pixels = np.full((40, 60), 10 * number, np.uint8)
        Image.fromarray(pixels).save(root / "imagesIR/train" / name)
    (root / "data.yaml").write_text("train: images/train\nnames: [person]\n")
    return root


def renamed(root: Path, target: Path, **how: object) -> DatasetIndex:
    write_plan(plan_rename(root, **how), target)  # type: ignore[arg-type]
    return scan_split(load_spec(target), "train").index


def levels(index: DatasetIndex) -> list[tuple[int, int, float]]:
    """Return the number of the visible and infrared image and of the labels of each pair."""
    return [
        (
            int(np.asarray(Image.open(index.rgb_path(row))).flat[0]) // 10,
            int(np.asarray(Image.open(index.ir_path(row))).flat[0]) // 10,
            round(float(index.boxes_cxcywh_unit(row)[0, 2]) * 10) - 1,
        )
        for row in range(len(index))
    ]


def test_words_of_the_modality_go_and_labels_follow(tmp_path: Path) -> None:
    root = write_set(
        tmp_path / "set",
        ["b_rgb.png", "a_rgb.png", "c_rgb.png"],
        ["a_thermal.png", "b_thermal.png", "d_thermal.png"],
    )
    plan = plan_rename(root)
    assert plan.num_pairs == {"train": 2}
    assert sorted(plan.facts["left_out"]) == ["c_rgb.png", "d_thermal.png"]
    index = renamed(root, tmp_path / "new")
    assert list(index.rgb_paths) == ["images/train/a.png", "images/train/b.png"]
    assert levels(index) == [(1, 0, 1), (0, 1, 0)]


def test_names_that_clash_or_are_odd_become_plain_and_unlike(tmp_path: Path) -> None:
    names = ["A.png", "a.png", "cafe\u0301 1.png", "\u56fe 2.png"]
    ir = ["A.png", "a.png", "caf\u00e9 1.png", "\u56fe 2.png"]
    root = write_set(tmp_path / "set", names, ir)
    index = renamed(root, tmp_path / "new")
    assert list(index.keys) == ["2", "a", "a-v2", "cafe_1"]
    assert levels(index) == [(3, 3, 3), (0, 0, 0), (1, 1, 1), (2, 2, 2)]


def test_two_suffixes_of_one_name_keep_their_partners(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", ["a.png", "a.bmp"], ["a.png", "a.bmp"])
    plan = plan_rename(root)
    assert plan.num_pairs == {"train": 2}
    write_plan(plan, tmp_path / "new")
    index = scan_split(load_spec(tmp_path / "new"), "train").index
    assert [one == other for one, other, _ in levels(index)] == [True, True]


def test_order_pairs_first_with_first(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", ["f2.png", "f10.png"], ["t1.png", "t9.png"])
    with pytest.raises(DataError, match="no visible image has a partner by key"):
        plan_rename(root)
    index = renamed(root, tmp_path / "new", by="order")
    assert sorted(levels(index)) == [(0, 0, 0), (1, 1, 1)]


def test_order_needs_equal_counts(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", ["f2.png", "f10.png"], ["t1.png"])
    with pytest.raises(DataError, match="cannot be told by the order") as caught:
        plan_rename(root, by="order")
    assert "2 visible and 1 infrared" in str(caught.value.problems[0])


def test_time_in_names_pairs(tmp_path: Path) -> None:
    root = write_set(
        tmp_path / "set",
        ["1700000000.000.png", "1700000001.000.png", "1700000002.000.png"],
        ["1700000000.990.png", "1700000000.020.png", "1700000003.000.png"],
    )
    index = renamed(root, tmp_path / "new", by="time")
    assert sorted(levels(index)) == [(0, 1, 0), (1, 0, 1)]


def test_time_in_exif_pairs(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", ["p.png", "q.png"], ["x.png", "y.png"])
    for path, moment in (
        ("images/train/p.png", "2024:05:01 10:00:00"),
        ("images/train/q.png", "2024:05:01 10:00:05"),
        ("imagesIR/train/x.png", "2024:05:01 10:00:05"),
        ("imagesIR/train/y.png", "2024:05:01 10:00:00"),
    ):
        image = Image.open(root / path)
        exif = Image.Exif()
        exif[0x8769] = {0x9003: moment}
        image.save(root / path, exif=exif)
    index = renamed(root, tmp_path / "new", by="time")
    assert sorted(levels(index)) == [(0, 1, 0), (1, 0, 1)]


def test_a_set_that_is_fine_keeps_its_names(demo: Path, tmp_path: Path) -> None:
    write_plan(plan_rename(demo), tmp_path / "new")
    for split in ("train", "val"):
        old, new = (scan_split(load_spec(path), split).index for path in (demo, tmp_path / "new"))
        assert new.fingerprint() == old.fingerprint()


def test_slipped_names_are_mended_by_dropping_what_lost_its_partner(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(6)]
    root = write_set(tmp_path / "set", names, names)
    for number in range(2, 5):  # frame 2 was lost in infrared: the others slipped one name forward
        (root / f"imagesIR/train/{number + 1}.png").replace(root / f"imagesIR/train/{number}.png")
    (root / "imagesIR/train/5.png").write_bytes((root / "imagesIR/train/4.png").read_bytes())
    drop = ["images/train/2.png", str(root / "imagesIR/train/5.png")]
    index = renamed(root, tmp_path / "new", by="order", drop=drop)
    assert [pair[:2] for pair in levels(index)] == [(n, n) for n in (0, 1, 3, 4, 5)]
    with pytest.raises(DataError, match="not there"):
        plan_rename(root, drop=["images/train/9.png"])
    assert len(renamed(root, tmp_path / "by key", drop=drop)) == 4
