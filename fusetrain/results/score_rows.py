"""The scores of a split, or of a part of it, on one row: for tables, JSON and comparisons.

A part is some images (day, night), some sizes of boxes, or one class. numpy only.
Shape legend: C classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusetrain.results.matching import ANY_AREA_PX, GroundTruth, ScoredBoxes
from fusetrain.results.metrics import evaluate
from fusetrain.results.miss_rate import miss_rates
from fusetrain.results.overlaps import Bools

# What the COCO evaluation calls so; boxes of other sizes are ignored, not left out.
SIZES_PX = (
    ("small", (0.0, 32.0**2)),
    ("medium", (32.0**2, 96.0**2)),
    ("large", (96.0**2, 1e10)),
)

SCORES = ("precision", "recall", "map50", "map50_95", "miss_rate")


@dataclass(frozen=True)
class Judged:
    """What a detector said about the pairs of a split.

    Attributes:
        truth: The true boxes.
        found: The detections, in the same pixels.
        num_pairs: Pairs of the split; their ids lie below it.
        class_names: C names.
    """

    truth: GroundTruth
    found: ScoredBoxes
    num_pairs: int
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class ScoreRow:
    """Scores of a part of a split; NaN where nothing is there to be found.

    Attributes:
        name: What part it is.
        pairs: Its pairs.
        boxes: True boxes that count.
        precision: At the confidence of best F1 of this part, IoU 0.5, in [0, 1].
        recall: The same.
        map50: Mean average precision at IoU 0.5, in [0, 1].
        map50_95: The same, mean over IoU 0.50, 0.55, ... 0.95.
        miss_rate: Log-average miss rate, in [0, 1]; NaN for a size, whose false detections are not
            told from those of other sizes.
    """

    name: str
    pairs: int
    boxes: int
    precision: float
    recall: float
    map50: float
    map50_95: float
    miss_rate: float


def score(
    judged: Judged, name: str, *, area_range_px: tuple[float, float] = ANY_AREA_PX
) -> ScoreRow:
    """Return the scores over the pairs, of boxes whose area lies in a range."""
    num_classes = len(judged.class_names)
    metrics = evaluate(
        judged.truth, judged.found, num_classes=num_classes, area_range_px=area_range_px
    )
    boxes = int(metrics.per_class.num_truth.sum())
    missed = math.nan
    if area_range_px == ANY_AREA_PX and judged.num_pairs:
        missed = miss_rates(
            judged.truth, judged.found, num_classes=num_classes, num_images=judged.num_pairs
        ).mean
    if not boxes:
        return ScoreRow(name, judged.num_pairs, 0, *(math.nan,) * 5)
    return ScoreRow(
        name,
        judged.num_pairs,
        boxes,
        metrics.precision,
        metrics.recall,
        metrics.map50,
        metrics.map50_95,
        missed,
    )


def mean_row(rows: Sequence[ScoreRow], name: str) -> ScoreRow:
    """Return the mean of rows over the same pairs and boxes."""
    means = [float(np.mean([getattr(row, key) for row in rows])) for key in SCORES]
    return ScoreRow(name, rows[0].pairs, rows[0].boxes, *means)


def size_rows(judged: Judged) -> list[ScoreRow]:
    """Return the scores of small, medium and large boxes, as the COCO evaluation takes them."""
    return [score(judged, name, area_range_px=area) for name, area in SIZES_PX]


def class_rows(judged: Judged) -> list[ScoreRow]:
    """Return the scores of each class, each at the confidence of its own best F1."""
    rows = []
    for number, name in enumerate(judged.class_names):
        own = Judged(
            _truth_where(judged.truth, judged.truth.classes == number, as_class=0),
            _found_where(judged.found, judged.found.classes == number, as_class=0),
            judged.num_pairs,
            (name,),
        )
        rows.append(score(own, name))
    return rows


def part_rows(judged: Judged, parts: Sequence[tuple[str, Bools]]) -> list[ScoreRow]:
    """Return the scores over some pairs.

    Args:
        judged: All of them.
        parts: Name, and (pairs,) which of them belong to the part.
    """
    rows = []
    for name, is_member in parts:
        own = Judged(
            _truth_where(judged.truth, is_member[judged.truth.image_ids]),
            _found_where(judged.found, is_member[judged.found.image_ids]),
            int(is_member.sum()),
            judged.class_names,
        )
        rows.append(score(own, name))
    return rows


def _truth_where(truth: GroundTruth, rows: Bools, *, as_class: int | None = None) -> GroundTruth:
    classes = truth.classes[rows]
    return GroundTruth(
        truth.image_ids[rows],
        truth.boxes_xyxy_px[rows],
        classes if as_class is None else np.full_like(classes, as_class),
        None if truth.is_ignored is None else truth.is_ignored[rows],
    )


def _found_where(found: ScoredBoxes, rows: Bools, *, as_class: int | None = None) -> ScoredBoxes:
    classes = found.classes[rows]
    return ScoredBoxes(
        found.image_ids[rows],
        found.boxes_xyxy_px[rows],
        found.scores[rows],
        classes if as_class is None else np.full_like(classes, as_class),
    )
