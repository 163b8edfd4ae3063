"""Our evaluation against pycocotools, against counting by hand, and at the edges."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusetrain.results.metrics import (
    CONFIDENCES,
    IOU_THRESHOLDS,
    RECALL_LEVELS,
    GroundTruth,
    ScoredBoxes,
    evaluate,
)

from ..coco_judge import SAME, assert_equal_to_the_judge, judge


def make_truth(rows: list[tuple[float, ...]], crowd: list[bool] | None = None) -> GroundTruth:
    """Make true boxes from rows of image, class, left, top, right, bottom."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    return GroundTruth(
        image_ids=table[:, 0].astype(np.int64),
        boxes_xyxy_px=table[:, 2:].astype(np.float32),
        classes=table[:, 1].astype(np.int64),
        is_ignored=None if crowd is None else np.array(crowd, dtype=bool),
    )


def make_detections(rows: list[tuple[float, ...]]) -> ScoredBoxes:
    """Make detections from rows of image, class, left, top, right, bottom, score."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    return ScoredBoxes(
        image_ids=table[:, 0].astype(np.int64),
        boxes_xyxy_px=table[:, 2:6].astype(np.float32),
        scores=table[:, 6].astype(np.float32),
        classes=table[:, 1].astype(np.int64),
    )


def draw_set(
    rng: np.random.Generator, *, num_images: int, num_classes: int, boxes: int, found: int
) -> tuple[GroundTruth, ScoredBoxes]:
    """Draw clustered boxes: many candidates per true box, duplicates, crowds, tied scores."""
    is_whole = rng.random() < 0.5  # whole pixels put overlaps exactly on the thresholds
    size_px = 24.0 if is_whole else 90.0
    real = random_boxes(rng, boxes, size_px=size_px)
    source = rng.integers(0, boxes, found)
    near = real[source] + rng.normal(0, 0.05 * size_px, (found, 4)) * (rng.random((found, 1)) < 0.8)
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
    if is_whole:
        real, near = real.round(), near.round()
    real[boxes // 2 :: 7] = real[boxes // 2]
    scores = rng.choice([0.1, 0.25, 0.5, 0.9], found) if rng.random() < 0.5 else rng.random(found)
    image_ids = rng.integers(0, num_images, boxes) * 3 + 5
    classes = rng.integers(0, num_classes, boxes)
    is_same = rng.random(found) < 0.9
    truth = GroundTruth(image_ids, real.astype(np.float32), classes, rng.random(boxes) < 0.1)
    return truth, ScoredBoxes(
        np.where(is_same, image_ids[source], rng.integers(0, num_images + 2, found) * 3 + 5),
        near.astype(np.float32),
        scores.astype(np.float32),
        np.where(is_same, classes[source], rng.integers(0, num_classes, found)),
    )


def random_boxes(rng: np.random.Generator, count: int, *, size_px: float) -> np.ndarray:
    left_top = rng.uniform(0, size_px, (count, 2))
    return np.concatenate((left_top, left_top + rng.uniform(0, size_px / 2, (count, 2))), axis=1)


class TestAgainstPycocotools:
    @pytest.mark.parametrize("seed", range(40))
    def test_equal_on_random_sets(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        truth, detections = draw_set(rng, num_images=12, num_classes=4, boxes=90, found=400)
        metrics = assert_equal_to_the_judge(truth, detections, num_classes=5)
        assert 0.05 < metrics.map50 < 1  # the sets are neither trivial nor empty

    @pytest.mark.parametrize("max_detections", [1, 10, 100])
    def test_equal_when_an_image_has_more_detections_than_are_kept(
        self, max_detections: int
    ) -> None:
        rng = np.random.default_rng(7)
        truth, detections = draw_set(rng, num_images=2, num_classes=2, boxes=60, found=900)
        assert_equal_to_the_judge(truth, detections, num_classes=2, max_detections=max_detections)

    @pytest.mark.parametrize("area_range_px", [(0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10)])
    def test_equal_in_every_area_range(self, area_range_px: tuple[float, float]) -> None:
        rng = np.random.default_rng(3)
        truth, detections = draw_set(rng, num_images=12, num_classes=2, boxes=200, found=900)
        sides = truth.boxes_xyxy_px[:, 2:] - truth.boxes_xyxy_px[:, :2]
        scale = 64 / np.median(sides)  # spreads them over all three ranges
        truth = GroundTruth(
            truth.image_ids, truth.boxes_xyxy_px * scale, truth.classes, truth.is_ignored
        )
        detections = ScoredBoxes(
            detections.image_ids,
            detections.boxes_xyxy_px * scale,
            detections.scores,
            detections.classes,
        )
        metrics = assert_equal_to_the_judge(
            truth, detections, num_classes=2, area_range_px=area_range_px
        )
        assert 0 < metrics.per_class.num_truth.sum() < 200

    cell = (st.integers(0, 2), st.integers(0, 1))
    corner = (st.integers(0, 4), st.integers(0, 4))
    size = (st.sampled_from([0, 1, 2, 4, 5]), st.sampled_from([0, 1, 2, 4, 5]))

    @given(
        real=st.lists(st.tuples(*cell, *corner, *size, st.booleans()), max_size=8),
        found=st.lists(
            st.tuples(*cell, *corner, *size, st.sampled_from([0.0, 0.3, 0.7, 1.0])), max_size=14
        ),
    )
    @settings(max_examples=400, deadline=None, derandomize=True)
    def test_equal_on_small_whole_boxes_with_ties(
        self, real: list[tuple[Any, ...]], found: list[tuple[Any, ...]]
    ) -> None:
        truth = make_truth(
            [(i, c, x, y, x + w, y + h) for i, c, x, y, w, h, _ in real],
            crowd=[row[-1] for row in real],
        )
        detections = make_detections(
            [(i, c, x, y, x + w, y + h, s) for i, c, x, y, w, h, s in found]
        )
        assert_equal_to_the_judge(truth, detections, num_classes=2)

    def test_equal_with_a_thousand_classes(self) -> None:
        rng = np.random.default_rng(11)
        truth, detections = draw_set(rng, num_images=4, num_classes=1000, boxes=300, found=600)
        assert_equal_to_the_judge(truth, detections, num_classes=1000)

    def test_equal_when_pairs_fill_several_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fusetrain.results.overlaps.PAIRS_AT_ONCE", 50)
        rng = np.random.default_rng(5)
        truth, detections = draw_set(rng, num_images=3, num_classes=1, boxes=200, found=400)
        assert_equal_to_the_judge(truth, detections, num_classes=1)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_equal_where_rounding_decides_whether_the_threshold_is_reached(
        self, dtype: type[np.floating]
    ) -> None:
        left = np.linspace(-50, 700, 500)
        right = np.linspace(0.1, 790, 500)
        real = np.stack((left, left, right, right), axis=1)
        found = real.copy()
        found[:, 0] = (left + right) / 2  # IoU is 0.5, give or take the last bit
        ids, zeros = np.arange(500), np.zeros(500, np.int64)
        truth = GroundTruth(ids, real.astype(dtype), zeros)
        detections = ScoredBoxes(ids, found.astype(dtype), np.linspace(0, 1, 500), zeros)
        metrics = assert_equal_to_the_judge(truth, detections, num_classes=1)
        assert 0.1 < metrics.curves.recall[0, 0] < 0.9

    @pytest.mark.parametrize(("is_late_first", "hits"), [(False, 2), (True, 1)])
    def test_equal_where_two_true_boxes_overlap_a_detection_alike(
        self, is_late_first: bool, hits: int
    ) -> None:
        early, late = (0, 0, 8, 0, 18, 10), (0, 0, 12, 0, 22, 10)
        truth = make_truth([late, early] if is_late_first else [early, late])
        # The first overlaps both by 8 / 12 and takes the later row; the second fits `early` alone.
        detections = make_detections([(0, 0, 10, 0, 20, 10, 0.9), (0, 0, 7, 0, 17, 10, 0.8)])
        metrics = assert_equal_to_the_judge(truth, detections, num_classes=1)
        assert metrics.curves.recall[0, 0] == hits / 2


class TestByHand:
    def test_average_precision_of_a_worked_case(self) -> None:
        # Two boxes; best score first: hit at IoU 1, miss, hit at IoU 8 / 12.
        truth = make_truth([(0, 0, 0, 0, 10, 10), (0, 0, 20, 0, 30, 10)])
        detections = make_detections(
            [
                (0, 0, 0, 0, 10, 10, 0.9),
                (0, 0, 50, 50, 60, 60, 0.6),
                (0, 0, 22, 0, 32, 10, 0.5),
            ]
        )
        metrics = evaluate(truth, detections, num_classes=1)
        # Precision 1 up to recall 0.5 (51 levels), then 2/3 (50 levels) while IoU 2/3 is enough.
        expected = (51 + 50 * 2 / 3) / 101
        assert metrics.map50 == pytest.approx(expected, abs=1e-12)
        is_enough = IOU_THRESHOLDS < 2 / 3
        assert metrics.per_class.average_precision[0] == pytest.approx(
            np.where(is_enough, expected, 51 / 101), abs=1e-12
        )
        assert metrics.map50_95 == pytest.approx((4 * expected + 6 * 51 / 101) / 10, abs=1e-12)

    def test_precision_and_recall_are_taken_at_the_best_f1(self) -> None:
        truth = make_truth([(0, 0, 0, 0, 10, 10), (1, 0, 0, 0, 10, 10)])
        detections = make_detections(
            [
                (0, 0, 0, 0, 10, 10, 0.8),
                (0, 0, 40, 40, 50, 50, 0.7),
                (1, 0, 0, 0, 10, 10, 0.6),
                (1, 0, 40, 40, 50, 50, 0.2),
            ]
        )
        metrics = evaluate(truth, detections, num_classes=1)
        # Down to 0.6: two hits of three, F1 4/5; all: 2 of 4, F1 2/3; only the first: F1 2/3.
        assert (metrics.precision, metrics.recall) == (pytest.approx(2 / 3), 1.0)
        assert metrics.per_class.f1 == pytest.approx([0.8])
        # The lowest level of the grid that drops the 0.2.
        assert metrics.best_confidence == CONFIDENCES[np.float32(0.2) < CONFIDENCES][0]

    def test_best_confidence_has_the_highest_mean_of_all_classes(self) -> None:
        truth = make_truth([(0, 0, 0, 0, 10, 10), (0, 1, 0, 0, 10, 10), (0, 1, 90, 90, 99, 99)])
        detections = make_detections(
            [
                (0, 0, 0, 0, 10, 10, 0.9),
                (0, 0, 40, 0, 50, 10, 0.4),
                (0, 0, 60, 0, 70, 10, 0.4),
                (0, 1, 0, 0, 10, 10, 0.3),
            ]
        )
        metrics = evaluate(truth, detections, num_classes=2)
        # F1 from 0: 1/2 and 2/3, mean 7/12; above 0.3: 1/2 and 0; above 0.4: 1 and 0, mean 1/2.
        assert metrics.best_confidence == 0.0
        assert metrics.per_class.f1 == pytest.approx([1 / 2, 2 / 3])
        assert metrics.per_class.precision == pytest.approx([1 / 3, 1])
        assert metrics.precision == pytest.approx(2 / 3)
        assert metrics.recall == pytest.approx(3 / 4)

    def test_a_score_equal_to_the_confidence_is_kept(self) -> None:
        truth = make_truth([(0, 0, 0, 0, 10, 10), (1, 0, 0, 0, 10, 10)])
        boxes_xyxy_px = np.array([[0.0, 0, 10, 10]] * 2)
        scores = np.array([1.0, CONFIDENCES[500]])
        detections = ScoredBoxes(np.arange(2), boxes_xyxy_px, scores, np.zeros(2, np.int64))
        curves = evaluate(truth, detections, num_classes=1).curves
        assert curves.recall[0, [0, 500, 501, 999]].tolist() == [1.0, 1.0, 0.5, 0.5]

    def test_curves_count_what_a_fresh_evaluation_of_the_kept_detections_counts(self) -> None:
        rng = np.random.default_rng(1)
        truth, detections = draw_set(rng, num_images=6, num_classes=2, boxes=60, found=300)
        truth = GroundTruth(truth.image_ids, truth.boxes_xyxy_px, truth.classes)
        curves = evaluate(truth, detections, num_classes=2, max_detections=1000).curves
        for level in range(0, 1000, 111):
            kept = detections.scores >= CONFIDENCES[level]
            fewer = ScoredBoxes(
                detections.image_ids[kept],
                detections.boxes_xyxy_px[kept],
                detections.scores[kept],
                detections.classes[kept],
            )
            judged = judge(truth, fewer, num_classes=2, max_detections=1000)
            num_truth = np.bincount(truth.classes, minlength=2)
            num_found = judged.recall[0] * num_truth
            num_kept = np.bincount(fewer.classes, minlength=2)
            assert curves.recall[:, level] == pytest.approx(judged.recall[0], abs=SAME)
            expected = num_found / np.maximum(num_kept, 1)
            assert curves.precision[:, level] == pytest.approx(expected, abs=SAME)
            f1 = 2 * num_found / (num_kept + num_truth)
            assert curves.f1[:, level] == pytest.approx(f1, abs=SAME)


class TestEdges:
    @pytest.mark.fault(37)
    def test_no_truth_at_all_scores_zero_and_no_class_has_a_number(self) -> None:
        metrics = evaluate(
            make_truth([]), make_detections([(0, 1, 0, 0, 5, 5, 0.5)]), num_classes=3
        )
        numbers = (metrics.map50, metrics.map50_95, metrics.precision, metrics.recall)
        assert numbers == (0.0, 0.0, 0.0, 0.0)
        assert metrics.best_confidence == 0.0
        assert np.isnan(metrics.per_class.ap50).all()
        assert np.isnan(metrics.curves.precision).all()
        assert metrics.per_class.num_truth.tolist() == [0, 0, 0]

    def test_no_detections_score_zero_for_the_classes_that_exist(self) -> None:
        metrics = evaluate(make_truth([(0, 1, 0, 0, 5, 5)]), make_detections([]), num_classes=2)
        assert metrics.map50 == 0.0
        assert metrics.precision == 0.0
        np.testing.assert_array_equal(metrics.per_class.ap50_95, [np.nan, 0.0])
        np.testing.assert_array_equal(metrics.per_class.recall, [np.nan, 0.0])

    @pytest.mark.fault(37)
    def test_an_absent_class_does_not_lower_the_means(self) -> None:
        detections = [(0, 0, 0, 0, 5, 5, 0.5), (0, 1, 0, 0, 5, 5, 0.9)]
        metrics = evaluate(
            make_truth([(0, 0, 0, 0, 5, 5)]), make_detections(detections), num_classes=2
        )
        assert (metrics.map50, metrics.precision, metrics.recall) == (1.0, 1.0, 1.0)

    def test_duplicates_of_a_found_box_are_wrong(self) -> None:
        truth = make_truth([(0, 0, 0, 0, 5, 5)])
        metrics = evaluate(truth, make_detections([(0, 0, 0, 0, 5, 5, 0.5)] * 4), num_classes=1)
        assert metrics.precision == 0.25
        assert metrics.map50 == 1.0  # the first of the four is the hit

    def test_detections_inside_an_ignored_region_do_not_count(self) -> None:
        truth = make_truth([(0, 0, 0, 0, 5, 5), (0, 0, 20, 20, 60, 60)], crowd=[False, True])
        inside = [(0, 0, 20 + n, 20, 30 + n, 30, 0.9) for n in range(5)]
        metrics = evaluate(
            truth, make_detections([*inside, (0, 0, 0, 0, 5, 5, 0.5)]), num_classes=1
        )
        assert (metrics.map50, metrics.precision, metrics.recall) == (1.0, 1.0, 1.0)
        assert metrics.per_class.num_truth.tolist() == [1]

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_boxes_that_are_not_finite_find_nothing_and_hide_nothing(self, value: float) -> None:
        truth = make_truth([(0, 0, 0, 0, 5, 5)])
        for column in range(4):
            broken = [0.0, 0.0, 5.0, 5.0]
            broken[column] = value
            detections = make_detections([(0, 0, *broken, 0.9), (0, 0, 0, 0, 5, 5, 0.5)])
            metrics = evaluate(truth, detections, num_classes=1)
            assert metrics.recall == 1.0
            assert metrics.curves.recall[0, 600] == 0.0

    def test_a_score_that_is_not_a_number_is_refused(self) -> None:
        with pytest.raises(AssertionError, match="cannot be ranked"):
            make_detections([(0, 0, 0, 0, 5, 5, np.nan)])

    def test_order_of_rows_does_not_matter_without_ties(self) -> None:
        rng = np.random.default_rng(2)
        truth, detections = draw_set(rng, num_images=6, num_classes=2, boxes=60, found=300)
        scores = rng.permutation(300).astype(np.float32) / 300
        shuffle = rng.permutation(300)
        columns = (detections.image_ids, detections.boxes_xyxy_px, scores, detections.classes)
        once = evaluate(truth, ScoredBoxes(*columns), num_classes=2)
        again = evaluate(truth, ScoredBoxes(*(c[shuffle] for c in columns)), num_classes=2)
        assert once.map50_95 == again.map50_95
        np.testing.assert_array_equal(once.curves.f1, again.curves.f1)

    def test_mean_of_the_recall_levels_is_the_average_precision(self) -> None:
        rng = np.random.default_rng(4)
        truth, detections = draw_set(rng, num_images=6, num_classes=2, boxes=60, found=300)
        metrics = evaluate(truth, detections, num_classes=2)
        assert metrics.curves.precision_at_recall.shape == (2, len(RECALL_LEVELS))
        np.testing.assert_allclose(
            metrics.curves.precision_at_recall.mean(axis=1), metrics.per_class.ap50, atol=SAME
        )


def test_metrics_import_no_torch() -> None:
    code = "import sys, fusetrain.results.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
