from __future__ import annotations

import numpy as np
import pytest

from fusetrain.results.matching import GroundTruth, ScoredBoxes
from fusetrain.results.score_rows import (
    SIZES_PX,
    Judged,
    class_rows,
    mean_row,
    part_rows,
    score,
    size_rows,
)

from ..coco_judge import judge

NAMES = ("person", "car")


@pytest.fixture(scope="module")
def judged() -> Judged:
    rng = np.random.default_rng(3)
    count, images = 160, 20
    corners = rng.uniform(0, 300, (count, 2))
    sides = np.exp(rng.uniform(np.log(8), np.log(220), (count, 2)))
    boxes = np.concatenate((corners, corners + sides), axis=1)
    image_ids, classes = rng.integers(0, images, count), rng.integers(0, 2, count)
    rows = rng.integers(0, count, 400)
    moved = boxes[rows] + rng.normal(0, 4, (400, 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    found = ScoredBoxes(image_ids[rows], moved, rng.permutation(400) / 400, classes[rows])
    return Judged(GroundTruth(image_ids, boxes, classes), found, images, NAMES)


def test_sizes_are_those_of_pycocotools(judged: Judged) -> None:
    for row, (name, area) in zip(size_rows(judged), SIZES_PX, strict=True):
        expected = judge(judged.truth, judged.found, num_classes=2, area_range_px=area).precision
        assert row.name == name
        assert row.map50_95 == pytest.approx(expected[expected > -1].mean(), abs=1e-12)
        at_50 = expected[0]
        assert row.map50 == pytest.approx(at_50[at_50 > -1].mean(), abs=1e-12)
        assert np.isnan(row.miss_rate)
    assert sum(row.boxes for row in size_rows(judged)) == len(judged.truth.classes)


def test_class_rows_have_the_scores_that_a_set_of_one_class_has(judged: Judged) -> None:
    rows, whole = class_rows(judged), score(judged, "all")
    assert [row.name for row in rows] == list(NAMES)
    assert sum(row.boxes for row in rows) == whole.boxes
    assert np.mean([row.map50_95 for row in rows]) == pytest.approx(whole.map50_95)
    assert np.mean([row.miss_rate for row in rows]) == pytest.approx(whole.miss_rate)


def test_parts_hold_their_own_pairs_alone(judged: Judged) -> None:
    is_night = np.arange(20) < 5
    day, night = part_rows(judged, [("day", ~is_night), ("night", is_night)])
    assert (day.pairs, night.pairs) == (15, 5)
    assert day.boxes + night.boxes == len(judged.truth.classes)
    assert night.boxes == (judged.truth.image_ids < 5).sum()
    (whole,) = part_rows(judged, [("all", np.ones(20, bool))])
    assert whole == score(judged, "all")


def test_part_without_pairs_has_no_scores(judged: Judged) -> None:
    (row,) = part_rows(judged, [("night", np.zeros(20, bool))])
    assert (row.pairs, row.boxes) == (0, 0)
    assert np.isnan([row.map50, row.precision, row.miss_rate]).all()


def test_mean_row_is_the_mean_of_every_score(judged: Judged) -> None:
    rows = class_rows(judged)
    mean = mean_row(rows, "mean")
    assert mean.map50 == pytest.approx((rows[0].map50 + rows[1].map50) / 2)
    assert (mean.name, mean.boxes) == ("mean", rows[0].boxes)
