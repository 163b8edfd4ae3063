from __future__ import annotations

import numpy as np
import pytest

from fusetrain.results.late_fusion import join_detections, joined_score
from fusetrain.results.matching import ScoredBoxes

Row = tuple[int, int, tuple[float, float, float, float], float]


def found(*rows: Row) -> ScoredBoxes:
    return ScoredBoxes(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[3] for row in rows], np.float64),
        np.array([row[1] for row in rows], np.int64),
    )


def test_score_is_bayes_rule_over_object_and_background() -> None:
    first, second, prior = 0.7, 0.4, 0.1
    there = first * second / prior
    nothing = (1 - first) * (1 - second) / (1 - prior)
    assert joined_score([first, second], prior=prior) == pytest.approx(there / (there + nothing))
    assert joined_score([0.7], prior=prior) == pytest.approx(0.7)
    assert joined_score([0.7, 0.5], prior=0.5) == pytest.approx(0.7)
    assert joined_score([0.6, 0.7, 0.8], prior=0.5) == pytest.approx(
        0.6 * 0.7 * 0.8 / (0.6 * 0.7 * 0.8 + 0.4 * 0.3 * 0.2)
    )
    assert joined_score([1.0, 0.0], prior=0.5) == pytest.approx(0.5)


def test_matched_boxes_become_their_mean_by_score() -> None:
    joined = join_detections(
        [found((0, 1, (0, 0, 10, 10), 0.75)), found((0, 1, (2, 0, 12, 10), 0.25))], prior=0.5
    )
    assert joined.boxes_xyxy_px.tolist() == [[0.5, 0.0, 10.5, 10.0]]
    assert joined.scores.tolist() == pytest.approx([0.5])
    assert joined.classes.tolist() == [1]


@pytest.mark.parametrize(
    "other",
    [
        (0, 0, (100, 100, 110, 110), 0.4),
        (0, 1, (0, 0, 10, 10), 0.4),
        (1, 0, (0, 0, 10, 10), 0.4),
    ],
    ids=["elsewhere", "other class", "other image"],
)
def test_what_one_alone_saw_passes_as_it_is(other: Row) -> None:
    own: Row = (0, 0, (0, 0, 10, 10), 0.9)
    joined = join_detections([found(own), found(other)])
    rows = zip(
        joined.image_ids.tolist(),
        joined.classes.tolist(),
        map(tuple, joined.boxes_xyxy_px.tolist()),
        joined.scores.tolist(),
        strict=True,
    )
    assert set(rows) == {own, other}


def test_each_detection_speaks_for_one_object() -> None:
    twins = found((0, 0, (0, 0, 10, 10), 0.9), (0, 0, (1, 0, 11, 10), 0.8))
    joined = join_detections([twins, found((0, 0, (0, 0, 10, 10), 0.5))], prior=0.5)
    assert joined.scores.tolist() == pytest.approx([0.9, 0.8])
    assert joined.boxes_xyxy_px[1].tolist() == [1, 0, 11, 10]


def test_detections_of_one_detector_are_left_alone() -> None:
    twins = found((0, 0, (0, 0, 10, 10), 0.9), (0, 0, (0, 0, 10, 10), 0.8))
    assert join_detections([twins, found()]).scores.tolist() == [0.9, 0.8]
    assert len(join_detections([found(), found()]).scores) == 0


def test_agreement_raises_and_order_of_detectors_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (80, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(10, 30, (80, 2))), axis=1)
    sets = [
        ScoredBoxes(rng.integers(0, 3, 40), half, rng.permutation(40) / 40, rng.integers(0, 2, 40))
        for half in (boxes[:40], boxes[40:])
    ]
    one, other = join_detections(sets), join_detections(sets[::-1])
    np.testing.assert_allclose(np.sort(one.scores), np.sort(other.scores))
    assert joined_score([0.6, 0.6]) > 0.6
    assert (np.diff(one.image_ids) >= 0).all()
