"""Which detection found which true box, by the COCO rules, for a whole split at once.

It decides hits and misses only; what follows from them stands in `metrics.py`. Rules and ties are
those of the reference evaluation (Lin et al., arXiv 1405.0312; pycocotools). A cell is one class in
one image, the ground on which detections compete.
Shape legend: G true boxes, D detections, K detections that were kept, C classes, T thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.results.overlaps import (
    Bools,
    Candidates,
    Floats,
    Ints,
    TrueBoxes,
    box_columns,
    count_up,
    find_candidates,
    run_lengths,
    run_starts,
)

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
ANY_AREA_PX = (0.0, 1e10)  # what the reference calls "all"


@dataclass(frozen=True)
class GroundTruth:
    """The true boxes of a split, one row a box; rows of one image may stand anywhere.

    Attributes:
        image_ids: (G,) integers, not negative.
        boxes_xyxy_px: (G, 4) floating point.
        classes: (G,) integers, 0-based.
        is_ignored: (G,) bool, or None for none. A marked box is a region (COCO's ``iscrowd``): any
            number of detections inside it count neither as right nor as wrong.
    """

    image_ids: NDArray[np.integer[Any]]
    boxes_xyxy_px: NDArray[np.floating[Any]]
    classes: NDArray[np.integer[Any]]
    is_ignored: Bools | None = None

    def __post_init__(self) -> None:
        _check_columns(self.image_ids, self.boxes_xyxy_px, self.classes)
        assert self.is_ignored is None or self.is_ignored.shape == self.image_ids.shape


@dataclass(frozen=True)
class ScoredBoxes:
    """The detections of a split, one row a detection; rows of one image may stand anywhere.

    Among equal scores the lower image id goes first, and within an image the earlier row.

    Attributes:
        image_ids: (D,) integers, not negative; ids without any true box are background images.
        boxes_xyxy_px: (D, 4) floating point; one that is not finite finds nothing.
        scores: (D,) floating point in [0, 1].
        classes: (D,) integers, 0-based.
    """

    image_ids: NDArray[np.integer[Any]]
    boxes_xyxy_px: NDArray[np.floating[Any]]
    scores: NDArray[np.floating[Any]]
    classes: NDArray[np.integer[Any]]

    def __post_init__(self) -> None:
        _check_columns(self.image_ids, self.boxes_xyxy_px, self.classes)
        assert self.scores.shape == self.image_ids.shape
        assert not np.isnan(self.scores).any(), "a score that is not a number cannot be ranked"


@dataclass(frozen=True)
class Matches:
    """Hits and misses, class by class and in each class best score first.

    Attributes:
        rows: (K,) row of each kept detection in its `ScoredBoxes`.
        scores: (K,) never rising within a class.
        classes: (K,) never falling.
        is_hit: (T, K) whether the detection found a true box at each IoU threshold.
        is_ignored: (T, K) whether it counts neither as right nor as wrong; never with ``is_hit``.
        num_truth: (C,) true boxes that a detector should find, without the ignored ones.
    """

    rows: Ints
    scores: NDArray[np.floating[Any]]
    classes: Ints
    is_hit: Bools
    is_ignored: Bools
    num_truth: Ints


def match(
    truth: GroundTruth,
    detections: ScoredBoxes,
    *,
    num_classes: int,
    max_detections: int = 100,
    iou_thresholds: Floats = IOU_THRESHOLDS,
    area_range_px: tuple[float, float] = ANY_AREA_PX,
) -> Matches:
    """Let the detections of each image and class, best score first, each take one true box.

    A detection takes the free true box that it overlaps most, if the overlap reaches the threshold;
    among equals the later row. It takes an ignored box only where no other is in reach.

    Args:
        truth: The true boxes.
        detections: What the detector said.
        num_classes: C; every class is below it.
        max_detections: Detections kept for each image and class, best score first.
        iou_thresholds: (T,) in (0, 1).
        area_range_px: Smallest and largest box area that counts. True boxes outside are ignored
            (but found once at most), and so are detections outside that find nothing.
    """
    rows, cells = _ranked(detections, num_classes, max_detections)
    found = box_columns(detections.boxes_xyxy_px[rows], cells)
    real = _by_cell(truth, num_classes, area_range_px)
    candidates = find_candidates(found, real, lowest_iou=float(iou_thresholds.min()))
    is_hit, is_ignored = _hits(candidates, real, iou_thresholds, num_detections=len(rows))
    is_ignored |= ~is_hit & _is_outside(found.areas, area_range_px)
    counted = real.boxes.cells[~real.is_left_out] % num_classes
    return Matches(
        rows=rows,
        scores=detections.scores[rows],
        classes=cells % num_classes,
        is_hit=is_hit,
        is_ignored=is_ignored,
        num_truth=np.bincount(counted, minlength=num_classes),
    )


def _check_columns(
    image_ids: NDArray[np.integer[Any]],
    boxes_xyxy_px: NDArray[np.floating[Any]],
    classes: NDArray[np.integer[Any]],
) -> None:
    assert boxes_xyxy_px.shape == (len(image_ids), 4)
    assert classes.shape == image_ids.shape
    assert classes.min(initial=0) >= 0
    assert image_ids.min(initial=0) >= 0


def _ranked(detections: ScoredBoxes, num_classes: int, max_detections: int) -> tuple[Ints, Ints]:
    """Return the kept rows by class, falling score, image and row, and the cell of each."""
    rows = np.argsort(detections.image_ids, kind="stable")
    rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
    # 16 bits let numpy sort by radix, several times faster.
    rows = rows[np.argsort(detections.classes[rows].astype(np.uint16), kind="stable")]
    cells = _cells(detections.image_ids, detections.classes, num_classes)[rows]
    by_cell = np.argsort(cells, kind="stable")
    rank_in_cell = np.empty(len(cells), np.int64)
    rank_in_cell[by_cell] = count_up(run_lengths(run_starts(cells[by_cell]), len(cells)))
    is_kept = rank_in_cell < max_detections
    return rows[is_kept], cells[is_kept]


def _by_cell(truth: GroundTruth, num_classes: int, area_range_px: tuple[float, float]) -> TrueBoxes:
    cells = _cells(truth.image_ids, truth.classes, num_classes)
    order = np.argsort(cells, kind="stable")
    boxes = box_columns(truth.boxes_xyxy_px[order], cells[order])
    is_crowd = np.zeros(len(order), bool)
    if truth.is_ignored is not None:
        is_crowd = truth.is_ignored[order]
    return TrueBoxes(boxes, is_crowd, is_crowd | _is_outside(boxes.areas, area_range_px))


def _cells(
    image_ids: NDArray[np.integer[Any]], classes: NDArray[np.integer[Any]], num_classes: int
) -> Ints:
    assert classes.max(initial=0) < num_classes <= 1 << 16
    return image_ids.astype(np.int64) * num_classes + classes.astype(np.int64)


def _is_outside(areas: Floats, area_range_px: tuple[float, float]) -> Bools:
    smallest, largest = area_range_px
    return (areas < smallest) | (areas > largest)


def _hits(
    candidates: Candidates, real: TrueBoxes, iou_thresholds: Floats, *, num_detections: int
) -> tuple[Bools, Bools]:
    """Return two (T, K): the detection found a box that counts, or one that is left out."""
    is_hit = np.zeros((len(iou_thresholds), num_detections), bool)
    is_ignored = np.zeros_like(is_hit)
    for row, threshold in enumerate(iou_thresholds):
        is_near = candidates.ious >= threshold
        detections, truths = candidates.detections[is_near], candidates.truths[is_near]
        starts = run_starts(detections)
        taken = _assign(truths, starts, real.is_crowd)
        is_matched = taken < len(truths)
        winners = detections[starts[is_matched]]
        left_out = real.is_left_out[truths[taken[is_matched]]]
        is_hit[row, winners] = ~left_out
        is_ignored[row, winners] = left_out
    return is_hit, is_ignored


def _assign(truths: Ints, starts: Ints, is_crowd: Bools) -> Ints:
    """Return which of its wishes each detection gets, ``len(truths)`` where it gets none.

    To serve the detections one by one, best score first, is the same as to let all propose at once
    to their best choice, each true box keep the best score, and the others propose again (Gale and
    Shapley, 1962): all true boxes rank the detections alike, so the stable outcome is unique. It
    takes as many rounds as the longest chain of rejections, not as there are detections.

    Args:
        truths: Wanted true boxes, detection by detection, best score and best choice first.
        starts: (S,) where the wishes of each detection start.
        is_crowd: (G,) true boxes that take any number of detections.
    """
    nobody = len(starts)
    stops = np.append(starts[1:], len(truths))
    wishes = starts.copy()
    holders = np.full(len(is_crowd), nobody)
    proposers = np.arange(nobody)
    while len(proposers):
        wanted = truths[wishes[proposers]]
        is_contested = ~is_crowd[wanted]
        wanted, proposers = wanted[is_contested], proposers[is_contested]
        before = holders[wanted]
        np.minimum.at(holders, wanted, proposers)
        is_won = holders[wanted] == proposers
        displaced = before[is_won]
        rejected = np.concatenate((proposers[~is_won], displaced[displaced < nobody]))
        wishes[rejected] += 1
        proposers = rejected[wishes[rejected] < stops[rejected]]
    return np.where(wishes < stops, wishes, len(truths))
