"""COCO-style scores of a whole split: mAP, and precision and recall at the best confidence.

Average precision equals that of the reference evaluation (Lin et al., arXiv 1405.0312; pycocotools)
on the same boxes. numpy only, so that reports and tables need no torch; it draws nothing.
Shape legend: C classes, T IoU thresholds, R = 101 recall levels, P = 1000 confidence levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusetrain.results.matching import (
    ANY_AREA_PX,
    IOU_THRESHOLDS,
    GroundTruth,
    Matches,
    ScoredBoxes,
    match,
)
from fusetrain.results.overlaps import Bools, Floats, Ints

__all__ = [
    "CONFIDENCES",
    "IOU_THRESHOLDS",
    "RECALL_LEVELS",
    "ClassMetrics",
    "Curves",
    "DetectionMetrics",
    "GroundTruth",
    "ScoredBoxes",
    "evaluate",
]

RECALL_LEVELS: Floats = np.linspace(0.0, 1.0, 101)
CONFIDENCES: Floats = np.linspace(0.0, 1.0, 1000)
AT_50 = 0  # row of IoU 0.5 in IOU_THRESHOLDS


@dataclass(frozen=True)
class Curves:
    """What the precision, recall and F1 figures show, at IoU 0.5; NaN rows for absent classes.

    At a confidence c the detections with a score of at least c are kept. These are counts over the
    whole split, not interpolated. Where nothing is kept, precision is 0.

    Attributes:
        precision: (C, P) over `CONFIDENCES`, in [0, 1].
        recall: (C, P) over `CONFIDENCES`, in [0, 1].
        f1: (C, P) over `CONFIDENCES`, in [0, 1].
        precision_at_recall: (C, R) over `RECALL_LEVELS`: the best precision at that recall or more,
            whose mean is AP50.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    precision_at_recall: Floats


@dataclass(frozen=True)
class ClassMetrics:
    """Scores of each class, all in [0, 1]; NaN for classes without a true box.

    Attributes:
        average_precision: (C, T) over `IOU_THRESHOLDS`.
        precision: (C,) at the best confidence, IoU 0.5.
        recall: (C,) at the best confidence, IoU 0.5.
        f1: (C,) at the best confidence, IoU 0.5.
        num_truth: (C,) int64, true boxes that are not ignored.
    """

    average_precision: Floats
    precision: Floats
    recall: Floats
    f1: Floats
    num_truth: Ints

    @property
    def ap50(self) -> Floats:
        """Return (C,) average precision at IoU 0.5."""
        return self.average_precision[:, AT_50]

    @property
    def ap50_95(self) -> Floats:
        """Return (C,) average precision, mean over IoU 0.50, 0.55, ... 0.95."""
        mean: Floats = self.average_precision.mean(axis=1)
        return mean


@dataclass(frozen=True)
class DetectionMetrics:
    """Scores of a split: means over the classes that have a true box, 0.0 if none has.

    Attributes:
        map50: Mean average precision at IoU 0.5, in [0, 1].
        map50_95: The same, mean over IoU 0.50, 0.55, ... 0.95.
        precision: At ``best_confidence`` and IoU 0.5.
        recall: At ``best_confidence`` and IoU 0.5.
        best_confidence: Level of `CONFIDENCES` with the highest mean F1; the lowest among equals.
        per_class: The same class by class.
        curves: For the figures.
    """

    map50: float
    map50_95: float
    precision: float
    recall: float
    best_confidence: float
    per_class: ClassMetrics
    curves: Curves


def evaluate(
    truth: GroundTruth,
    detections: ScoredBoxes,
    *,
    num_classes: int,
    max_detections: int = 100,
    area_range_px: tuple[float, float] = ANY_AREA_PX,
) -> DetectionMetrics:
    """Score the detections of a split against its true boxes.

    Args:
        truth: The true boxes; classes below ``num_classes``.
        detections: In the same pixels as the true boxes, with the scores of a low confidence
            threshold (0.001), because average precision needs the whole curve.
        num_classes: C.
        max_detections: Detections kept for each image and class, best score first.
        area_range_px: Smallest and largest box area that counts.
    """
    matches = match(
        truth,
        detections,
        num_classes=num_classes,
        max_detections=max_detections,
        area_range_px=area_range_px,
    )
    precision_at_recall = _precision_at_recall(matches)
    average_precision = precision_at_recall.mean(axis=2)
    curves = _curves(matches, precision_at_recall[:, AT_50])
    is_present = matches.num_truth > 0
    best = int(curves.f1[is_present].mean(axis=0).argmax()) if is_present.any() else 0
    per_class = ClassMetrics(
        average_precision=average_precision,
        precision=curves.precision[:, best],
        recall=curves.recall[:, best],
        f1=curves.f1[:, best],
        num_truth=matches.num_truth,
    )
    return DetectionMetrics(
        map50=_mean(per_class.ap50, is_present),
        map50_95=_mean(per_class.ap50_95, is_present),
        precision=_mean(per_class.precision, is_present),
        recall=_mean(per_class.recall, is_present),
        best_confidence=float(CONFIDENCES[best]),
        per_class=per_class,
        curves=curves,
    )


def _mean(values: Floats, is_present: Bools) -> float:
    return float(values[is_present].mean()) if is_present.any() else 0.0


def _precision_at_recall(matches: Matches) -> Floats:
    """Return (C, T, R) the best precision at each recall level or beyond."""
    num_classes = len(matches.num_truth)
    levels = np.full((num_classes, len(matches.is_hit), len(RECALL_LEVELS)), np.nan)
    bounds = np.searchsorted(matches.classes, np.arange(num_classes + 1))
    for index in np.flatnonzero(matches.num_truth):
        members = slice(bounds[index], bounds[index + 1])
        for row in range(len(matches.is_hit)):
            levels[index, row] = _envelope(
                matches.is_hit[row, members],
                matches.is_ignored[row, members],
                num_truth=int(matches.num_truth[index]),
            )
    return levels


def _envelope(is_hit: Bools, is_ignored: Bools, *, num_truth: int) -> Floats:
    """Return (R,) the best precision at each recall level or beyond, of one class.

    Precision rises at hits only, so the other detections need not be visited.

    Args:
        is_hit: (K,) best score first.
        is_ignored: (K,) left out of the count.
        num_truth: Boxes to find, at least 1.
    """
    hits = np.flatnonzero(is_hit)
    num_kept = hits + 1 - np.searchsorted(np.flatnonzero(is_ignored), hits)
    num_found = np.arange(1, len(hits) + 1)
    precision = num_found / num_kept
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    first = np.searchsorted(num_found / num_truth, RECALL_LEVELS)
    return np.append(best_from_here, 0.0)[first]


def _curves(matches: Matches, precision_at_recall: Floats) -> Curves:
    is_hit, is_counted = matches.is_hit[AT_50], ~matches.is_ignored[AT_50]
    scores = matches.scores.astype(np.float64)
    levels = np.searchsorted(CONFIDENCES, scores, side="right") - 1
    num_truth = matches.num_truth[:, None].astype(np.float64)
    num_truth[num_truth == 0] = np.nan
    num_found = _at_least(levels[is_hit], matches.classes[is_hit], len(num_truth))
    num_kept = _at_least(levels[is_counted], matches.classes[is_counted], len(num_truth))
    precision = num_found / np.maximum(num_kept, 1)
    return Curves(
        precision=np.where(np.isnan(num_truth), np.nan, precision),
        recall=num_found / num_truth,
        f1=2 * num_found / (num_kept + num_truth),
        precision_at_recall=precision_at_recall,
    )


def _at_least(levels: Ints, classes: Ints, num_classes: int) -> Ints:
    """Return (C, P) how many detections of each class reach each confidence level."""
    bins = classes * len(CONFIDENCES) + np.maximum(levels, 0)
    counts = np.bincount(bins, minlength=num_classes * len(CONFIDENCES))
    from_the_top = counts.reshape(num_classes, -1)[:, ::-1].cumsum(axis=1)
    return from_the_top[:, ::-1]
