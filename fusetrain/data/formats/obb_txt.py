"""Oriented boxes as text: YOLO-OBB and DOTA, each as the upright box around the four corners.

    0 0.239141 0.310635 0.275220 0.308488 0.279829 0.429493 0.243750 0.431640
    2753 2408 2861 2385 2888 2468 2805 2502 plane 0

The first is YOLO-OBB: class number, then x1 y1 to x4 y4 as shares of the image. The second is DOTA:
the corners in px, class name and, if given, a difficulty; `imagesource:` and `gsd:` lines may stand
above. A file is of one kind: nine numbers a line are YOLO-OBB. The angle is lost, on purpose:
detectors here have upright boxes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fusetrain.data.annotations import UNIT_HW, Annotations
from fusetrain.data.formats.text_lines import (
    LabelLine,
    LineFault,
    Parsed,
    Token,
    enclosing,
    parse_lines,
    read_with,
)
from fusetrain.data.labels import MAX_CLASSES, outside_names

POINTS = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")
HEADERS = ("imagesource:", "gsd:")
YOLO_WIDTH = 9
DOTA_WIDTHS = (9, 10)


def read_obb(
    path: str | os.PathLike[str], *, name: str = "", class_names: Sequence[str] | None = None
) -> Annotations:
    """Read a file of oriented boxes; an empty one is background.

    YOLO-OBB gives shares of the image, so `Annotations.size_hw` is `UNIT_HW`; DOTA does not say the
    size. Objects that DOTA calls difficult are kept, as detectors for DOTA are trained on them.

    Args:
        path: The file.
        name: How problems call the file; the path when empty.
        class_names: Names of YOLO-OBB's class numbers; the numbers themselves when None.
    """
    return read_with(
        path, lambda text: parse_obb(text, name=name, class_names=class_names), name=name
    )


def parse_obb(
    text: str, *, name: str = "", class_names: Sequence[str] | None = None
) -> Annotations:
    """Parse the text of a file of oriented boxes; see `read_obb`."""
    if is_dota(text):
        return parse_lines(text, _parse_dota, name=name, size_hw=None)
    return parse_lines(
        text, lambda tokens: _parse_yolo(tokens, class_names), name=name, size_hw=UNIT_HW
    )


def is_dota(text: str) -> bool:
    """Return whether the first line that is not blank is one of DOTA: px and a class name."""
    first = text.lstrip().split("\n", 1)[0]
    tokens = first.split()
    if first.startswith(HEADERS):
        return True
    return len(tokens) in DOTA_WIDTHS and not _is_number(tokens[8])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse_yolo(tokens: list[Token], class_names: Sequence[str] | None) -> Parsed:
    if len(tokens) != YOLO_WIDTH:
        raise LineFault("L01", 1, f"{len(tokens)} columns, expected 9: class x1 y1 ... x4 y4")
    number = tokens[0].number("class")
    if number != int(number):
        raise LineFault("L01", tokens[0].column, f"class is {number:g}, not a whole number")
    num_classes = MAX_CLASSES if class_names is None else len(class_names)
    if not 0 <= number < num_classes:
        raise LineFault("L02", tokens[0].column, outside_names(number, num_classes))
    points = [token.number(what) for token, what in zip(tokens[1:], POINTS, strict=True)]
    label = str(int(number)) if class_names is None else class_names[int(number)]
    return LabelLine(label, enclosing(points))


def _parse_dota(tokens: list[Token]) -> Parsed:
    if tokens[0].text.startswith(HEADERS):
        return None
    if len(tokens) not in DOTA_WIDTHS:
        text = f"{len(tokens)} columns, expected 10: x1 y1 ... x4 y4 name difficulty"
        raise LineFault("L01", 1, text)
    points = [token.number(what) for token, what in zip(tokens[:8], POINTS, strict=True)]
    if len(tokens) == 10:
        tokens[9].number("difficulty")
    return LabelLine(tokens[8].text, enclosing(points))
