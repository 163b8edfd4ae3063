"""Which pairs of a split a detector does worst on, and what it got wrong there.

Errors are those of the confusion matrix: true boxes that nothing found, detections of nothing, and
boxes found as another class. Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusetrain.results.confusion import meetings
from fusetrain.results.matching import GroundTruth, ScoredBoxes
from fusetrain.results.overlaps import Ints


@dataclass(frozen=True)
class WorstPair:
    """One pair and what a detector got wrong on it.

    Attributes:
        image_id: The pair.
        missed: Rows of true boxes that no detection took.
        false_alarms: Rows of detections that took no true box, best score first.
        wrong_class: Rows of detections that took a true box of another class, best score first.
        right: Rows of detections that took a true box of their class, best score first.
        badness: Misses and wrong classes, and the scores of the false alarms; above 0.
    """

    image_id: int
    missed: Ints
    false_alarms: Ints
    wrong_class: Ints
    right: Ints
    badness: float


def worst_pairs(
    truth: GroundTruth, found: ScoredBoxes, *, confidence: float, most: int
) -> Sequence[WorstPair]:
    """Return the pairs with the worst errors, the worst first; pairs without an error never.

    A miss and a wrong class count 1, a false alarm counts its score: a sure one is worse than a
    doubtful one. Among equals the lower image id goes first.

    Args:
        truth: The true boxes of a split.
        found: The detections, in the same pixels.
        confidence: Lowest score of a detection that counts.
        most: Pairs returned at most.
    """
    met = meetings(truth, found, confidence=confidence)
    is_match = met.taken >= 0
    is_right = is_match.copy()
    is_right[is_match] = truth.classes[met.taken[is_match]] == found.classes[met.rows[is_match]]
    false_alarms, right = met.rows[~is_match], met.rows[is_right]
    wrong_class = met.rows[is_match & ~is_right]
    num_ids = 1 + max(truth.image_ids.max(initial=-1), found.image_ids.max(initial=-1))
    badness = (
        np.bincount(truth.image_ids[met.missed], minlength=num_ids)
        + np.bincount(found.image_ids[wrong_class], minlength=num_ids)
        + np.bincount(found.image_ids[false_alarms], found.scores[false_alarms], minlength=num_ids)
    )
    ranked = np.argsort(-badness, kind="stable")[:most]
    return [
        WorstPair(
            image_id,
            missed=met.missed[truth.image_ids[met.missed] == image_id],
            false_alarms=false_alarms[found.image_ids[false_alarms] == image_id],
            wrong_class=wrong_class[found.image_ids[wrong_class] == image_id],
            right=right[found.image_ids[right] == image_id],
            badness=float(badness[image_id]),
        )
        for image_id in ranked[badness[ranked] > 0].tolist()
    ]
