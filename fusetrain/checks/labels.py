"""Checks of the labels of one split: lines, boxes, missing and empty files.

What the label reader left out arrives as problems of the scan; the rest is told from the index.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, Level, finding
from fusetrain.data.index import SplitScan
from fusetrain.data.label_rows import read_annotations
from fusetrain.data.listing import UnreadLabel

WHOLE_IMAGE = 0.99
DUPLICATE_IOU = 0.95
TINY_BOX_PX = 4.0
EMPTY_SHARE = 0.5
FEWEST_SHARES = 2
SHARE_SLACK_PX = 0.01
# What a data YAML says of labels with a suffix; XML in place of text is no data set (S04).
FORMAT_OF = {".txt": "format: yolo", ".json": "format: coco"}


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
        message += _other_format(scan)
        numbers = {"missing": len(present)}
        return [finding("L09", message, split=split, numbers=numbers)]
    found = []
    for row in np.flatnonzero(~present).tolist():
        path = scan.label_paths[row]
        is_shared = path.lower().endswith(".json")
        lacks = f"it names no image {scan.index.rgb_paths[row]!r}" if is_shared else "no such file"
        message = f"{lacks}; the pair counts as background"
        found.append(finding("L09", message, split=split, path=path))
    return found


def _other_format(scan: SplitScan) -> str:
    """Return what the folder holds in place of label files, as the end of a sentence."""
    expected = os.path.join(scan.index.root, scan.label_paths[0])
    folder, suffix = os.path.split(scan.label_paths[0])[0], os.path.splitext(expected)[1].lower()
    try:
        names = os.listdir(os.path.dirname(expected))
    except OSError:
        return f"; there is no folder {folder}" if folder else ""
    there = {os.path.splitext(name)[1].lower() for name in names}
    others = sorted(there & set(FORMAT_OF)) if suffix not in there else []
    if not others:
        return ""
    return f"; {folder} holds {others[0]} files: `{FORMAT_OF[others[0]]}` in the data YAML?"


def check_unread(scan: SplitScan) -> list[Finding]:
    """L13: files with boxes among the labels that nothing is read from."""
    root = scan.index.root
    unread = [
        label
        for label in scan.unread_labels
        if len(read_annotations(label.labels, os.path.join(root, label.path), name=label.path))
    ]
    lost = [label for label in unread if not label.instead]
    renamed = [label for label in unread if label.instead and not label.is_double]
    found = [
        _unread(scan, label, f"{label.instead} is read") for label in unread if label.is_double
    ]
    if len(lost) > 1 and not scan.index.has_labels.any():
        message = f"none of the {len(lost)} label files has the name of an image"
        found.append(_unread(scan, lost[0], message, count=len(lost)))
    else:
        found += [_unread(scan, label, "no image has its name") for label in lost]
    if renamed:
        others = f" and of {len(renamed) - 1} others" if len(renamed) > 1 else ""
        message = f"labels of its image{others} are looked for as {renamed[0].instead}"
        found.append(_unread(scan, renamed[0], message, count=len(renamed)))
    return found


def _unread(scan: SplitScan, label: UnreadLabel, message: str, *, count: int = 1) -> Finding:
    numbers = {"files": count}
    return finding("L13", message, split=scan.index.split, path=label.path, numbers=numbers)


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
    # A training with nothing to learn is refused, so this must not pass as a remark.
    level: Level | None = (
        "error" if scan.index.split == "train" and not len(scan.index.boxes) else None
    )
    return [finding("L10", message, split=scan.index.split, numbers=numbers, level=level)]


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
    scan: SplitScan, sizes_hw: NDArray[np.float64], *, imgsz: int
) -> list[Finding]:
    """L06: boxes with a side under 4 px once the long side of the image is ``imgsz``.

    Or L04, if all of them lie in the first pixel, as shares of an image do that are taken for px.

    Args:
        scan: The split.
        sizes_hw: (N, 2) height and width of each visible image in px; NaN where not known.
        imgsz: Long side of the training canvas, px.
    """
    if _are_shares(scan, sizes_hw):
        if any(problem.code == "L04" for problem in scan.label_problems):
            return []  # the reader, which knows its format, has told it
        message = (
            f"all {len(scan.index.boxes):,} boxes lie within 1 px: shares, where px are wanted"
        )
        numbers = {"boxes": len(scan.index.boxes)}
        return [finding("L04", message, split=scan.index.split, numbers=numbers)]
    sides_wh = (sizes_hw * (imgsz / sizes_hw.max(axis=1, keepdims=True)))[_rows(scan), ::-1]
    boxes_wh = scan.index.boxes[:, 2:].astype(np.float64) * sides_wh
    return [
        _box_finding(
            scan,
            int(box),
            "L06",
            f"{boxes_wh[box, 0]:.1f} x {boxes_wh[box, 1]:.1f} px at imgsz {imgsz}",
        )
        for box in np.flatnonzero((boxes_wh < TINY_BOX_PX).any(axis=1))
    ]


def check_duplicates(scan: SplitScan) -> list[Finding]:
    """L08: two boxes of one class on the same place."""
    found = []
    rows, classes = _rows(scan), scan.index.box_classes
    boxes = scan.index.boxes.astype(np.float64)
    places = np.arange(len(boxes), dtype=np.int64)
    apart = 0
    while len(places):  # each box with the next one of its image, the one after that, ...
        apart += 1
        places = places[: np.searchsorted(places, len(boxes) - apart)]
        places = places[rows[places] == rows[places + apart]]
        alike = places[classes[places] == classes[places + apart]]
        same = alike[_iou(boxes[alike], boxes[alike + apart]) > DUPLICATE_IOU]
        for box in same.tolist():
            message = f"same box as in line {scan.box_lines[box]}"
            found.append(_box_finding(scan, box + apart, "L08", message))
    return found


def _are_shares(scan: SplitScan, sizes_hw: NDArray[np.float64]) -> bool:
    """Say whether all boxes lie in the first pixel of their image; not if a size is not known."""
    boxes = scan.index.boxes.astype(np.float64)
    ends_px = (boxes[:, :2] + boxes[:, 2:] / 2) * sizes_hw[_rows(scan), ::-1]
    return len(boxes) >= FEWEST_SHARES and bool((ends_px <= 1.0 + SHARE_SLACK_PX).all())


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


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (N,) intersection over union of the boxes of each row, cx, cy, w, h."""
    low = np.maximum(first[:, :2] - first[:, 2:] / 2, second[:, :2] - second[:, 2:] / 2)
    high = np.minimum(first[:, :2] + first[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2)
    intersection = np.clip(high - low, 0.0, None).prod(axis=1)
    union = first[:, 2:].prod(axis=1) + second[:, 2:].prod(axis=1) - intersection
    return np.asarray(intersection / union, np.float64)
