"""Label files with one box a line: tokens with their columns, numbers read strictly, faults kept.

The line formats beside this file (`kaist_txt`, `vedai_txt`, `obb_txt`) bring a function for one
line; reading, ends of lines, limits and the bookkeeping of places are here. YOLO txt, which every
native data set uses, has its own faster reader in `data/labels.py`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.annotations import Annotations
from fusetrain.data.labels import LabelProblem, read_label_text

# Larger files are no labels of one image; the limits also bound time and the number of problems.
MAX_LINES = 20_000
MAX_CHARS = 2 * 2**20
MAX_LINE_CHARS = 1000
Box = tuple[float, float, float, float]


class LineFault(Exception):
    """A line that gives no box: code in the table of checks, column from 1, and why.

    ``line`` is 0 where the caller knows which line it is at.
    """

    def __init__(self, code: str, column: int, message: str, *, line: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.column = column
        self.message = message
        self.line = line

    def problem(self, name: str, line: int) -> LabelProblem:
        """Return the problem in the file ``name``, at ``line`` unless the fault knows better."""
        return LabelProblem(self.code, name, self.line or line, self.column, self.message)


@dataclass(frozen=True)
class Token:
    """A word and where it starts: the column, from 1, and the line; 0 for the line at hand."""

    text: str
    column: int
    line: int = 0

    def number(self, what: str) -> float:
        """Return the token as a finite number.

        Raises:
            LineFault: It is none (L01) or not finite (L03).
        """
        try:
            value = float(self.text.replace("_", "x"))  # Python alone reads 1_000 as a number
        except ValueError:
            text = f"{what} is {self.text[:40]!r}, not a number"
            raise LineFault("L01", self.column, text, line=self.line) from None
        if not math.isfinite(value):
            text = f"{what} is {self.text[:40]!r}, not finite"
            raise LineFault("L03", self.column, text, line=self.line)
        return value


class LabelLine(NamedTuple):
    """One box of a label file.

    Attributes:
        name: Its class; of an excluded box, empty stands for any class.
        box: x1, y1, x2, y2.
        is_ignored: The authors excluded it.
    """

    name: str
    box: Box
    is_ignored: bool = False


Parsed = LabelLine | None
"""What a line says; None where it is no label."""


def read_with(
    path: str | os.PathLike[str], parse: Callable[[str], Annotations], *, name: str
) -> Annotations:
    """Read a text file and parse it; a file that is no text is one problem (L01)."""
    try:
        text = read_label_text(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return unreadable(f"cannot be read: {reason}", name=name or os.fspath(path))
    found = parse(text)
    return found if found.path else replace(found, path=os.fspath(path))


def unreadable(reason: str, *, name: str, line: int = 1, column: int = 1) -> Annotations:
    """Return no boxes and the one problem (L01) that speaks of the whole file."""
    return Annotations(problems=(LabelProblem("L01", name, line, column, reason),), path=name)


def parse_lines(
    text: str,
    parse_line: Callable[[list[Token]], Parsed],
    *,
    name: str,
    size_hw: tuple[int, int] | None,
) -> Annotations:
    """Parse every line that is not blank.

    Args:
        text: The file, with any ends of lines.
        parse_line: Judges the tokens of one line, at least one; raises `LineFault`.
        name: How problems call the file.
        size_hw: Size of the image that the boxes were drawn on; None where it is not known.
    """
    if text.count("\n") > MAX_LINES or len(text) > MAX_CHARS:
        reason = f"more than {MAX_LINES} lines or {MAX_CHARS // 2**20} MiB for one image"
        return unreadable(reason, name=name)
    found: list[tuple[int, LabelLine]] = []
    problems: list[LabelProblem] = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            tokens = _tokens(line)
            parsed = parse_line(tokens) if tokens else None
        except LineFault as fault:
            problems.append(fault.problem(name, number))
            continue
        if parsed is not None:
            found.append((number, parsed))
    return annotations_of(found, problems=problems, size_hw=size_hw, name=name)


def annotations_of(
    found: Sequence[tuple[int, LabelLine]],
    *,
    problems: Sequence[LabelProblem],
    size_hw: tuple[int, int] | None,
    name: str,
) -> Annotations:
    """Return the boxes of an image, those that the authors excluded apart from the others.

    Args:
        found: Line in the file, and the box there.
        problems: What was left out.
        size_hw: Size of the image that the boxes were drawn on; None where it is not known.
        name: How problems call the file.
    """
    kept = [(number, entry) for number, entry in found if not entry.is_ignored]
    ignored = [entry for _, entry in found if entry.is_ignored]
    return Annotations(
        _box_array([entry.box for _, entry in kept]),
        tuple([entry.name for _, entry in kept]),
        np.array([number for number, _ in kept], np.int64),
        size_hw,
        tuple(problems),
        _box_array([entry.box for entry in ignored]),
        tuple([entry.name for entry in ignored]),
        name,
    )


def _tokens(line: str) -> list[Token]:
    if len(line) > MAX_LINE_CHARS:
        raise LineFault("L01", 1, f"a line of {len(line)} characters is no label")
    return [Token(found[0], found.start() + 1) for found in re.finditer(r"\S+", line)]


def _box_array(boxes: list[Box]) -> NDArray[np.float64]:
    """Return (N, 4) float64, also for no boxes."""
    return np.array(boxes, np.float64).reshape(-1, 4)


def enclosing(points: list[float]) -> Box:
    """Return the upright box around points given as x1, y1, x2, y2 and so on."""
    xs, ys = points[0::2], points[1::2]
    return min(xs), min(ys), max(xs), max(ys)
