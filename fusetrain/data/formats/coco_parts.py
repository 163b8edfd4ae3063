"""The three lists of a COCO file, each checked entry by entry and turned into columns.

Entries that cannot be used are left out and reported by their ids; of many faults of one kind the
first `MAX_SHOWN` are told one by one and the rest counted. `coco_json.py` puts the parts together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.labels import LabelProblem

MAX_SHOWN = 100
MAX_SIDE_PX = 1_000_000
NUMBERS = (int, float)


class Complaints:
    """Problems of one file, capped: after `MAX_SHOWN` of a kind only their number is kept."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._found: list[LabelProblem] = []
        self._counts: dict[tuple[str, bool], int] = {}

    def add(self, kind: str, detail: str, *, is_left_out: bool = True) -> None:
        """Note one fault; ``kind`` is the sentence, ``detail`` names the entry."""
        count = self._counts[kind, is_left_out] = self._counts.get((kind, is_left_out), 0) + 1
        if count <= MAX_SHOWN:
            self._found.append(_problem(self.name, f"{detail}: {kind}", is_left_out=is_left_out))

    def all(self) -> tuple[LabelProblem, ...]:
        """Return the problems, with one line for each kind that had too many."""
        rest = [
            _problem(self.name, f"{kind}: {count - MAX_SHOWN} more", is_left_out=is_left_out)
            for (kind, is_left_out), count in self._counts.items()
            if count > MAX_SHOWN
        ]
        return (*self._found, *rest)


def _problem(name: str, message: str, *, is_left_out: bool) -> LabelProblem:
    return LabelProblem("L01", name, 0, 0, message, is_left_out)


@dataclass(frozen=True)
class Categories:
    """Class names in the order of their ids, and id to number."""

    names: tuple[str, ...]
    numbers: Mapping[Any, int]
    problems: tuple[LabelProblem, ...]


def read_categories(entries: list[Any], *, name: str) -> Categories:
    """Read `categories`; ids need not be without gaps, and names must differ."""
    complaints = Complaints(name)
    names_by_id: dict[int, str] = {}
    for position, entry in enumerate(entries):
        number = entry.get("id") if isinstance(entry, dict) else None
        label = entry.get("name") if isinstance(entry, dict) else None
        if type(number) is not int or not isinstance(label, str) or not label.strip():
            complaints.add("category without a whole id and a name", f"category {position}")
        elif number in names_by_id:
            complaints.add("id is used twice", f"category {label[:40]!r}")
        else:
            names_by_id[number] = label.strip()
    # Two ids with one name are one class.
    names = list(dict.fromkeys(names_by_id[number] for number in sorted(names_by_id)))
    places = {label: place for place, label in enumerate(names)}
    numbers = {number: places[label] for number, label in names_by_id.items()}
    return Categories(tuple(names), numbers, complaints.all())


@dataclass(frozen=True)
class Images:
    """The usable images: names, sizes and id to row."""

    file_names: tuple[str, ...]
    ir_file_names: tuple[str, ...]
    sizes_hw: NDArray[np.int64]
    rows: Mapping[Any, int]
    problems: tuple[LabelProblem, ...]

    @classmethod
    def read(cls, entries: list[Any], *, name: str) -> Images:
        """Read `images`; ids may be numbers or texts and must differ, and so must the names."""
        complaints = Complaints(name)
        rows: dict[Any, int] = {}
        names: dict[str, str] = {}
        sizes: list[tuple[int, int]] = []
        for position, entry in enumerate(entries):
            fault = _image_fault(entry, rows, names)
            if fault:
                complaints.add(fault, f"image {_shown_id(entry, position)}")
                continue
            rows[entry["id"]] = len(rows)
            ir_name = entry.get("ir_file_name") or ""
            names[_slashed(entry["file_name"])] = _slashed(ir_name)
            sizes.append((_side(entry.get("height")), _side(entry.get("width"))))
        columns = (tuple(names), tuple(names.values()))
        shapes = np.array(sizes, np.int64).reshape(-1, 2)
        return cls(*columns, shapes, rows, complaints.all())


def _image_fault(entry: Any, rows: Mapping[Any, int], names: Mapping[str, str]) -> str:
    """Return why an image cannot be used; empty where it can."""
    if not isinstance(entry, dict) or type(entry.get("id")) not in (int, str):
        return "no id that is a whole number or a text"
    if entry["id"] in rows:
        return "id is used twice"
    file_name, ir_name = entry.get("file_name"), entry.get("ir_file_name")
    if not isinstance(file_name, str) or not file_name:
        return "no file_name"
    if ir_name is not None and not isinstance(ir_name, str):
        return "ir_file_name is no text"
    if not _is_below(file_name) or not _is_below(ir_name or ""):
        return "file name leads out of the folder"
    if _slashed(file_name) in names:
        return "file_name is used twice"
    return ""


def _slashed(name: str) -> str:
    return name.replace("\\", "/")


def _is_below(name: str) -> bool:
    path = PurePosixPath(_slashed(name))
    has_drive = bool(path.parts) and ":" in path.parts[0]
    return not (path.is_absolute() or has_drive or ".." in path.parts or "\0" in name)


def _side(value: Any) -> int:
    """Return a side in px; 0 where the file says nothing that can be one."""
    if type(value) not in (int, float) or not 1 <= value <= MAX_SIDE_PX:
        return 0
    return int(value)


def _shown_id(entry: Any, position: int) -> str:
    shown = entry.get("id") if isinstance(entry, dict) else None
    known = type(shown) in (int, str)
    return repr(shown)[:40] if known else f"at place {position + 1} of the list"


@dataclass(frozen=True)
class Objects:
    """The usable boxes, in the order of the file, and what was left out of which image."""

    rows: NDArray[np.int64]
    boxes_xyxy_px: NDArray[np.float64]
    classes: NDArray[np.int64]
    ignored_rows: NDArray[np.int64]
    problems: tuple[LabelProblem, ...]
    box_problems: Mapping[int, tuple[LabelProblem, ...]]

    @classmethod
    def read(
        cls, entries: list[Any], *, rows: Mapping[Any, int], numbers: Mapping[Any, int], name: str
    ) -> Objects:
        """Read `annotations`.

        Args:
            entries: The list.
            rows: Image id to row.
            numbers: Category id to class number.
            name: How problems call the file.
        """
        reading = _Reading(rows, numbers, Complaints(name))
        for position, entry in enumerate(entries):
            reading.take(entry, position)
        reading.look_for_twins(entries)
        boxes = np.array(reading.boxes, np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return cls(
            np.array(reading.box_rows, np.int64),
            boxes,
            np.array(reading.classes, np.int64),
            np.array(reading.ignored_rows, np.int64),
            reading.complaints.all(),
            {row: tuple(found) for row, found in reading.box_problems.items()},
        )

    def by_image(
        self, num_images: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Return ends, boxes and classes sorted by image, and the number ignored in each."""
        order = np.argsort(self.rows, kind="stable")
        counts = np.bincount(self.rows, minlength=num_images)
        ignored = np.bincount(self.ignored_rows, minlength=num_images)
        ends = np.cumsum(counts, dtype=np.int64)
        return ends, self.boxes_xyxy_px[order], self.classes[order], ignored


@dataclass
class _Reading:
    """Columns that grow while `annotations` is read."""

    image_rows: Mapping[Any, int]
    numbers: Mapping[Any, int]
    complaints: Complaints
    box_rows: list[int] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    ignored_rows: list[int] = field(default_factory=list)
    box_problems: dict[int, list[LabelProblem]] = field(default_factory=dict)

    def take(self, entry: Any, position: int) -> None:
        """Take one entry, or note why not; the good ones pass quickly."""
        try:
            row = self.image_rows[entry["image_id"]]
            number = self.numbers[entry["category_id"]]
            left, top, width, height = box = entry["bbox"]
            is_ignored = entry.get("iscrowd") or entry.get("ignore")
        except (KeyError, TypeError, ValueError, AttributeError):
            self._refuse(entry, position)
            return
        # NaN compares false with anything; written out, as this runs for every box of a file.
        is_sane = (
            type(left) in NUMBERS
            and type(top) in NUMBERS
            and type(width) in NUMBERS
            and type(height) in NUMBERS
            and -MAX_SIDE_PX < left < MAX_SIDE_PX
            and -MAX_SIDE_PX < top < MAX_SIDE_PX
            and 0 < width < MAX_SIDE_PX
            and 0 < height < MAX_SIDE_PX
        )
        if not is_sane:
            self._refuse(entry, position)
        elif is_ignored:
            self.ignored_rows.append(row)
        else:
            self.box_rows.append(row)
            self.boxes.append(box)
            self.classes.append(number)

    def look_for_twins(self, entries: list[Any]) -> None:
        """Note ids that several annotations have; their boxes are kept, as each is a box."""
        ids = [entry.get("id") for entry in entries if isinstance(entry, dict)]
        counts = Counter(number for number in ids if type(number) in (int, str))
        if len(counts) == len(ids):
            return
        for number, count in counts.items():
            if count > 1:
                detail = f"annotation {repr(number)[:40]}"
                self.complaints.add("id is used twice", detail, is_left_out=False)

    def _refuse(self, entry: Any, position: int) -> None:
        """Note why an entry gives no box; with its image where that is known."""
        detail = f"annotation {_shown_id(entry, position)}"
        if not isinstance(entry, dict):
            self.complaints.add("no object with image_id, category_id and bbox", detail)
            return
        row = _looked_up(entry.get("image_id"), self.image_rows)
        if row is None:
            self.complaints.add("image_id is not the id of a usable image", detail)
            return
        if _looked_up(entry.get("category_id"), self.numbers) is None:
            shown = repr(entry.get("category_id"))[:40]
            code, message = "L02", f"category_id {shown} is not the id of a category"
        else:
            code, message = _box_fault(entry.get("bbox"))
        problem = LabelProblem(code, self.complaints.name, 0, 0, f"{detail}: {message}")
        self.box_problems.setdefault(row, []).append(problem)


def _looked_up(key: Any, table: Mapping[Any, int]) -> int | None:
    return table.get(key) if type(key) in (int, float, str) else None


def _box_fault(box: Any) -> tuple[str, str]:
    """Return code and message of a bbox that is not four sane numbers."""
    if not isinstance(box, list) or len(box) != 4 or any(type(v) not in NUMBERS for v in box):
        return "L01", "bbox is not the four numbers x, y, width, height"
    shown = ", ".join(repr(value)[:20] for value in box)
    if not all(isinstance(value, int) or math.isfinite(value) for value in box):
        return "L03", f"bbox {shown} is not finite"
    if box[2] <= 0 or box[3] <= 0:
        return "L05", f"bbox {shown} has no area"
    return "L04", f"bbox {shown} lies outside any image"
