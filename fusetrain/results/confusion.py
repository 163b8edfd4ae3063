"""Which class was taken for which: true boxes against detections, background included.

It counts and draws nothing. Boxes meet regardless of their classes, unlike in `matching.py`, where
detections compete within a class.
Shape legend: C classes, G true boxes, D detections, K detections that are confident enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusetrain.results.matching import GroundTruth, ScoredBoxes
from fusetrain.results.overlaps import (
    Bools,
    Ints,
    TrueBoxes,
    box_columns,
    find_candidates,
    run_lengths,
    run_starts,
)


@dataclass(frozen=True)
class Meetings:
    """Which detection took which true box, whatever their classes.

    Attributes:
        rows: (K,) row of each detection that counts, best score first.
        taken: (K,) row of the true box that it took; -1 for none.
        missed: (M,) rows of the true boxes that none took.
    """

    rows: Ints
    taken: Ints
    missed: Ints


def confusion_matrix(
    truth: GroundTruth,
    found: ScoredBoxes,
    *,
    num_classes: int,
    confidence: float,
    iou: float = 0.5,
) -> Ints:
    """Count which true class was found as which class, by `meetings`.

    Args:
        truth: The true boxes.
        found: The detections, in the same pixels.
        num_classes: C; every class is below it.
        confidence: Lowest score of a detection that counts.
        iou: Lowest overlap of a detection with the true box that it takes, in (0, 1).

    Returns:
        (C + 1, C + 1) int64, row true class, column class of the detection. The last row is
        background (detections of nothing), the last column is background (boxes not found).
    """
    met = meetings(truth, found, confidence=confidence, iou=iou)
    rows, taken = met.rows, met.taken
    is_match = taken >= 0
    true_of_found = np.full(len(rows), num_classes)
    true_of_found[is_match] = truth.classes[taken[is_match]]
    missed = truth.classes[met.missed].astype(np.int64)
    true = np.concatenate((true_of_found, missed))
    said = np.concatenate((found.classes[rows], np.full(len(missed), num_classes)))
    side = num_classes + 1
    cells = true * side + said.astype(np.int64)
    return np.bincount(cells, minlength=side * side).reshape(side, side)


def meetings(
    truth: GroundTruth, found: ScoredBoxes, *, confidence: float, iou: float = 0.5
) -> Meetings:
    """Let the detections of an image, best score first, each take one true box.

    A detection takes the free true box that it overlaps most, whatever its class; among equal
    overlaps one of its own class goes first. Ignored boxes are not counted, and neither are
    detections that overlap nothing else than them.

    Args:
        truth: The true boxes.
        found: The detections, in the same pixels.
        confidence: Lowest score of a detection that counts.
        iou: Lowest overlap of a detection with the true box that it takes, in (0, 1).
    """
    rows = _ranked(found, confidence)
    is_ignored = np.zeros(len(truth.classes), bool)
    if truth.is_ignored is not None:
        is_ignored = truth.is_ignored
    taken = _taken(truth, found, rows, is_ignored=is_ignored, iou=iou)
    is_counted = np.ones(len(rows), bool)
    is_counted[taken >= 0] = ~is_ignored[taken[taken >= 0]]
    rows, taken = rows[is_counted], taken[is_counted]
    is_missed = ~is_ignored
    is_missed[taken[taken >= 0]] = False
    return Meetings(rows, taken, np.flatnonzero(is_missed))


def _ranked(found: ScoredBoxes, confidence: float) -> Ints:
    """Return (K,) rows of the detections that count, best score first; lower image ids first."""
    rows = np.flatnonzero(found.scores >= confidence)
    rows = rows[np.argsort(found.image_ids[rows], kind="stable")]
    return rows[np.argsort(-found.scores[rows], kind="stable")]


def _taken(
    truth: GroundTruth, found: ScoredBoxes, rows: Ints, *, is_ignored: Bools, iou: float
) -> Ints:
    """Return (K,) the true box that each of the ranked detections takes, -1 for none."""
    by_image = np.argsort(truth.image_ids, kind="stable")
    real = TrueBoxes(
        box_columns(truth.boxes_xyxy_px[by_image], truth.image_ids[by_image].astype(np.int64)),
        is_crowd=is_ignored[by_image],
        is_left_out=is_ignored[by_image],
    )
    columns = box_columns(found.boxes_xyxy_px[rows], found.image_ids[rows].astype(np.int64))
    pairs = find_candidates(columns, real, lowest_iou=iou)
    truths = by_image[pairs.truths]
    is_other = truth.classes[truths] != found.classes[rows[pairs.detections]]
    order = np.lexsort((is_other, -pairs.ious, is_ignored[truths], pairs.detections))
    taken = np.full(len(rows), -1)
    is_free = np.ones(len(is_ignored), bool)
    detections, truths = pairs.detections[order], truths[order]
    starts = run_starts(detections)
    for start, length in zip(starts, run_lengths(starts, len(truths)), strict=True):
        for number in truths[start : start + length].tolist():
            if is_free[number]:
                is_free[number] = is_ignored[number]
                taken[detections[start]] = number
                break
    return taken
