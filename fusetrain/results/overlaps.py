"""The pairs of a detection and a true box that overlap enough to match, for a whole split at once.

It works on columns instead of images: a cell is one class in one image, and only pairs of a common
cell are looked at. Which pair wins is decided in `matching.py`.
Shape legend: G true boxes, K detections, N pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PAIRS_AT_ONCE = 1 << 17  # some megabytes: larger blocks leave the processor's cache


class BoxColumns(NamedTuple):
    """Boxes in double precision, column by column, with the cell (not negative) of each."""

    cells: Ints
    left: Floats
    top: Floats
    right: Floats
    bottom: Floats
    areas: Floats


class TrueBoxes(NamedTuple):
    """The true boxes by cell, and which are regions, and which do not count (all regions too)."""

    boxes: BoxColumns
    is_crowd: Bools
    is_left_out: Bools


class Candidates(NamedTuple):
    """Pairs that may match: detections in runs, in each run the best choice first."""

    detections: Ints
    truths: Ints
    ious: Floats


def box_columns(boxes_xyxy_px: NDArray[np.floating[Any]], cells: Ints) -> BoxColumns:
    """Return the columns of (K, 4) boxes; a box that is not finite overlaps nothing later on."""
    left, top, right, bottom = np.ascontiguousarray(boxes_xyxy_px.T, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        width, height = right - left, bottom - top
        # COCO files hold x, y, width, height: add up again, so that overlaps agree to the last bit.
        return BoxColumns(cells, left, top, left + width, top + height, width * height)


def find_candidates(found: BoxColumns, real: TrueBoxes, *, lowest_iou: float) -> Candidates:
    """Return the pairs of one cell that overlap by at least ``lowest_iou``, best choice first."""
    none = np.empty(0, np.int64)
    parts = [(none, none, np.empty(0))]
    for pairs in _pairs(found.cells, real.boxes.cells):
        parts.append(_overlapping(found, real, pairs, lowest_iou=lowest_iou))
    detections, truths, ious = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((-ious, real.is_left_out[truths], detections))
    return Candidates(detections[order], truths[order], ious[order])


def _pairs(found_cells: Ints, real_cells: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield all (detections, true boxes) of a common cell, in blocks that stay small in memory.

    The true boxes of a detection come last row first, so that a stable sort by overlap puts the
    later of two equals first.
    """
    starts = run_starts(real_cells)
    lengths = run_lengths(starts, len(real_cells))
    at = np.searchsorted(real_cells[starts], found_cells)
    detections = np.flatnonzero(np.append(real_cells[starts], -1)[at] == found_cells)
    at = at[detections]
    lengths, last = lengths[at], (starts + lengths)[at] - 1
    ends = np.cumsum(lengths)
    begin = 0
    while begin < len(detections):
        limit = ends[begin] - lengths[begin] + PAIRS_AT_ONCE
        end = max(begin + 1, int(np.searchsorted(ends, limit, side="right")))
        block, repeats = slice(begin, end), lengths[begin:end]
        truths = np.repeat(last[block], repeats) - count_up(repeats)
        yield np.repeat(detections[block], repeats), truths
        begin = end


def _overlapping(
    found: BoxColumns, real: TrueBoxes, pairs: tuple[Ints, Ints], *, lowest_iou: float
) -> tuple[Ints, Ints, Floats]:
    """Return the pairs that overlap enough; with a crowd, by the detection's share inside it."""
    detections, truths = pairs
    boxes = real.boxes
    right = np.minimum(found.right[detections], boxes.right[truths])
    bottom = np.minimum(found.bottom[detections], boxes.bottom[truths])
    with np.errstate(invalid="ignore"):
        width = right - np.maximum(found.left[detections], boxes.left[truths])
        height = bottom - np.maximum(found.top[detections], boxes.top[truths])
    near = np.flatnonzero((width > 0) & (height > 0))
    detections, truths = detections[near], truths[near]
    shared = width[near] * height[near]
    own = found.areas[detections]
    union = np.where(real.is_crowd[truths], own, own + boxes.areas[truths] - shared)
    ious = shared / union
    high = np.flatnonzero(ious >= lowest_iou)
    return detections[high], truths[high], ious[high]


def run_starts(values: Ints) -> Ints:
    """Return where each run of equal neighbours starts."""
    is_start = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=is_start[1:])
    return np.flatnonzero(is_start)


def run_lengths(starts: Ints, total: int) -> Ints:
    """Return how long each run is among ``total`` values."""
    return np.diff(starts, append=total)


def count_up(lengths: Ints) -> Ints:
    """Return 0, 1, 2, ... for each run, one run after the other."""
    ends = np.cumsum(lengths)
    return np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
