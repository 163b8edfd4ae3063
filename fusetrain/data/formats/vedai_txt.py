"""VEDAI labels: oriented vehicles in aerial images, one text file an image.

    690.427287 87.676477 1.243970 1 1 0 676 695 703 688 75 71 102 103

The columns are centre x and y in px, angle in radians, class number, "is contained in the image",
"is occluded", then x1 to x4 and y1 to y4 of the corners. The box is the upright one around the
corners. Coordinates are those of the 1024 px images; held against an image of 512 px they are
halved by `to_labels`, which divides by the size the boxes were drawn on.
"""

from __future__ import annotations

import os

from fusetrain.data.annotations import Annotations
from fusetrain.data.formats.text_lines import (
    LabelLine,
    LineFault,
    Parsed,
    Token,
    enclosing,
    parse_lines,
    read_with,
)

DRAWN_ON_HW = (1024, 1024)
COLUMNS = ("cx", "cy", "angle", "class", "contained", "occluded")
NUM_COLUMNS = 14
# Numbers as in the description that comes with the set (Razakarivony and Jurie, 2016).
NAMES = {
    1: "car",
    2: "truck",
    4: "tractor",
    5: "camping car",
    7: "motorcycle",
    8: "bus",
    9: "van",
    10: "other",
    11: "pickup",
    23: "boat",
    31: "plane",
}


def read_vedai(
    path: str | os.PathLike[str],
    *,
    name: str = "",
    drawn_on_hw: tuple[int, int] = DRAWN_ON_HW,
) -> Annotations:
    """Read a VEDAI file; an empty one is background.

    Args:
        path: The file.
        name: How problems call the file; the path when empty.
        drawn_on_hw: Size in px of the images that the coordinates belong to.
    """
    return read_with(
        path, lambda text: parse_vedai(text, name=name, drawn_on_hw=drawn_on_hw), name=name
    )


def parse_vedai(
    text: str, *, name: str = "", drawn_on_hw: tuple[int, int] = DRAWN_ON_HW
) -> Annotations:
    """Parse the text of a VEDAI file; see `read_vedai`."""
    return parse_lines(text, _parse, name=name, size_hw=drawn_on_hw)


def _parse(tokens: list[Token]) -> Parsed:
    if len(tokens) != NUM_COLUMNS:
        text = f"{len(tokens)} columns, expected {NUM_COLUMNS}: cx cy angle class ... x1-x4 y1-y4"
        raise LineFault("L01", 1, text)
    values = [token.number(what) for token, what in zip(tokens, COLUMNS, strict=False)]
    number = values[3]
    if number not in NAMES:
        raise LineFault("L02", tokens[3].column, f"class {number:g} is not a class of VEDAI")
    xs = [token.number("corner x") for token in tokens[6:10]]
    ys = [token.number("corner y") for token in tokens[10:14]]
    points = [value for pair in zip(xs, ys, strict=True) for value in pair]
    return LabelLine(NAMES[int(number)], enclosing(points))
