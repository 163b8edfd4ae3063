"""The log-average miss rate against an implementation that counts detection by detection."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusetrain.results.matching import GroundTruth, ScoredBoxes
from fusetrain.results.miss_rate import REASONABLE_HEIGHT_PX, miss_rates

Box = tuple[float, float, float, float]


def truth_of(rows: list[tuple[int, Box, bool]]) -> GroundTruth:
    return GroundTruth(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float64).reshape(-1, 4),
        np.zeros(len(rows), np.int64),
        np.array([row[2] for row in rows], bool),
    )


def found_of(rows: list[tuple[int, Box, float]]) -> ScoredBoxes:
    return ScoredBoxes(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[2] for row in rows], np.float64),
        np.zeros(len(rows), np.int64),
    )


def shared(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def height(box: Box) -> float:
    return box[3] - box[1]


def reference(
    truth: list[tuple[int, Box, bool]],
    found: list[tuple[int, Box, float]],
    *,
    num_images: int,
    heights: tuple[float, float],
) -> float:
    """Follow Dollar et al. word by word, one detection and one threshold at a time."""
    ignored = [
        is_ignored or not heights[0] <= height(box) < heights[1] for _, box, is_ignored in truth
    ]
    low, high = heights[0] / 1.25, heights[1] * 1.25
    taken: set[int] = set()
    outcomes = []
    for image, box, _ in sorted(
        (row for row in found if low <= height(row[1]) < high), key=lambda row: -row[2]
    ):
        best, best_overlap = None, 0.5
        for number, (other_image, other, _) in enumerate(truth):
            if other_image != image or number in taken or ignored[number]:
                continue
            overlap = shared(box, other) / (area(box) + area(other) - shared(box, other))
            if overlap >= best_overlap:
                best, best_overlap = number, overlap
        if best is not None:
            taken.add(best)
            outcomes.append("hit")
            continue
        in_region = any(
            other_image == image and ignored[number] and shared(box, other) / area(box) >= 0.5
            for number, (other_image, other, _) in enumerate(truth)
        )
        outcomes.append("ignored" if in_region else "false")
    total = ignored.count(False)
    logs = []
    for exponent in np.linspace(-2, 0, 9):
        hits = falses = 0
        missed = 1.0
        for outcome in outcomes:
            hits += outcome == "hit"
            falses += outcome == "false"
            if falses / num_images <= 10**exponent:
                missed = 1 - hits / total
        logs.append(math.log(max(missed, 1e-10)))
    return math.exp(sum(logs) / 9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("heights", [(0.0, math.inf), REASONABLE_HEIGHT_PX])
def test_miss_rate_is_that_of_the_reference(seed: int, heights: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    num_images = 40

    def box() -> Box:
        left, top = rng.uniform(0, 200, 2)
        width, tall = rng.uniform(20, 60), rng.uniform(25, 140)
        return left, top, left + width, top + tall

    truth = [(int(rng.integers(num_images)), box(), bool(rng.random() < 0.15)) for _ in range(120)]
    found = [
        (image, tuple(np.array(real) + rng.normal(0, 4, 4)), float(rng.random() ** 0.5))
        for image, real, _ in truth
        for _ in range(rng.integers(0, 3))
    ]
    found += [(int(rng.integers(num_images)), box(), float(rng.random())) for _ in range(150)]
    rates = miss_rates(
        truth_of(truth),
        found_of(found),
        num_classes=1,
        num_images=num_images,
        height_range_px=heights,
    )
    expected = reference(truth, found, num_images=num_images, heights=heights)
    assert 0.05 < expected < 1.0
    assert rates.mean == pytest.approx(expected, abs=1e-12)


def test_perfect_detections_miss_nothing_and_none_miss_all() -> None:
    truth = truth_of([(0, (0, 0, 30, 60), False)])
    found = found_of([(0, (0, 0, 30, 60), 0.9)])
    nothing = found_of([])
    assert miss_rates(truth, found, num_classes=1, num_images=3).mean == pytest.approx(1e-10)
    assert miss_rates(truth, nothing, num_classes=1, num_images=3).mean == 1.0


def test_background_images_thin_out_false_detections() -> None:
    truth = truth_of([(0, (0, 0, 30, 60), False)])
    found = found_of([(1, (0, 0, 30, 60), 0.9), (0, (0, 0, 30, 60), 0.8)])
    few = miss_rates(truth, found, num_classes=1, num_images=2).mean
    many = miss_rates(truth, found, num_classes=1, num_images=1000).mean
    assert many < few < 1.0


def test_class_without_a_true_box_has_no_rate_and_does_not_count() -> None:
    truth = truth_of([(0, (0, 0, 30, 60), False)])
    rates = miss_rates(truth, found_of([]), num_classes=2, num_images=1)
    assert math.isnan(rates.log_average[1])
    assert rates.mean == 1.0
    empty = miss_rates(truth_of([]), found_of([]), num_classes=2, num_images=1)
    assert math.isnan(empty.mean)
