"""Two label sets of one data set: rgb, ir, union and both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fusetrain.data.index import SplitScan, scan_split
from fusetrain.data.label_sets import match, shared_by, union_of
from fusetrain.data.labels import NO_LABELS, Labels, Regions
from fusetrain.data.spec import load_spec


def labels(*boxes: tuple[int, float, float, float, float]) -> Labels:
    values = np.array([box[1:] for box in boxes], np.float32).reshape(-1, 4)
    classes = np.array([box[0] for box in boxes], np.int64)
    return Labels(values, classes, np.arange(1, len(boxes) + 1))


RGB = labels((0, 0.3, 0.3, 0.2, 0.2), (0, 0.7, 0.7, 0.2, 0.2), (1, 0.5, 0.2, 0.1, 0.1))
IR = labels((0, 0.31, 0.3, 0.2, 0.2), (1, 0.7, 0.7, 0.2, 0.2), (1, 0.1, 0.9, 0.1, 0.1))


def test_boxes_of_one_class_that_overlap_are_one_object() -> None:
    assert match(RGB, IR) == [(0, 0)]


def test_union_keeps_the_box_of_rgb_and_adds_what_only_ir_shows() -> None:
    merged = union_of(RGB, IR)
    assert merged.classes.tolist() == [0, 0, 1, 1, 1]
    assert merged.lines.tolist() == [1, 2, 3, 0, 0]
    np.testing.assert_array_equal(merged.boxes_cxcywh_unit[:3], RGB.boxes_cxcywh_unit)


def test_both_keeps_what_both_show_with_the_box_of_rgb() -> None:
    merged = shared_by(RGB, IR)
    np.testing.assert_array_equal(merged.boxes_cxcywh_unit, RGB.boxes_cxcywh_unit[:1])
    assert merged.lines.tolist() == [1]


def test_what_either_set_excludes_stays_excluded() -> None:
    regions = [
        Regions(np.full((1, 4), side, np.float32), np.array([number]))
        for number, side in enumerate((0.25, 0.5))
    ]
    pair = [replace(one, regions=own) for one, own in zip((RGB, IR), regions, strict=True)]
    for merge in (union_of, shared_by):
        merged = merge(*pair)
        assert merged.regions.classes.tolist() == [0, 1]
        assert merged.regions.boxes_cxcywh_unit[:, 0].tolist() == [0.25, 0.5]


def test_sets_without_boxes_merge() -> None:
    assert union_of(NO_LABELS, IR).classes.tolist() == [0, 1, 1]
    assert len(shared_by(RGB, NO_LABELS).classes) == 0


def test_each_box_is_matched_once_the_best_first() -> None:
    twice = labels((0, 0.3, 0.3, 0.2, 0.2), (0, 0.32, 0.3, 0.2, 0.2))
    once = labels((0, 0.32, 0.3, 0.2, 0.2))
    assert match(twice, once) == [(1, 0)]
    assert union_of(twice, once).classes.tolist() == [0, 0]


def test_overlap_of_exactly_half_counts() -> None:
    half = labels((0, 0.3, 0.3, 0.2, 0.1))
    assert match(labels((0, 0.3, 0.3, 0.2, 0.2)), half) == [(0, 0)]
    under = labels((0, 0.3, 0.3, 0.2, 0.0995))
    assert match(labels((0, 0.3, 0.3, 0.2, 0.2)), under) == []


@pytest.fixture
def two_sets(make_pairs: Callable[..., Path]) -> Callable[[str], SplitScan]:
    """Return a function that scans a set of which ir shows less and other things than rgb."""
    path = make_pairs(train=3)
    folder = path.parent / "labelsIR" / "train"
    folder.mkdir(parents=True)
    (folder / "train_000.txt").write_text("0 0.26 0.5 0.25 0.5\n0 .9 .9 .1 .1\n")
    (folder / "train_001.txt").write_text("")

    def scan(label_source: str) -> SplitScan:
        path.write_text(
            "train: images/train\nnames: [person, car]\n"
            f"ir_labels: {{imagesIR: labelsIR}}\nlabel_source: {label_source}\n"
        )
        return scan_split(load_spec(path), "train")

    return scan


@pytest.mark.parametrize(
    ("label_source", "classes", "ends", "present"),
    [
        ("rgb", [0, 1, 0, 1, 0, 1], [2, 4, 6], [True, True, True]),
        ("ir", [0, 0], [2, 2, 2], [True, True, False]),
        ("union", [0, 1, 0, 0, 1, 0, 1], [3, 5, 7], [True, True, True]),
        ("both", [0], [1, 1, 1], [True, True, True]),
    ],
)
def test_label_source_decides_whose_boxes_count(
    two_sets: Callable[[str], SplitScan],
    label_source: str,
    classes: list[int],
    ends: list[int],
    present: list[bool],
) -> None:
    scan = two_sets(label_source)
    assert scan.index.box_classes.tolist() == classes
    assert scan.index.box_ends.tolist() == ends
    assert scan.index.has_labels.tolist() == present
    assert scan.rgb_labels is not None
    assert scan.ir_labels is not None
    assert scan.rgb_labels.box_ends.tolist() == [2, 4, 6]
    assert scan.ir_labels.box_ends.tolist() == [2, 2, 2]
    expected = "labelsIR" if label_source == "ir" else "labels"
    assert scan.label_paths[1] == f"{expected}/train/train_001.txt"


def test_one_label_set_has_no_columns_for_each_modality(make_pairs: Callable[..., Path]) -> None:
    scan = scan_split(load_spec(make_pairs()), "train")
    assert scan.rgb_labels is scan.ir_labels is None
