"""The confusion matrix against hand-made cases and against a slow, obvious reference."""

import numpy as np
import pytest

from fusetrain.results.confusion import confusion_matrix
from fusetrain.results.matching import GroundTruth, ScoredBoxes

Rows = list[tuple[int, tuple[float, float, float, float], int]]


def truth_of(rows: Rows, *, ignored: list[bool] | None = None) -> GroundTruth:
    return GroundTruth(
        image_ids=np.array([row[0] for row in rows], np.int64),
        boxes_xyxy_px=np.array([row[1] for row in rows], float).reshape(-1, 4),
        classes=np.array([row[2] for row in rows], np.int64),
        is_ignored=None if ignored is None else np.array(ignored),
    )


def found_of(rows: Rows, scores: list[float]) -> ScoredBoxes:
    truth = truth_of(rows)
    return ScoredBoxes(truth.image_ids, truth.boxes_xyxy_px, np.array(scores), truth.classes)


A, B, C = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 70.0, 10.0), (0.0, 80.0, 10.0, 99.0)


def test_hit_swap_miss_and_false_detection_each_have_their_cell() -> None:
    matrix = confusion_matrix(
        truth_of([(0, A, 0), (0, B, 1), (1, A, 1)]),
        found_of([(0, A, 0), (0, B, 0), (1, C, 1), (2, A, 0)], [0.9, 0.8, 0.7, 0.6]),
        num_classes=2,
        confidence=0.5,
    )
    assert matrix.tolist() == [[1, 0, 0], [1, 0, 1], [1, 1, 0]]


def test_detections_below_the_confidence_are_as_if_not_there() -> None:
    truth, found = truth_of([(0, A, 0)]), found_of([(0, A, 0), (0, B, 0)], [0.5, 0.49])
    matrix = confusion_matrix(truth, found, num_classes=1, confidence=0.5)
    assert matrix.tolist() == [[1, 0], [0, 0]]


def test_true_box_is_taken_once_by_the_best_score_whatever_its_class() -> None:
    truth = truth_of([(0, A, 0)])
    found = found_of([(0, A, 0), (0, (0.0, 0.0, 10.0, 9.0), 1)], [0.6, 0.7])
    matrix = confusion_matrix(truth, found, num_classes=2, confidence=0.1)
    assert matrix.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_of_two_equal_true_boxes_the_one_of_its_own_class_is_taken(order: list[int]) -> None:
    truth = truth_of([(0, A, number) for number in order])
    found = found_of([(0, A, 1)], [0.9])
    matrix = confusion_matrix(truth, found, num_classes=2, confidence=0.1)
    assert matrix.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_ignored_boxes_and_what_lies_in_them_are_not_counted() -> None:
    truth = truth_of([(0, A, 0), (0, B, 1)], ignored=[False, True])
    inside = (52.0, 1.0, 60.0, 8.0)
    found = found_of([(0, A, 0), (0, inside, 0), (0, B, 1), (0, C, 1)], [0.9, 0.8, 0.7, 0.6])
    matrix = confusion_matrix(truth, found, num_classes=2, confidence=0.1)
    assert matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_empty_sides_give_empty_or_one_sided_counts() -> None:
    nothing, box = truth_of([]), truth_of([(3, A, 0)])
    none_found, one_found = found_of([], []), found_of([(3, A, 0)], [0.9])
    arguments = {"num_classes": 1, "confidence": 0.0}
    assert confusion_matrix(nothing, none_found, **arguments).tolist() == [[0, 0], [0, 0]]
    assert confusion_matrix(box, none_found, **arguments).tolist() == [[0, 1], [0, 0]]
    assert confusion_matrix(nothing, one_found, **arguments).tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_with_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_classes, boxes = 3, []
    for count in (60, 90):
        corner, side = rng.uniform(0, 60, (count, 2)), rng.uniform(15, 40, (count, 2))
        boxes.append(np.concatenate((corner, corner + side), axis=1))
    truth = GroundTruth(rng.integers(0, 6, 60), boxes[0], rng.integers(0, num_classes, 60))
    found = ScoredBoxes(
        rng.integers(0, 7, 90), boxes[1], rng.random(90), rng.integers(0, num_classes, 90)
    )
    matrix = confusion_matrix(truth, found, num_classes=num_classes, confidence=0.2, iou=0.3)
    assert np.array_equal(matrix, reference(truth, found, num_classes, 0.2, 0.3))
    assert matrix[:-1, :-1].sum() > 10
    assert matrix[:-1].sum(axis=1).tolist() == np.bincount(truth.classes, minlength=3).tolist()
    kept = found.classes[found.scores >= 0.2]
    assert matrix[:, :-1].sum(axis=0).tolist() == np.bincount(kept, minlength=3).tolist()


def reference(
    truth: GroundTruth, found: ScoredBoxes, num_classes: int, confidence: float, iou: float
) -> np.ndarray:
    matrix = np.zeros((num_classes + 1, num_classes + 1), int)
    free = set(range(len(truth.classes)))
    for row in np.argsort(-found.scores):
        if found.scores[row] < confidence:
            continue
        overlaps = {
            number: overlap(found.boxes_xyxy_px[row], truth.boxes_xyxy_px[number])
            for number in free
            if truth.image_ids[number] == found.image_ids[row]
        }
        best = max(overlaps, key=lambda number: overlaps[number], default=None)
        if best is not None and overlaps[best] >= iou:
            free.remove(best)
            matrix[truth.classes[best], found.classes[row]] += 1
        else:
            matrix[num_classes, found.classes[row]] += 1
    for number in free:
        matrix[truth.classes[number], num_classes] += 1
    return matrix


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
