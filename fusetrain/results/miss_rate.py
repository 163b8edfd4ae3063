"""Log-average miss rate, the score of pedestrian benchmarks (KAIST, Caltech); lower is better.

At a confidence, the miss rate is the share of true boxes that are not found, FPPI the false
detections an image. MR^-2 is the geometric mean of the miss rates at nine FPPI from 0.01 to 1, IoU
0.5 (Dollar et al., Pedestrian Detection: An Evaluation of the State of the Art, TPAMI 2012). numpy
only; which box finds which is decided in `matching.py`.
Shape legend: C classes, G true boxes, D detections, K detections of one class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fusetrain.results.matching import GroundTruth, ScoredBoxes, match
from fusetrain.results.overlaps import Bools, Floats, Ints

REFERENCE_FPPI: Floats = np.logspace(-2.0, 0.0, 9)
ANY_HEIGHT_PX = (0.0, float("inf"))
# What KAIST calls reasonable, as far as boxes tell it: they do not say what is hidden.
REASONABLE_HEIGHT_PX = (55.0, float("inf"))
# Detections a little outside of the heights may still find a box inside of them.
HEIGHT_SLACK = 1.25
IOU = 0.5
LEAST_MISS_RATE = 1e-10
MAX_DETECTIONS = 1000


@dataclass(frozen=True)
class MissRates:
    """Miss rates of each class; NaN for classes without a true box.

    Attributes:
        at_fppi: (C, 9) over `REFERENCE_FPPI`, in [0, 1]; 1 where even the first detections are too
            many.
        log_average: (C,) their geometric means, in [0, 1].
        num_truth: (C,) int64, true boxes that count.
    """

    at_fppi: Floats
    log_average: Floats
    num_truth: Ints

    @property
    def mean(self) -> float:
        """Return the mean over the classes that have a true box; NaN if none has."""
        present = self.log_average[self.num_truth > 0]
        return float(present.mean()) if len(present) else float("nan")


def miss_rates(
    truth: GroundTruth,
    detections: ScoredBoxes,
    *,
    num_classes: int,
    num_images: int,
    height_range_px: tuple[float, float] = ANY_HEIGHT_PX,
) -> MissRates:
    """Return the miss rates of a split.

    Args:
        truth: The true boxes; ignored ones, and those of other heights, are regions: what lies in
            them is neither right nor wrong.
        detections: In the same pixels; all of them, whatever their scores.
        num_classes: C.
        num_images: Images of the split, those without a box included; at least 1.
        height_range_px: Smallest height of a true box that counts, and the height from which on
            none does.
    """
    matches = match(
        _ignoring(truth, height_range_px),
        _of_height(detections, height_range_px),
        num_classes=num_classes,
        max_detections=MAX_DETECTIONS,
        iou_thresholds=np.array([IOU]),
    )
    at_fppi = np.full((num_classes, len(REFERENCE_FPPI)), np.nan)
    bounds = np.searchsorted(matches.classes, np.arange(num_classes + 1))
    for number in np.flatnonzero(matches.num_truth):
        members = slice(bounds[number], bounds[number + 1])
        counted = matches.is_hit[0, members][~matches.is_ignored[0, members]]
        num_truth = int(matches.num_truth[number])
        at_fppi[number] = _at_references(counted, num_truth=num_truth, num_images=num_images)
    log_average = np.exp(np.log(np.maximum(at_fppi, LEAST_MISS_RATE)).mean(axis=1))
    return MissRates(at_fppi, log_average, matches.num_truth)


def _at_references(is_hit: Bools, *, num_truth: int, num_images: int) -> Floats:
    """Return the miss rate at the last detection that each FPPI allows.

    Args:
        is_hit: (K,) of the detections of a class that count, best score first.
        num_truth: True boxes of the class, at least 1.
        num_images: Images of the split.
    """
    fppi = np.concatenate(([0.0], np.cumsum(~is_hit) / num_images))
    missed = np.concatenate(([1.0], 1.0 - np.cumsum(is_hit) / num_truth))
    last = np.searchsorted(fppi, REFERENCE_FPPI, side="right") - 1
    return np.asarray(missed[last], np.float64)


def _ignoring(truth: GroundTruth, height_range_px: tuple[float, float]) -> GroundTruth:
    heights = truth.boxes_xyxy_px[:, 3] - truth.boxes_xyxy_px[:, 1]
    is_ignored = (heights < height_range_px[0]) | (heights >= height_range_px[1])
    if truth.is_ignored is not None:
        is_ignored |= truth.is_ignored
    return replace(truth, is_ignored=is_ignored)


def _of_height(found: ScoredBoxes, height_range_px: tuple[float, float]) -> ScoredBoxes:
    heights = found.boxes_xyxy_px[:, 3] - found.boxes_xyxy_px[:, 1]
    low, high = height_range_px[0] / HEIGHT_SLACK, height_range_px[1] * HEIGHT_SLACK
    kept = (heights >= low) & (heights < high)
    return ScoredBoxes(
        found.image_ids[kept], found.boxes_xyxy_px[kept], found.scores[kept], found.classes[kept]
    )
