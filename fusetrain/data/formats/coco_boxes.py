"""The list `annotations` of a COCO file, checked entry by entry and turned into columns of boxes.

A million boxes pass in some seconds, so that the good ones are looked at as little as possible;
what is wrong with the others is told with their image. Masks and areas are not read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.annotations import is_set
from fusetrain.data.formats.coco_parts import MAX_SIDE_PX, Complaints, Images, shown_id
from fusetrain.data.labels import LabelProblem

NUMBERS = (int, float)


@dataclass(frozen=True)
class Objects:
    """The usable boxes, those that the authors excluded, and what is wrong with the others."""

    usable: _Boxes
    ignored: _Boxes
    problems: tuple[LabelProblem, ...]
    box_problems: Mapping[int, tuple[LabelProblem, ...]]

    @classmethod
    def read(
        cls, entries: list[Any], *, images: Images, numbers: Mapping[Any, int], name: str
    ) -> Objects:
        """Read `annotations`.

        Args:
            entries: The list.
            images: Those of the file.
            numbers: Category id to class number.
            name: How problems call the file.
        """
        reading = _Reading(images.rows, images.refused, numbers, Complaints(name))
        for position, entry in enumerate(entries):
            reading.take(entry, position)
        reading.look_for_twins(entries)
        return cls(
            reading.usable,
            reading.ignored,
            (*reading.all_problems(), *reading.look_for_shares()),
            {row: tuple(found) for row, found in reading.box_problems.items()},
        )


@dataclass
class _Boxes:
    """Columns of boxes that grow while `annotations` is read: image, x y w h in px, class."""

    rows: list[int] = field(default_factory=list)
    boxes_xywh_px: list[list[float]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)

    def by_image(self, num_images: int) -> BoxTable:
        """Return them sorted by image; within one they keep the order of the file."""
        rows = np.array(self.rows, np.int64)
        boxes = np.array(self.boxes_xywh_px, np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        order = np.argsort(rows, kind="stable")
        ends = np.cumsum(np.bincount(rows, minlength=num_images), dtype=np.int64)
        return BoxTable(ends, boxes[order], np.array(self.classes, np.int64)[order])


@dataclass(frozen=True)
class BoxTable:
    """Boxes of many images.

    Attributes:
        ends: (N,) int64, where the boxes of each image end.
        boxes_xyxy_px: (M, 4) float64, as in `Annotations`.
        classes: (M,) int64.
    """

    ends: NDArray[np.int64]
    boxes_xyxy_px: NDArray[np.float64] = field(repr=False)
    classes: NDArray[np.int64] = field(repr=False)

    def of(self, row: int) -> tuple[NDArray[np.float64], list[int]]:
        """Return boxes (K, 4) xyxy px and class numbers of an image."""
        own = slice(int(self.ends[row - 1]) if row else 0, int(self.ends[row]))
        return self.boxes_xyxy_px[own], self.classes[own].tolist()


@dataclass
class _Reading:
    """Columns that grow while `annotations` is read."""

    image_rows: Mapping[Any, int]
    refused_images: frozenset[int | str]
    numbers: Mapping[Any, int]
    complaints: Complaints
    usable: _Boxes = field(default_factory=_Boxes)
    ignored: _Boxes = field(default_factory=_Boxes)
    box_problems: dict[int, list[LabelProblem]] = field(default_factory=dict)
    num_of_refused: int = 0

    def take(self, entry: Any, position: int) -> None:
        """Take one entry, or note why not; the good ones pass quickly."""
        try:
            row = self.image_rows[entry["image_id"]]
            number = self.numbers[entry["category_id"]]
            left, top, width, height = box = entry["bbox"]
            marks = entry.get("iscrowd"), entry.get("ignore")
            is_ignored = any(marks) and any(map(is_set, marks))
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
            return
        columns = self.ignored if is_ignored else self.usable
        columns.rows.append(row)
        columns.boxes_xywh_px.append(box)
        columns.classes.append(number)

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

    def all_problems(self) -> tuple[LabelProblem, ...]:
        """Return what speaks of no usable image; all that refused ones bring is one problem."""
        found = self.complaints.all()
        if not self.num_of_refused:
            return found
        count = f"{self.num_of_refused:,} annotation{'s' if self.num_of_refused > 1 else ''}"
        message = f"images that cannot be used: {count} left out with them"
        return (*found, LabelProblem("L01", self.complaints.name, 0, 0, message))

    def look_for_shares(self) -> Iterator[LabelProblem]:
        """Yield a problem if all boxes lie within one pixel, as shares of the image do."""
        boxes = self.usable.boxes_xywh_px
        if boxes and all(max(box) <= 1 for box in boxes):
            message = f"all {len(boxes):,} boxes lie within 1 px: shares, where COCO has px"
            yield LabelProblem("L04", self.complaints.name, 0, 0, message)

    def _refuse(self, entry: Any, position: int) -> None:
        """Note why an entry gives no box; with its image where that is known."""
        detail = f"annotation {shown_id(entry, position)}"
        if not isinstance(entry, dict):
            self.complaints.add("no object with image_id, category_id and bbox", detail)
            return
        image = entry.get("image_id")
        row = _looked_up(image, self.image_rows)
        if row is None and isinstance(image, int | str) and image in self.refused_images:
            self.num_of_refused += 1
            return
        if row is None:
            self.complaints.add("no image has this id", f"{detail}: image_id {repr(image)[:40]}")
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
