"""The pairs that a detector does worst on, and what is wrong there."""

import numpy as np

from fusetrain.results.matching import GroundTruth, ScoredBoxes
from fusetrain.results.worst_pairs import worst_pairs

BOX = (10.0, 10.0, 50.0, 50.0)
FAR = (200.0, 200.0, 240.0, 240.0)


def truth(*rows: tuple[int, int]) -> GroundTruth:
    ids, classes = np.array(rows, np.int64).reshape(-1, 2).T
    return GroundTruth(ids, np.array([BOX] * len(rows)).reshape(-1, 4), classes)


def found(*rows: tuple[int, int, float, tuple[float, float, float, float]]) -> ScoredBoxes:
    return ScoredBoxes(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[3] for row in rows], float).reshape(-1, 4),
        np.array([row[2] for row in rows]),
        np.array([row[1] for row in rows], np.int64),
    )


def test_misses_false_alarms_and_wrong_classes_are_told_apart() -> None:
    worst = worst_pairs(
        truth((0, 0), (1, 0), (2, 1), (3, 0)),
        found((0, 0, 0.9, BOX), (1, 1, 0.8, BOX), (3, 0, 0.7, BOX), (3, 0, 0.4, FAR)),
        confidence=0.3,
        most=9,
    )
    shown = [
        (pair.image_id, *map(len, (pair.missed, pair.false_alarms, pair.wrong_class, pair.right)))
        for pair in worst
    ]
    assert shown == [(1, 0, 0, 1, 0), (2, 1, 0, 0, 0), (3, 0, 1, 0, 1)]
    assert [pair.badness for pair in worst] == [1.0, 1.0, 0.4]


def test_the_worst_come_first_and_no_more_than_asked() -> None:
    many = [(7, 0, score, FAR) for score in (0.9, 0.8, 0.5)]
    worst = worst_pairs(truth((2, 0)), found(*many, (5, 0, 0.2, FAR)), confidence=0.1, most=2)
    assert [pair.image_id for pair in worst] == [7, 2]
    assert worst[0].false_alarms.tolist() == [0, 1, 2]


def test_scores_below_the_confidence_do_not_count() -> None:
    assert worst_pairs(truth(), found((0, 0, 0.2, FAR)), confidence=0.3, most=5) == []


def test_a_split_without_boxes_and_detections_has_no_errors() -> None:
    assert worst_pairs(truth(), found(), confidence=0.3, most=5) == []
