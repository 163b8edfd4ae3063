"""Checks of the labels of one split: lines, boxes, missing and empty files.

What the label reader left out arrives as problems of the scan; the rest is told from the index.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.data.index import SplitScan

WHOLE_IMAGE = 0.99
DUPLICATE_IOU = 0.95
TINY_BOX_PX = 4.0
EMPTY_SHARE = 0.5


def check_lines(scan: SplitScan) -> list[Finding]:
    """L01 to L05: lines that were left out or clipped when the labels were read."""
    return [
        finding(
            problem.code,
            f"column {problem.column}: {problem.message}" if problem.column else problem.message,
            split=scan.index.split,
            path=problem.path,
            line=problem.line or None,  # JSON tells no places
            level=None if problem.is_left_out else "info",
        )
        for problem in scan.label_problems
    ]


def check_missing(scan: SplitScan) -> list[Finding]:
    """L09: a pair without a label file counts as background, which may not be meant."""
    split = scan.index.split
    present = scan.index.has_labels
    if len(present) > 1 and not present.any():
        message = f"none of the {len(present)} pairs has labels; all count as background"
        numbers = {"missing": len(present)}
        return [finding("L09", message, split=split, numbers=numbers)]
    return [
        finding("L09", "no such file; the pair counts as background", split=split, path=path)
        for path, is_there in zip(scan.label_paths, present, strict=True)
        if not is_there
    ]


def check_empty(scan: SplitScan) -> list[Finding]:
    """L10: most label files hold boxes; one whose lines are faulty is not empty."""
    present = scan.index.has_labels
    empty = np.diff(scan.index.box_ends, prepend=0)[present] == 0
    # A file of all pairs, as COCO has it, tells no lines.
    faulty = {entry.path for entry in scan.label_problems if entry.is_left_out and entry.line}
    if faulty:
        empty &= ~np.array([path in faulty for path in scan.label_paths])[present]
    if not present.any() or empty.mean() <= EMPTY_SHARE:
        return []
    message = f"{int(empty.sum())} of {int(present.sum())} label files hold no box"
    numbers = {"empty": int(empty.sum()), "files": int(present.sum())}
    return [finding("L10", message, split=scan.index.split, numbers=numbers)]


def check_whole_image(scan: SplitScan) -> list[Finding]:
    """L07: boxes that cover the whole image."""
    boxes = scan.index.boxes
    return [
        _box_finding(
            scan, int(box), "L07", f"{boxes[box, 2]:.3f} x {boxes[box, 3]:.3f} of the image"
        )
        for box in np.flatnonzero((boxes[:, 2:] >= WHOLE_IMAGE).all(axis=1))
    ]


def check_tiny_boxes(
    scan: SplitScan, sizes_hw: Mapping[int, tuple[int, int]], *, imgsz: int
) -> list[Finding]:
    """L06: boxes with a side under 4 px once the long side of the image is ``imgsz``.

    Args:
        scan: The split.
        sizes_hw: Row to height and width of its visible image in px.
        imgsz: Long side of the training canvas, px.
    """
    found = []
    rows = _rows(scan)
    for box in range(len(scan.index.boxes)):
        size_hw = sizes_hw.get(int(rows[box]))
        if size_hw is None:
            continue
        scale = imgsz / max(size_hw)
        width = float(scan.index.boxes[box, 2]) * size_hw[1] * scale
        height = float(scan.index.boxes[box, 3]) * size_hw[0] * scale
        if min(width, height) < TINY_BOX_PX:
            message = f"{width:.1f} x {height:.1f} px at imgsz {imgsz}"
            found.append(_box_finding(scan, box, "L06", message))
    return found


def check_duplicates(scan: SplitScan) -> list[Finding]:
    """L08: two boxes of one class on the same place."""
    found = []
    ends = scan.index.box_ends
    for row in range(len(scan.index)):
        start = int(ends[row - 1]) if row else 0
        boxes, classes = scan.index.boxes_cxcywh_unit(row), scan.index.classes(row)
        if len(boxes) < 2:
            continue
        same = (_iou(boxes) > DUPLICATE_IOU) & (classes[:, None] == classes[None, :])
        for first, second in zip(*np.nonzero(np.triu(same, k=1)), strict=True):
            message = f"same box as in line {scan.box_lines[start + first]}"
            found.append(_box_finding(scan, start + int(second), "L08", message))
    return found


def _box_finding(scan: SplitScan, box: int, code: str, message: str) -> Finding:
    row = int(np.searchsorted(scan.index.box_ends, box, side="right"))
    return finding(
        code,
        message,
        split=scan.index.split,
        path=scan.label_paths[row],
        line=int(scan.box_lines[box]),
    )


def _rows(scan: SplitScan) -> NDArray[np.int64]:
    """Return the row of each box."""
    counts = np.diff(scan.index.box_ends, prepend=0)
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts)


def _iou(boxes_cxcywh: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the (N, N) intersection over union of the boxes of one image."""
    boxes = boxes_cxcywh.astype(np.float64)
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    overlap = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    intersection = np.clip(overlap, 0.0, None).prod(axis=2)
    area = boxes[:, 2:].prod(axis=1)
    return np.asarray(intersection / (area[:, None] + area[None] - intersection), np.float64)
