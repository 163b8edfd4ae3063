"""KAIST labels: the bbGt text files of Piotr's toolbox, one a frame.

    % bbGt version=3
    person 282 209 52 111 0 0 0 0 0 0 0

The columns are label, left, top, width, height in px, occlusion (0, 1, 2), the box of the visible
part, the ignore flag and the angle (`bbGt.m` of the toolbox; versions before 3 lack the last ones).
Coordinates are taken as they are: the tools for KAIST draw and score them without an offset.
The original set, its improved, sanitised and pair-wise labels are all written so.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from fusetrain.data.annotations import Annotations
from fusetrain.data.formats.text_lines import (
    Box,
    LabelLine,
    LineFault,
    Parsed,
    Token,
    parse_lines,
    read_with,
)

# Label with its box; version 0 and 1; version 2 adds the ignore flag, version 3 the angle.
WIDTHS = (5, 10, 11, 12)
IGNORE_COLUMN = 10
# What the annotators themselves were unsure of; the benchmark scores it as neither hit nor miss.
UNSURE = frozenset({"person?", "person?a"})
CLASS_NAMES = ("person", "people", "cyclist")


def read_kaist(
    path: str | os.PathLike[str], *, name: str = "", ignored: Collection[str] = UNSURE
) -> Annotations:
    """Read a bbGt file; one without a box is background.

    Args:
        path: The file.
        name: How problems call the file; the path when empty.
        ignored: Labels of which nobody knows what they are: excluded, whatever the class.
    """
    return read_with(path, lambda text: parse_kaist(text, name=name, ignored=ignored), name=name)


def parse_kaist(text: str, *, name: str = "", ignored: Collection[str] = UNSURE) -> Annotations:
    """Parse the text of a bbGt file; see `read_kaist`."""
    return parse_lines(text, lambda tokens: _parse(tokens, ignored), name=name, size_hw=None)


def _parse(tokens: list[Token], ignored: Collection[str]) -> Parsed:
    if tokens[0].text.startswith("%"):
        return None
    if len(tokens) not in WIDTHS:
        raise LineFault("L01", 1, f"{len(tokens)} columns, expected 12: label x y w h ...")
    box = _box(tokens)
    for number, token in enumerate(tokens[5:], start=6):
        token.number(f"column {number}")
    label = tokens[0].text
    is_flagged = len(tokens) > IGNORE_COLUMN and tokens[IGNORE_COLUMN].number("ignore") != 0
    if label in ignored:
        return LabelLine("", box, is_ignored=True)
    return LabelLine(label, box, is_flagged)


def _box(tokens: list[Token]) -> Box:
    left, top = tokens[1].number("x"), tokens[2].number("y")
    width, height = tokens[3].number("w"), tokens[4].number("h")
    for side, token in ((width, tokens[3]), (height, tokens[4])):
        if side <= 0:
            raise LineFault("L05", token.column, f"side is {side:g} px, not positive")
    return left, top, left + width, top + height
