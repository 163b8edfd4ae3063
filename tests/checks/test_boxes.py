"""L11 and L12: boxes by another convention, and two label sets that disagree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusetrain.checks.boxes import check_agreement, check_corners, iou
from fusetrain.data.index import LabelColumns, SplitScan, scan_split
from fusetrain.data.labels import read_labels
from fusetrain.data.spec import load_spec

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
FOUND = DATA / "native-samples/flir-roadscene/labels_as_found_txt"
Boxes = NDArray[np.floating[Any]]


def scan_of(make_pairs: Any, boxes: Boxes) -> SplitScan:
    """Return a scan with these boxes in its first pair."""
    scan = scan_split(load_spec(make_pairs()), "train")
    ends = np.full(len(scan.index), len(boxes), np.int64)
    index = replace(
        scan.index,
        boxes=boxes.astype(np.float32),
        box_ends=ends,
        box_classes=np.zeros(len(boxes), np.int64),
    )
    return replace(scan, index=index)


def street(seed: int, number: int = 120) -> Boxes:
    """Return cx, cy, w, h of objects all over an image, those at its edges cut off."""
    rng = np.random.Generator(np.random.PCG64(seed))
    centre = rng.uniform(-0.05, 1.05, (number, 2))
    size = rng.uniform(0.03, 0.3, (number, 2))
    low, high = np.clip(centre - size / 2, 0, 1), np.clip(centre + size / 2, 0, 1)
    kept = (high - low > 0.01).all(axis=1)
    return np.concatenate([(low + high) / 2, high - low], axis=1)[kept]


def clipped(boxes: Boxes) -> Boxes:
    low = np.clip(boxes[:, :2] - boxes[:, 2:] / 2, 0, 1)
    high = np.clip(boxes[:, :2] + boxes[:, 2:] / 2, 0, 1)
    return np.concatenate([(low + high) / 2, high - low], axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_centres_pass_and_corners_are_told(seed: int, make_pairs: Any) -> None:
    boxes = street(seed)
    assert check_corners(scan_of(make_pairs, boxes)) == []
    corner = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)
    (found,) = check_corners(scan_of(make_pairs, clipped(corner)))
    assert (found.code, found.level, found.split) == ("L12", "warn", "train")
    assert "upper left corner" in found.message
    two = np.concatenate([corner[:, :2], boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    (found,) = check_corners(scan_of(make_pairs, clipped(two)))
    assert "two corners" in found.message


def test_large_boxes_in_the_middle_and_few_boxes_pass(make_pairs: Any) -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    middle = np.concatenate(
        [rng.uniform(0.45, 0.55, (50, 2)), rng.uniform(0.4, 0.7, (50, 2))], axis=1
    )
    assert check_corners(scan_of(make_pairs, middle)) == []
    upper_left = np.concatenate(
        [rng.uniform(0.05, 0.3, (50, 2)), rng.uniform(0.02, 0.1, (50, 2))], axis=1
    )
    assert check_corners(scan_of(make_pairs, upper_left)) == []
    assert check_corners(scan_of(make_pairs, np.zeros((0, 4)))) == []


@pytest.mark.skipif(not FOUND.is_dir(), reason="the shared development data are not here")
def test_labels_as_found_in_the_wild(make_pairs: Any) -> None:
    read = [read_labels(path, 100).boxes_cxcywh_unit for path in sorted(FOUND.iterdir())]
    (found,) = check_corners(scan_of(make_pairs, np.concatenate(read)))
    assert found.code == "L12"
    for split in ("train", "val"):
        scan = scan_split(load_spec(DATA / "roadscene-flir"), split)
        assert check_corners(scan) == []


def columns(boxes: Boxes, ends: list[int], classes: list[int] | None = None) -> LabelColumns:
    return LabelColumns(
        np.array(ends, np.int64),
        boxes.astype(np.float32),
        np.array(classes or [0] * len(boxes), np.int64),
    )


def agreement_of(make_pairs: Any, rgb: LabelColumns, ir: LabelColumns) -> list[Any]:
    scan = scan_split(load_spec(make_pairs()), "train")
    return check_agreement(replace(scan, rgb_labels=rgb, ir_labels=ir))


GRID = np.array([[x, y, 0.1, 0.1] for x in (0.2, 0.5, 0.8) for y in (0.2, 0.5, 0.8)])


def test_equal_label_sets_agree_in_any_order(make_pairs: Any) -> None:
    assert agreement_of(make_pairs, columns(GRID, [4, 4, 9, 9]), columns(GRID, [4, 4, 9, 9])) == []
    order = [3, 1, 0, 2, 8, 7, 6, 5, 4]
    shuffled = columns(GRID[order], [4, 4, 9, 9])
    assert agreement_of(make_pairs, columns(GRID, [4, 4, 9, 9]), shuffled) == []
    none = columns(np.zeros((0, 4)), [0, 0, 0, 0])
    assert agreement_of(make_pairs, none, none) == []


def test_shift_missing_boxes_and_other_classes_are_measured(make_pairs: Any) -> None:
    first = columns(GRID, [4, 4, 9, 9])
    moved = columns(GRID + np.array([0.02, 0, 0, 0]), [4, 4, 9, 9])
    (found,) = agreement_of(make_pairs, first, moved)
    assert (found.code, found.level) == ("L11", "warn")
    assert found.numbers["shift_px"] == pytest.approx(12.8, abs=0.01)
    assert found.numbers["unmatched"] == 0.0
    fewer = columns(GRID[:6], [4, 4, 6, 6])
    (found,) = agreement_of(make_pairs, first, fewer)
    assert found.numbers == {"rgb_boxes": 9, "ir_boxes": 6, "unmatched": 0.2, "shift_px": 0.0}
    other = columns(GRID, [4, 4, 9, 9], [1] * 9)
    (found,) = agreement_of(make_pairs, first, other)
    assert found.numbers["unmatched"] == 1.0


def test_sets_without_a_second_label_set_are_not_asked(make_pairs: Any) -> None:
    assert check_agreement(scan_split(load_spec(make_pairs()), "train")) == []


def test_overlap_of_boxes() -> None:
    first = np.array([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.0, 0.0]])
    second = np.array([[0.5, 0.5, 0.2, 0.2], [0.6, 0.5, 0.2, 0.2], [0.9, 0.9, 0.1, 0.1]])
    assert iou(first, second) == pytest.approx(np.array([[1, 1 / 3, 0], [0, 0, 0]]))
