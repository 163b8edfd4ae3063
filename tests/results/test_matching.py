"""What a caller of the matching itself relies on; its rules are tested through the metrics."""

from __future__ import annotations

import numpy as np

from fusetrain.results.matching import GroundTruth, ScoredBoxes, match


def whole_boxes(rows: list[tuple[int, int, int, int]]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def test_matches_come_class_by_class_best_score_first_and_name_their_rows() -> None:
    boxes_xyxy_px = whole_boxes([(0, 0, 10, 10)] * 4)
    scores = np.array([0.2, 0.9, 0.4, 0.6], np.float32)
    detections = ScoredBoxes(np.array([0, 0, 1, 1]), boxes_xyxy_px, scores, np.array([1, 1, 0, 1]))
    truth = GroundTruth(np.array([1]), boxes_xyxy_px[:1], np.array([1]))
    matches = match(truth, detections, num_classes=2)
    assert matches.rows.tolist() == [2, 1, 3, 0]
    assert matches.classes.tolist() == [0, 1, 1, 1]
    np.testing.assert_array_equal(matches.scores, scores[[2, 1, 3, 0]])
    assert matches.is_hit.tolist() == [[False, False, True, False]] * 10
    assert matches.num_truth.tolist() == [0, 1]


def test_thresholds_may_be_chosen() -> None:
    truth = GroundTruth(np.array([0]), whole_boxes([(0, 0, 10, 10)]), np.array([0]))
    found = whole_boxes([(0, 0, 4, 10), (0, 0, 10, 3)])
    detections = ScoredBoxes(np.zeros(2, int), found, np.array([0.5, 0.9]), np.zeros(2, int))
    matches = match(truth, detections, num_classes=1, iou_thresholds=np.array([0.2, 0.35, 0.45]))
    # Best score first: the one that overlaps by 0.3, then the one by 0.4.
    assert matches.is_hit.tolist() == [[True, False], [False, True], [False, False]]


def test_a_long_chain_of_rejections_reaches_its_end() -> None:
    # Detection 0 takes box 1 from detection 1, which takes box 2 from detection 2, and so on; the
    # last one is left with nothing, because box 0 is out of its reach.
    count = 60
    left = np.arange(count) * 10.0
    truth = GroundTruth(np.zeros(count, int), wide_boxes(left), np.zeros(count, int))
    found = wide_boxes(np.append(10.0, left[1:] + 1))
    scores = np.linspace(1, 0.5, count)
    detections = ScoredBoxes(np.zeros(count, int), found, scores, np.zeros(count, int))
    matches = match(truth, detections, num_classes=1)
    assert matches.is_hit[0].tolist() == [True] * (count - 1) + [False]


def wide_boxes(left: np.ndarray) -> np.ndarray:
    return np.stack((left, 0 * left, left + 40, 0 * left + 10), axis=1)
