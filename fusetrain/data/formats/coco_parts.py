"""The lists `images` and `categories` of a COCO file, checked entry by entry, turned into columns.

Entries that cannot be used are left out and reported by their ids; of many faults of one kind the
first `MAX_SHOWN` are told one by one and the rest counted. `coco_boxes.py` reads `annotations`,
`coco_json.py` puts the parts together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.labels import LabelProblem

MAX_SHOWN = 100
MAX_SIDE_PX = 1_000_000


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
    """The usable images: names, sizes and id to row; and the ids of those that are not usable."""

    file_names: tuple[str, ...]
    ir_file_names: tuple[str, ...]
    sizes_hw: NDArray[np.int64]
    rows: Mapping[Any, int]
    refused: frozenset[int | str]
    problems: tuple[LabelProblem, ...]

    @classmethod
    def read(cls, entries: list[Any], *, name: str) -> Images:
        """Read `images`; ids may be numbers or texts and must differ, and so must the names."""
        complaints = Complaints(name)
        rows: dict[Any, int] = {}
        names: dict[str, str] = {}
        sizes: list[tuple[int, int]] = []
        refused: set[int | str] = set()
        for position, entry in enumerate(entries):
            fault = _image_fault(entry, rows, names)
            if fault:
                complaints.add(fault, f"image {shown_id(entry, position)}")
                number = entry.get("id") if isinstance(entry, dict) else None
                refused |= {number} if isinstance(number, int | str) else set()
                continue
            rows[entry["id"]] = len(rows)
            ir_name = entry.get("ir_file_name") or ""
            names[_slashed(entry["file_name"])] = _slashed(ir_name)
            sizes.append((_side(entry.get("height")), _side(entry.get("width"))))
        columns = (tuple(names), tuple(names.values()))
        shapes = np.array(sizes, np.int64).reshape(-1, 2)
        return cls(*columns, shapes, rows, frozenset(refused), complaints.all())


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
    """Return a file name with forward slashes, without `.` and doubled slashes in it."""
    return PurePosixPath(name.replace("\\", "/")).as_posix() if name else ""


def _is_below(name: str) -> bool:
    path = PurePosixPath(_slashed(name))
    has_drive = bool(path.parts) and ":" in path.parts[0]
    return not (path.is_absolute() or has_drive or ".." in path.parts or "\0" in name)


def _side(value: Any) -> int:
    """Return a side in px; 0 where the file says nothing that can be one."""
    if type(value) not in (int, float) or not 1 <= value <= MAX_SIDE_PX:
        return 0
    return int(value)


def shown_id(entry: Any, position: int) -> str:
    """Return the id of an entry as people are told it, or its place in the list."""
    shown = entry.get("id") if isinstance(entry, dict) else None
    known = type(shown) in (int, str)
    return repr(shown)[:40] if known else f"at place {position + 1} of the list"
