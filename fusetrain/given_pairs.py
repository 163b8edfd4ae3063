"""Pairs that a user names on the command line: two files or two folders, outside of a data set.

They are matched by key as those of a data set are; nothing is decoded here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusetrain.checks.pairs import ASPECT_TOLERANCE
from fusetrain.data.files import relative_files
from fusetrain.data.image import read_header
from fusetrain.data.index import IMAGE_SUFFIXES, DatasetIndex, PackedPaths
from fusetrain.data.pairing import pair_by_key
from fusetrain.errors import DataError

Pair = tuple[Path, Path]


@dataclass(frozen=True)
class GivenPairs:
    """What two paths stand for.

    Attributes:
        pairs: Visible and infrared file of each pair, ordered by key.
        note: One sentence about images that belong to no pair; empty where all do.
    """

    pairs: tuple[Pair, ...]
    note: str = ""


def find_pairs(rgb: Path, ir: Path) -> GivenPairs:
    """Return the pairs of two files, or of two folders by key.

    Raises:
        DataError: A path is missing, one is a file and the other a folder, or nothing matches.
    """
    for path in (rgb, ir):
        if not (path.is_file() or path.is_dir()):
            raise DataError("no such image or folder", where=str(path))
    if rgb.is_file() and ir.is_file():
        return GivenPairs(((rgb, ir),))
    if rgb.is_file() or ir.is_file():
        raise DataError(
            "one of --rgb and --ir is a file, the other a folder",
            expected="two files or two folders",
        )
    found = pair_by_key(
        relative_files(rgb, "", suffixes=IMAGE_SUFFIXES),
        relative_files(ir, "", suffixes=IMAGE_SUFFIXES),
    )
    if not found.pairs:
        raise DataError(
            f"{rgb} and {ir} share no pair",
            expected="images of the same names (suffixes may differ) in both folders",
        )
    alone = [
        *(rgb / orphan.path for orphan in found.rgb_only),
        *(ir / orphan.path for orphan in found.ir_only),
        *(rgb / path for clash in found.ambiguous for path in clash.rgb_paths),
        *(ir / path for clash in found.ambiguous for path in clash.ir_paths),
    ]
    pairs = tuple((rgb / visible, ir / infrared) for visible, infrared in found.pairs)
    if not alone:
        return GivenPairs(pairs)
    images = _count(alone, "image")
    return GivenPairs(pairs, f"left out: {images} without one partner (first: {alone[0]})")


def aspect_note(pairs: Sequence[Pair]) -> str:
    """Return a sentence about pairs whose two images show views of other shapes, or "".

    Raises:
        ImageError: An image has no readable header.
    """
    stretched = []
    for rgb, ir in pairs:
        ratios = [
            width / height for height, width in (read_header(path).size_hw for path in (rgb, ir))
        ]
        if max(ratios) / min(ratios) - 1.0 > ASPECT_TOLERANCE:
            stretched.append(ir)
    if not stretched:
        return ""
    return (
        f"{_count(stretched, 'infrared image')} of another aspect ratio than the visible one: "
        f"stretched to fit (first: {stretched[0]})"
    )


def index_of(pairs: Sequence[Pair], class_names: tuple[str, ...]) -> DatasetIndex:
    """Return an index of pairs without labels."""
    count = len(pairs)
    return DatasetIndex(
        split="predict",
        root="",
        class_names=class_names,
        keys=PackedPaths.pack([rgb.stem for rgb, _ in pairs]),
        rgb_paths=PackedPaths.pack([str(rgb) for rgb, _ in pairs]),
        ir_paths=PackedPaths.pack([str(ir) for _, ir in pairs]),
        rgb_bytes=np.zeros(count, np.int64),
        ir_bytes=np.zeros(count, np.int64),
        has_labels=np.zeros(count, np.bool_),
        box_ends=np.zeros(count, np.int64),
        boxes=np.zeros((0, 4), np.float32),
        box_classes=np.zeros(0, np.int64),
    )


def output_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: its stem, with a number where that is taken."""
    taken: set[str] = set()
    names = []
    for path in paths:
        name, number = path.stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
