"""Checks of boxes as a whole: drawn by another convention, or unlike those of the other modality.

Single boxes and lines are the business of `labels.py`.
Shape legend: M boxes of a split, N and K boxes of one image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.data.index import LabelColumns, SplitScan

MIN_BOXES = 12
# Boxes may be rounded; some may be wrong.
EDGE_SLACK = 0.002
EXCEPTIONS = 0.01
# Of an image: boxes that all lie in this corner are no boxes, which `labels.py` says.
HEAP = 1.0 / 32
# A corner taken for a centre: from so much evidence on. A box that reaches the left or upper edge
# while none reaches the others counts 1, as half of them would by chance; one whose double ends at
# the very edge counts 3.
EVIDENCE = 10
EVIDENCE_OF_END = 3
# Two corners taken for centre and size: so many boxes touch an edge of the image.
TOUCHING_SHARE = 0.3
MATCH_IOU = 0.3
UNMATCHED_SHARE = 0.05
SHIFT_PX = 4.0
CANVAS_PX = 640.0


def check_corners(scan: SplitScan) -> list[Finding]:
    """L12: boxes are centre and size, not a corner and size, nor two corners.

    A box whose upper left corner was taken for its centre never comes nearer than half its size to
    the right or the lower edge, as the true box lies within the image; that of an object cut off
    by this edge comes exactly as near. Clipping changes neither.
    """
    boxes = scan.index.boxes.astype(np.float64)
    if len(boxes) < MIN_BOXES or (boxes <= HEAP).all():
        return []
    low, high = boxes[:, :2] - boxes[:, 2:] / 2.0, boxes[:, :2] + boxes[:, 2:] / 2.0
    split = scan.index.split
    if _are_two_corners(low, high):
        message = "columns 2 to 5 look like two corners (x1 y1 x2 y2): the last two are always "
        return [finding("L12", f"{message}larger, and most boxes cross an edge", split=split)]
    doubled = boxes[:, :2] + boxes[:, 2:]
    crossing = int((boxes[:, :2] - boxes[:, 2:] < -EDGE_SLACK).any(axis=1).sum())
    beyond = int((doubled > 1.0 + EDGE_SLACK).any(axis=1).sum())
    ending = int((np.abs(doubled - 1.0) <= EDGE_SLACK).any(axis=1).sum())
    if beyond > EXCEPTIONS * len(boxes) or crossing + EVIDENCE_OF_END * ending < EVIDENCE:
        return []
    message = (
        "boxes look shifted up and left by half their size, as if columns 2 and 3 were the upper "
        f"left corner: {crossing} of {len(boxes)} come near the left or upper edge, {beyond} the "
        f"right or lower one, and {ending} would end at that edge if shifted back"
    )
    numbers = {"left_upper": crossing, "right_lower": beyond, "ending": ending}
    return [finding("L12", message, split=split, numbers=numbers)]


def _are_two_corners(low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    """Say whether x1 y1 x2 y2 was taken for cx cy w h.

    Then each box spans from less than x1 / 2 to more than 1.5 x1, so its lower bound is below half
    of its upper one, in both directions, also after clipping; and many are clipped.
    """
    spanning = (low <= high / 2.0 + EDGE_SLACK).all(axis=1)
    touching = ((low <= EDGE_SLACK) | (high >= 1.0 - EDGE_SLACK)).any(axis=1)
    return bool(spanning.mean() >= 1.0 - EXCEPTIONS and touching.mean() >= TOUCHING_SHARE)


def check_agreement(scan: SplitScan) -> list[Finding]:
    """L11: labels drawn on the visible and on the infrared images show the same objects."""
    if scan.rgb_labels is None or scan.ir_labels is None:
        return []
    matched, totals = _match_sets(scan.rgb_labels, scan.ir_labels)
    if not sum(totals):
        return []
    unmatched = 1.0 - 2.0 * len(matched) / sum(totals)
    shift_px = float(np.median(matched) * CANVAS_PX) if len(matched) else 0.0
    if unmatched <= UNMATCHED_SHARE and shift_px <= SHIFT_PX:
        return []
    message = (
        f"{totals[0]} boxes on visible images, {totals[1]} on infrared ones: {unmatched:.0%} have "
        f"no partner, the others are {shift_px:.1f} px apart (median, at 640 px)"
    )
    numbers = {
        "rgb_boxes": totals[0],
        "ir_boxes": totals[1],
        "unmatched": round(unmatched, 4),
        "shift_px": round(shift_px, 2),
    }
    return [finding("L11", message, split=scan.index.split, numbers=numbers)]


def _match_sets(rgb: LabelColumns, ir: LabelColumns) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the distances of matched centres, in widths and heights, and the boxes of each set."""
    distances = [np.zeros(0)]
    rgb_start = ir_start = 0
    for rgb_end, ir_end in zip(rgb.box_ends.tolist(), ir.box_ends.tolist(), strict=True):
        own, other = slice(rgb_start, rgb_end), slice(ir_start, ir_end)
        if rgb_end > rgb_start and ir_end > ir_start:
            distances.append(
                _matched_distances(
                    _Boxes(rgb.boxes[own].astype(np.float64), rgb.box_classes[own]),
                    _Boxes(ir.boxes[other].astype(np.float64), ir.box_classes[other]),
                )
            )
        rgb_start, ir_start = rgb_end, ir_end
    return np.concatenate(distances), (len(rgb.boxes), len(ir.boxes))


@dataclass(frozen=True)
class _Boxes:
    """The boxes of one image: (N, 4) cx, cy, w, h in [0, 1], and (N,) classes."""

    cxcywh_unit: NDArray[np.float64]
    classes: NDArray[np.int64]


def _matched_distances(first: _Boxes, second: _Boxes) -> NDArray[np.float64]:
    """Return the distances of the centres of matched boxes; the best IoU goes first.

    Taking the best pair again and again gives what an optimal assignment gives unless boxes of one
    class overlap each other a lot, and then the difference is a pixel or two.
    """
    overlap = iou(first.cxcywh_unit, second.cxcywh_unit)
    overlap[first.classes[:, None] != second.classes[None]] = 0.0
    order = np.argsort(overlap, axis=None, kind="stable")[::-1]
    used_first, used_second = set[int](), set[int]()
    found = []
    for place in order.tolist():
        row, column = divmod(place, overlap.shape[1])
        if overlap[row, column] < MATCH_IOU:
            break
        if row not in used_first and column not in used_second:
            used_first.add(row)
            used_second.add(column)
            step = first.cxcywh_unit[row, :2] - second.cxcywh_unit[column, :2]
            found.append(float(np.hypot(*step)))
    return np.array(found)


def iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (N, K) intersection over union of cx, cy, w, h boxes; 0 where both are empty."""
    low = np.maximum((first[:, :2] - first[:, 2:] / 2)[:, None], second[:, :2] - second[:, 2:] / 2)
    high = np.minimum((first[:, :2] + first[:, 2:] / 2)[:, None], second[:, :2] + second[:, 2:] / 2)
    intersection = np.clip(high - low, 0.0, None).prod(axis=2)
    union = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1) - intersection
    return np.asarray(intersection / np.where(union > 0.0, union, 1.0))
