"""Pairs that a COCO JSON states itself: each of its images names the visible and the infrared file.

Where the files lie is found by looking: beside the JSON, at the root, or in a folder of images.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from fusetrain.data.formats.coco_json import CocoFile
from fusetrain.data.sources import LabelSet, Source
from fusetrain.errors import DataError

# One of them may be missing; a set that lies elsewhere is not searched for name by name.
MAX_LOOKED_FOR = 1000
IMAGE_FOLDERS = ("", "images", "data", "JPEGImages")


def stated_source(root: Path, json_path: str) -> Source:
    """Return the pairs of one JSON as a source.

    Args:
        root: Absolute root of the data set.
        json_path: The JSON, relative to the root.

    Raises:
        DataError: It does not name the infrared image of each, or the images are nowhere. Names
            that lead outside were dropped when the JSON was read.
    """
    found = CocoFile.read(root / json_path, name=json_path)
    if not found.names_ir:
        raise DataError(
            "its images do not all name an infrared partner",
            where=json_path,
            expected="`ir_file_name` beside `file_name`",
        )
    folder = _folder_of(root, json_path, found.file_names)
    return Source(
        folder,
        folder,
        "labels",
        names=found.file_names,
        ir_names=found.ir_file_names,
        labels=LabelSet(json_path, "coco"),
    )


def _folder_of(root: Path, json_path: str, names: Sequence[str]) -> str:
    """Return the folder that the file names of a JSON are relative to: the first that has one.

    Raises:
        DataError: There is none.
    """
    looked_for = names[:: -(-len(names) // MAX_LOOKED_FOR)]
    beside = PurePosixPath(json_path).parent
    parents = [beside, *beside.parents]
    for parent in parents:
        for images in IMAGE_FOLDERS:
            folder = (parent / images).as_posix()
            if any(os.path.isfile(root / folder / name) for name in looked_for):
                return "" if folder == "." else folder
    raise DataError(f"{names[0]!r} is not below {root}", where=json_path)
