"""Labels in the JSON of COCO, one file for many images: M3FD, FLIR ADAS, any export.

One file may name both images of a pair (`file_name` and `ir_file_name`), or two files, one for each
modality, may be joined by the stems of their names. A million boxes are read in some seconds into
arrays; only what detection needs is kept. Within `read_once` no file is read a second time.
`coco_tree.py` writes the format. The file says nothing of places, so problems speak of ids.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.annotations import Annotations
from fusetrain.data.files import read_bytes
from fusetrain.data.formats.coco_boxes import BoxTable, Objects
from fusetrain.data.formats.coco_parts import Images, read_categories
from fusetrain.data.labels import LabelProblem
from fusetrain.errors import DataError, reason

MAX_COCO_BYTES = 2**30
KEYS = ("images", "annotations", "categories")
EXPECTED = "a COCO JSON: an object with lists `images`, `annotations` and `categories`"
# Files that were read, by path and name, within `read_once`.
_READ: ContextVar[dict[tuple[str, str], CocoFile] | None] = ContextVar("read", default=None)


@dataclass(frozen=True)
class CocoFile:
    """A COCO file: images, and the boxes of each as `Annotations`.

    Attributes:
        path: How problems call the file.
        class_names: Names in the order of their category ids; gaps between the ids close.
        file_names: Image of each row, relative, with forward slashes; the visible one where the
            file names both.
        ir_file_names: Infrared image of each row; empty where the file names none.
        sizes_hw: (N, 2) int64 height and width in px as the file says; 0 where it does not.
        boxes: The usable boxes; classes are places in ``class_names``.
        ignored: Those marked `iscrowd` or `ignore`.
        problems: What was left out and speaks of no image in particular.
        box_problems: Row to the problems of its boxes.
    """

    path: str
    class_names: tuple[str, ...]
    file_names: tuple[str, ...]
    ir_file_names: tuple[str, ...]
    sizes_hw: NDArray[np.int64]
    boxes: BoxTable
    ignored: BoxTable
    problems: tuple[LabelProblem, ...] = ()
    box_problems: Mapping[int, tuple[LabelProblem, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, *, name: str = "") -> CocoFile:
        """Read a file; faults of single images and boxes are kept as problems.

        Args:
            path: The file.
            name: How problems call the file; the path when empty.

        Raises:
            DataError: It cannot be read, is no JSON, or lacks one of the three lists.
        """
        known, key = _READ.get(), (os.fspath(path), name)
        if known is not None and key in known:
            return known[key]
        with _collector_paused():
            found = cls.from_document(read_json(path), name=name or os.fspath(path))
        if known is not None:
            known[key] = found
        return found

    @classmethod
    def from_document(cls, document: Any, *, name: str = "") -> CocoFile:
        """Take a parsed document; see `read`.

        Raises:
            DataError: It lacks one of the three lists.
        """
        missing = [
            key
            for key in KEYS
            if not isinstance(document, dict) or not isinstance(document.get(key), list)
        ]
        if missing:
            text = f"no list {' and no list '.join(map(repr, missing))}"
            raise DataError(text, where=name, expected=EXPECTED)
        categories = read_categories(document["categories"], name=name)
        images = Images.read(document["images"], name=name)
        objects = Objects.read(
            document["annotations"], images=images, numbers=categories.numbers, name=name
        )
        return cls(
            name,
            categories.names,
            images.file_names,
            images.ir_file_names,
            images.sizes_hw,
            objects.usable.by_image(len(images.file_names)),
            objects.ignored.by_image(len(images.file_names)),
            (*categories.problems, *images.problems, *objects.problems),
            objects.box_problems,
        )

    def __len__(self) -> int:
        return len(self.file_names)

    @property
    def names_ir(self) -> bool:
        """Return whether every image has an infrared partner named in the file."""
        return bool(self.ir_file_names) and all(self.ir_file_names)

    def annotations(self, row: int) -> Annotations:
        """Return the boxes of one image."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        boxes, numbers = self.boxes.of(row)
        ignored, ignored_numbers = self.ignored.of(row)
        height, width = self.sizes_hw[row].tolist()
        return Annotations(
            boxes,
            tuple([self.class_names[number] for number in numbers]),
            np.zeros(len(numbers), np.int64),
            (height, width) if height and width else None,
            self.box_problems.get(row, ()),
            ignored,
            tuple([self.class_names[number] for number in ignored_numbers]),
            self.path,
        )

    def rows_by_stem(self) -> dict[str, int]:
        """Return the stem of each file name to its row.

        Raises:
            DataError: Two images have the same stem.
        """
        rows = {PurePosixPath(name).stem: row for row, name in enumerate(self.file_names)}
        if len(rows) < len(self):
            raise DataError("two images have the same name in different folders", where=self.path)
        return rows


@contextmanager
def read_once() -> Iterator[None]:
    """Keep every file that is read inside, and forget them at the end; blocks may be nested.

    Who the pairs are, the names of the classes and the boxes all come from the same file.
    """
    if _READ.get() is not None:
        yield
        return
    token = _READ.set({})
    try:
        yield
    finally:
        _READ.reset(token)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Hold off garbage collection: walking millions of new entries again and again takes half."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def read_json(path: Path) -> Any:
    """Read a JSON file; NaN and infinities pass and are judged where they stand.

    Raises:
        DataError: It cannot be read, is no UTF-8 or no JSON, or is nested too deep.
    """
    try:
        text = read_bytes(path, max_bytes=MAX_COCO_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {reason(error)}", where=str(path)) from error
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno}:{error.colno}"
        fault = error.msg.removesuffix(" starting at")
        raise DataError(f"not valid JSON: {fault}", where=place, expected=EXPECTED) from error
    except (RecursionError, ValueError) as error:
        # Nesting beyond Python's stack; whole numbers of thousands of digits.
        what = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"not usable JSON: {what}", where=str(path), expected=EXPECTED) from error
