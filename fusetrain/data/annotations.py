"""Boxes as a label file gives them, in pixels and with class names, and the way to usable labels.

The parsers in `formats/` all return `Annotations`; `to_labels` turns them into the same `Labels` as
YOLO txt gives, by the same rules and codes. Nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.labels import (
    ANY_CLASS,
    TOLERANCE,
    LabelProblem,
    Labels,
    Regions,
    clip_boxes,
)
from fusetrain.errors import did_you_mean

# The size of an image whose boxes are given as shares of it.
UNIT_HW = (1, 1)
MAX_ASPECT_SHARE = 0.02
# How files say that a box is not difficult, ignored or a crowd.
UNSET = frozenset(("", "0", "0.0", "false", "no", "none", "unspecified"))

NO_BOXES = np.zeros((0, 4), np.float64)
NO_LINES = np.zeros(0, np.int64)


def is_set(mark: object) -> bool:
    """Return whether a file marks a box, however its format spells that."""
    return str(mark).strip().lower() not in UNSET


@dataclass(frozen=True)
class Annotations:
    """What a label file says of one image, before it is held against the image.

    Attributes:
        boxes_xyxy_px: (N, 4) float64 x1, y1, x2, y2 in pixels of the image they were drawn on,
            0-based, x2 and y2 exclusive; shares of it where ``size_hw`` is `UNIT_HW`. They may
            reach beyond the image.
        names: Class name of each box.
        lines: (N,) int64, line of each box in the file; 0 where a format has no lines.
        size_hw: Size in pixels of the image that the boxes were drawn on, as the format or the
            file says; None where neither says.
        problems: What was left out.
        ignored_boxes_xyxy_px: (K, 4) float64, boxes that the authors excluded (crowd, difficult,
            ignore flag, `person?`); not among the boxes above.
        ignored_names: Class name of each of them; empty where it stands for any class.
        path: How problems call the file.
    """

    boxes_xyxy_px: NDArray[np.float64] = field(default_factory=NO_BOXES.copy)
    names: tuple[str, ...] = ()
    lines: NDArray[np.int64] = field(default_factory=NO_LINES.copy)
    size_hw: tuple[int, int] | None = None
    problems: tuple[LabelProblem, ...] = ()
    ignored_boxes_xyxy_px: NDArray[np.float64] = field(default_factory=NO_BOXES.copy)
    ignored_names: tuple[str, ...] = ()
    path: str = ""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_ignored(self) -> int:
        """Return how many boxes the authors excluded."""
        return len(self.ignored_names)


def to_labels(
    annotations: Annotations,
    *,
    size_hw: tuple[int, int] | None,
    class_names: Sequence[str],
    border_px: int = 0,
) -> Labels:
    """Return boxes in [0, 1] of the image, judged and clipped by the rules of YOLO txt.

    A size that the file states counts before ``size_hw``, so that labels drawn on an image twice
    as large fit. Where the two differ in shape, nobody knows where the boxes lie: all are left out,
    with one L04.

    Args:
        annotations: Boxes of one image.
        size_hw: Size of the image in pixels, with its border; None where the file says it.
        class_names: Names of the classes by number; other names are reported as L02.
        border_px: Width of a frame that is cut off all four sides of the image the boxes were
            drawn on. The boxes lose what lies in it; one that has nothing left is dropped (L05).

    Raises:
        ValueError: Neither the file nor the caller knows the size, or the border leaves nothing.
    """
    found = list(annotations.problems)
    drawn_on = _drawn_on(annotations, size_hw, needs_px=border_px > 0)
    if isinstance(drawn_on, LabelProblem):
        if len(annotations):
            found.append(drawn_on)
        return Labels(NO_BOXES.astype(np.float32), NO_LINES.copy(), NO_LINES.copy(), tuple(found))
    if 2 * border_px >= min(drawn_on):
        height, width = drawn_on
        raise ValueError(f"a border of {border_px} px leaves nothing of {width} x {height} px")
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = _placed(annotations, numbers, drawn_on=drawn_on, border_px=border_px, found=found)
    if not annotations.num_ignored:
        return labels
    regions = _regions(annotations, numbers, drawn_on=drawn_on, border_px=border_px)
    return replace(labels, regions=regions)


def _regions(
    annotations: Annotations,
    numbers: Mapping[str, int],
    *,
    drawn_on: tuple[int, int],
    border_px: int,
) -> Regions:
    """Return what the authors excluded; what cannot be used of that is no problem of anybody."""
    excluded = Annotations(
        annotations.ignored_boxes_xyxy_px,
        annotations.ignored_names,
        np.zeros(annotations.num_ignored, np.int64),
        annotations.size_hw,
    )
    of_any = len(numbers)  # a number that no class has, for as long as the boxes are placed
    placed = _placed(
        excluded, {**numbers, "": of_any}, drawn_on=drawn_on, border_px=border_px, found=[]
    )
    classes = np.where(placed.classes == of_any, ANY_CLASS, placed.classes)
    return Regions(placed.boxes_cxcywh_unit, classes)


def _placed(
    annotations: Annotations,
    numbers: Mapping[str, int],
    *,
    drawn_on: tuple[int, int],
    border_px: int,
    found: list[LabelProblem],
) -> Labels:
    """Return the boxes that can be used, in [0, 1] of the image without its border.

    Args:
        annotations: The boxes.
        numbers: Class name to number.
        drawn_on: Height and width that the boxes belong to.
        border_px: As for `to_labels`.
        found: Problems so far; what is wrong with boxes is added.
    """
    height, width = drawn_on
    boxes = annotations.boxes_xyxy_px
    if annotations.size_hw == UNIT_HW and border_px:
        boxes = boxes * np.array([width, height, width, height], np.float64)
    classes = np.fromiter((numbers.get(n, -1) for n in annotations.names), np.int64, len(boxes))
    kept = _judge(annotations, boxes, classes=classes, known=numbers, size_hw=drawn_on, found=found)
    boxes, classes, lines = boxes[kept], classes[kept], annotations.lines[kept]
    if border_px:
        limits = np.array([width, height, width, height], np.float64) - border_px
        boxes = np.clip(boxes, border_px, limits) - border_px
        height, width = height - 2 * border_px, width - 2 * border_px
    units = _to_cxcywh(boxes) / np.array([width, height, width, height], np.float64)
    return clip_boxes(units, classes, lines=lines, problems=found, name=annotations.path)


def _drawn_on(
    annotations: Annotations, size_hw: tuple[int, int] | None, *, needs_px: bool
) -> tuple[int, int] | LabelProblem:
    """Return height and width of the image that the boxes were drawn on, or why that is open.

    Raises:
        ValueError: Nobody knows them.
    """
    said = annotations.size_hw
    if said == UNIT_HW:
        if needs_px and size_hw is None:
            raise ValueError("boxes in shares of the image and a border need the image's size")
        return size_hw if needs_px and size_hw else UNIT_HW
    if said is None and size_hw is None:
        raise ValueError(f"the size of the image is not known: {annotations.path}")
    if said is None or size_hw is None:
        return said or size_hw or UNIT_HW
    ratio = (said[1] / said[0]) / (size_hw[1] / size_hw[0])
    if abs(ratio - 1.0) <= MAX_ASPECT_SHARE:
        return said
    message = (
        f"the file says that the image is {said[1]} x {said[0]}, but it is {size_hw[1]} x "
        f"{size_hw[0]}; where its {len(annotations)} boxes lie is not known"
    )
    margins = said[0] - size_hw[0], said[1] - size_hw[1]
    if margins[0] == margins[1] > 0 and margins[0] % 2 == 0:
        message += f" (a border of {margins[0] // 2} px was cut off the image?)"
    return LabelProblem("L04", annotations.path, 1, 1, message)


def _judge(
    annotations: Annotations,
    boxes: NDArray[np.float64],
    *,
    classes: NDArray[np.int64],
    known: Iterable[str],
    size_hw: tuple[int, int],
    found: list[LabelProblem],
) -> NDArray[np.bool_]:
    """Return which boxes can be used, (N,) bool; what is wrong with the others is added."""
    height, width = size_hw
    with np.errstate(over="ignore", invalid="ignore"):
        units = _to_cxcywh(boxes) / np.array([width, height, width, height], np.float64)
    # NaN compares false with anything, so it is never kept.
    near = ((units >= -TOLERANCE) & (units <= 1.0 + TOLERANCE)).all(axis=1)
    kept = near & (units[:, 2:] > 0.0).all(axis=1) & (classes >= 0)
    for row in np.flatnonzero(~kept).tolist():
        shown = ", ".join(f"{value:g}" for value in boxes[row])
        if classes[row] < 0:
            code, message = "L02", _unknown_class(annotations.names[row], known)
        elif not np.isfinite(units[row]).all():
            code, message = "L03", f"box {shown} is not finite"
        elif (units[row, 2:] <= 0.0).any():
            code, message = "L05", f"box {shown} has no area"
        else:
            code, message = "L04", f"box {shown} lies outside the image of {width} x {height}"
        line = int(annotations.lines[row])
        found.append(LabelProblem(code, annotations.path, line, 1, message))
    return kept


def _unknown_class(name: str, known: Iterable[str]) -> str:
    hint = did_you_mean(name[:40], known)
    return f"class {name[:40]!r} is not among the names" + (f"; {hint}" if hint else "")


def _to_cxcywh(boxes_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    return np.concatenate([(low + high) / 2.0, high - low], axis=1)
