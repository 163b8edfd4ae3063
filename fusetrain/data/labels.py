"""Read one YOLO label file: ``class cx cy w h`` a line, normalised to the visible image.

Lines that cannot be used are left out and reported with their place; nothing is guessed. Files are
never changed. How whole data sets are laid out is the business of `index.py` and `formats/`.
"""

from __future__ import annotations

import codecs
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.files import read_bytes

# Rounding in other people's exports: up to here outside [0, 1] a value is clipped, not refused.
TOLERANCE = 0.01
ROUNDING = 1e-6
MAX_LABEL_BYTES = 16 * 2**20
MAX_CLASSES = 10_000
ANY_CLASS = -1
NO_ENTRY = -1
CONFIDENCE_COLUMNS = 6
CORNER_COLUMNS = 9
COLUMNS = ("class", "cx", "cy", "w", "h")


@dataclass(frozen=True)
class LabelProblem:
    """A line of a label file that was left out or changed.

    Attributes:
        code: Code in the table of checks (L01 to L05, L13).
        path: Label file, relative to the root of the data set.
        line: Line, from 1; 0 in a format without lines.
        column: Character in the line, from 1; 0 in a format without lines.
        message: What is wrong.
        is_left_out: The line gives no box; False where it was clipped.
    """

    code: str
    path: str
    line: int
    column: int
    message: str
    is_left_out: bool = True


@dataclass(frozen=True)
class Regions:
    """What the authors of a set excluded of one image: who judges detections looks away there.

    Attributes:
        boxes_cxcywh_unit: (K, 4) float32 in [0, 1], clipped to the image.
        classes: (K,) int64, 0-based; ANY_CLASS where detections of every class are passed over.
    """

    boxes_cxcywh_unit: NDArray[np.float32]
    classes: NDArray[np.int64]


NO_REGIONS = Regions(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True)
class Labels:
    """The usable boxes of one image.

    Attributes:
        boxes_cxcywh_unit: (N, 4) float32 in [0, 1], clipped to the image (within 1e-6).
        classes: (N,) int64, 0-based.
        lines: (N,) int64, the line in the file that each box comes from.
        problems: What was left out or clipped.
        regions: Boxes that the authors excluded; nothing is trained on them.
        entry: Which image of a file for many they are of, from 0; NO_ENTRY in a file of its own.
    """

    boxes_cxcywh_unit: NDArray[np.float32]
    classes: NDArray[np.int64]
    lines: NDArray[np.int64]
    problems: tuple[LabelProblem, ...] = ()
    regions: Regions = NO_REGIONS
    entry: int = NO_ENTRY


NO_LABELS = Labels(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))


def read_labels(path: str | os.PathLike[str], num_classes: int, *, name: str = "") -> Labels:
    """Read a label file; an empty one is background.

    Args:
        path: The file.
        num_classes: Classes of the data set; larger numbers are reported as L02.
        name: How problems call the file; the path when empty.
    """
    name = name or os.fspath(path)
    try:
        text = read_label_text(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return _with_problems([LabelProblem("L01", name, 1, 1, f"cannot be read: {reason}")])
    return parse_labels(text, num_classes, name=name)


def parse_labels(text: str, num_classes: int, *, name: str = "") -> Labels:
    """Parse the text of a label file; see `read_labels`."""
    rows: list[tuple[int, list[float]]] = []
    problems: list[LabelProblem] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        found = _parse_line(line, num_classes)
        if isinstance(found, list):
            rows.append((number, found))
        else:
            code, column, message = found
            problems.append(LabelProblem(code, name, number, column, message))
    if not rows:
        return _with_problems(problems)
    values = np.array([row for _, row in rows], np.float64)
    lines = np.array([number for number, _ in rows], np.int64)
    classes = values[:, 0].astype(np.int64)
    return clip_boxes(values[:, 1:], classes, lines=lines, problems=problems, name=name)


def class_numbers(path: str | os.PathLike[str]) -> set[int]:
    """Return the classes that the lines of a label file name, boxes that cannot be used included.

    A file that cannot be read names none.
    """
    try:
        text = read_label_text(path)
    except (OSError, ValueError):
        return set()
    lines = (line.split() for line in text.split("\n"))
    firsts = {tokens[0] for tokens in lines if len(tokens) == len(COLUMNS)}
    return {number for number in map(_class_number, firsts) if number is not None}


def _class_number(token: str) -> int | None:
    """Return the class that a token stands for; None for what is no class."""
    found = _parse_line(f"{token} 0.5 0.5 1 1", MAX_CLASSES)
    return int(found[0]) if isinstance(found, list) else None


def read_label_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a regular file of sane size.

    Raises:
        OSError: It cannot be read, is no regular file, or is too large.
        ValueError: It is not UTF-8.
    """
    data = read_bytes(path, max_bytes=MAX_LABEL_BYTES)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("UTF-16 text, expected UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8 text") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse_line(line: str, num_classes: int) -> list[float] | tuple[str, int, str]:
    """Return the five numbers of a line, or the code, column and message of what is wrong."""
    tokens = line.split()
    if len(tokens) != len(COLUMNS):
        return "L01", 1, f"{len(tokens)} columns, expected 5: class cx cy w h{_kind(len(tokens))}"
    values: list[float] = []
    for index, token in enumerate(tokens):
        try:
            value = float(token.replace("_", "x"))  # Python alone reads 1_000 as a number
        except ValueError:
            return "L01", _column(line, index), f"{COLUMNS[index]} is {token[:40]!r}, not a number"
        if not math.isfinite(value):
            return "L03", _column(line, index), f"{COLUMNS[index]} is {token[:40]!r}, not finite"
        values.append(value)
    return _judge(line, values, num_classes)


def _kind(num_columns: int) -> str:
    """Return what a line of another format may be, as the end of a sentence."""
    if num_columns == CONFIDENCE_COLUMNS:
        return "; with a confidence? then they are detections, no labels"
    if num_columns == CORNER_COLUMNS:
        return "; four corners? `format: obb` in the data YAML reads them"
    is_polygon = num_columns > CONFIDENCE_COLUMNS and num_columns % 2
    return "; a polygon? write the box around it" if is_polygon else ""


def outside_names(number: float, num_classes: int) -> str:
    """Return what is said of a class number that no name has."""
    return f"class {number:.0f} is outside names (0 to {num_classes - 1})"


def _judge(line: str, values: list[float], num_classes: int) -> list[float] | tuple[str, int, str]:
    class_number = values[0]
    if class_number != int(class_number):
        return "L01", _column(line, 0), f"class is {class_number:g}, not a whole number"
    if not 0 <= class_number < num_classes:
        return (
            "L02",
            _column(line, 0),
            outside_names(class_number, num_classes),
        )
    for index, value in enumerate(values[1:], start=1):
        if index > 2 and value <= 0.0:
            return "L05", _column(line, index), f"{COLUMNS[index]} is {value:g}, not positive"
        if not -TOLERANCE <= value <= 1.0 + TOLERANCE:
            return "L04", _column(line, index), f"{COLUMNS[index]} is {value:g}, outside [0, 1]"
    return values


def _column(line: str, index: int) -> int:
    """Return where the token with this index starts, from 1."""
    position = 0
    for token in line.split()[: index + 1]:
        start = line.index(token, position)
        position = start + len(token)
    return start + 1


def clip_boxes(
    boxes_cxcywh_unit: NDArray[np.float64],
    classes: NDArray[np.int64],
    *,
    lines: NDArray[np.int64],
    problems: Sequence[LabelProblem],
    name: str,
) -> Labels:
    """Clip boxes to the image; a box that has nothing left is dropped (L05).

    Args:
        boxes_cxcywh_unit: (N, 4), finite, cx, cy, w, h of the image; may reach beyond [0, 1].
        classes: (N,), 0-based.
        lines: (N,), where each box stands in the file.
        problems: What was found before.
        name: How problems call the file.
    """
    centre, half = boxes_cxcywh_unit[:, :2], boxes_cxcywh_unit[:, 2:] / 2.0
    low = np.clip(centre - half, 0.0, 1.0)
    high = np.clip(centre + half, 0.0, 1.0)
    kept = (high - low > 0.0).all(axis=1)
    # Boxes inside the image, but for rounding, keep the very numbers of the file.
    inside = ((centre - half >= -ROUNDING) & (centre + half <= 1.0 + ROUNDING)).all(axis=1)
    boxes = boxes_cxcywh_unit.copy()
    clipped = np.concatenate([(low + high) / 2.0, high - low], axis=1)
    boxes[~inside] = clipped[~inside]
    outside = ((boxes_cxcywh_unit < 0.0) | (boxes_cxcywh_unit > 1.0)).any(axis=1)
    found = list(problems)
    for number in lines[~kept]:
        found.append(LabelProblem("L05", name, int(number), 1, "box lies outside the image"))
    clipped_text = "values just outside [0, 1] were clipped"
    for number in lines[kept & outside]:
        found.append(LabelProblem("L04", name, int(number), 1, clipped_text, is_left_out=False))
    return Labels(
        boxes[kept].astype(np.float32),
        classes[kept],
        lines[kept],
        tuple(sorted(found, key=lambda problem: problem.line)),
    )


def _with_problems(problems: list[LabelProblem]) -> Labels:
    return Labels(NO_LABELS.boxes_cxcywh_unit, NO_LABELS.classes, NO_LABELS.lines, tuple(problems))
