"""Write splits of a data set as a new folder: what all formats share.

A format says where images go and what its label files hold; names, places and the copying are here.
The source is never touched. Images are copied byte for byte; to cut, split or turn them is the
business of those who plan a folder themselves and call `written_split` and `label_files`.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fusetrain.config.yaml import dump_yaml
from fusetrain.data.image import read_header
from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.labels import ANY_CLASS
from fusetrain.data.spec import load_spec
from fusetrain.data.storage import AS_FILES
from fusetrain.errors import DataError

YAML_NAME = "data.yaml"
# Written pixels have steps of at least this share of the side, which is what float32 can hold; the
# next power of ten costs under 1e-6 of the side.
FINEST_STEP = 9e-8


@dataclass(frozen=True)
class WrittenPair:
    """Where the images of a pair lie in the new folder.

    Attributes:
        rgb: Visible image, relative to the folder, with forward slashes.
        ir: Infrared image, the same.
        size_hw: Size in px of the visible image as written; what its boxes are shares of.
    """

    rgb: str
    ir: str
    size_hw: tuple[int, int]


class WrittenObject(NamedTuple):
    """One box of a pair as it is written.

    Attributes:
        class_number: 0-based.
        corners: x1, y1, x2, y2 in px, 0-based, x2 and y2 exclusive, as `tidy_corners` writes them.
        is_excluded: The authors excluded it: detections there count neither as right nor as wrong.
    """

    class_number: int
    corners: tuple[float, ...]
    is_excluded: bool


@dataclass(frozen=True)
class WrittenSplit:
    """A split and the places of its images; ``pairs`` has a row for each of the index."""

    index: DatasetIndex
    pairs: tuple[WrittenPair, ...]

    def objects(self, row: int) -> Iterator[WrittenObject]:
        """Yield the boxes of a pair, then those that were excluded of it.

        What was excluded for every class is there once for each.
        """
        size_hw = self.pairs[row].size_hw
        boxes = _corners_px(self.index.boxes_cxcywh_unit(row), size_hw).tolist()
        for number, box in zip(self.index.classes(row).tolist(), boxes, strict=True):
            yield WrittenObject(number, tuple(tidy_corners(box, size_hw)), is_excluded=False)
        regions = self.index.regions(row)
        areas = _corners_px(regions.boxes_cxcywh_unit, size_hw).tolist()
        for excluded, box in zip(regions.classes.tolist(), areas, strict=True):
            corners = tuple(tidy_corners(box, size_hw))
            every = range(len(self.index.class_names))
            for number in every if excluded == ANY_CLASS else (excluded,):
                yield WrittenObject(number, corners, is_excluded=True)


def _corners_px(
    boxes_cxcywh_unit: NDArray[np.float32], size_hw: tuple[int, int]
) -> NDArray[np.float64]:
    """Return (N, 4) x1, y1, x2, y2 in px, 0-based, x2 and y2 exclusive."""
    boxes = boxes_cxcywh_unit.astype(np.float64)
    half = boxes[:, 2:] / 2.0
    height, width = size_hw
    corners = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return corners * np.array([width, height, width, height], np.float64)


class Format(Protocol):
    """How a data set is written.

    Attributes:
        folders: Folder of the visible and of the infrared images; each holds one a split.
    """

    folders: tuple[str, str]

    def read(self, path: Path, split: str) -> DatasetIndex:
        """Return the pairs of a split; see `read_split`."""

    def write(self, indexes: Sequence[DatasetIndex], folder: Path) -> Path:
        """Write splits as a new folder and return its data YAML; see `write_tree`."""

    def label_files(self, splits: Sequence[WrittenSplit]) -> Iterator[tuple[str, str]]:
        """Yield path, relative to the new folder, and text of every file that is no image.

        One of them is `data.yaml`, so that the folder reads back with the same class numbers.
        """


def read_split(path: Path, split: str) -> DatasetIndex:
    """Return the pairs of a split of any data set that is recognised.

    Args:
        path: Data YAML or data-set folder.
        split: train, val or test.

    Raises:
        DataError: The data set or its split cannot be used.
    """
    return scan_split(load_spec(path), split).index


def written_split(layout: Format, index: DatasetIndex) -> WrittenSplit:
    """Return where the images of a split go when they are copied; files are called by their keys.

    Raises:
        DataError: An image cannot be read.
    """
    pairs = []
    for row in range(len(index)):
        name = f"{index.split}/{index.keys[row]}"
        rgb, ir = index.rgb_path(row), index.ir_path(row)
        rgb_place = f"{layout.folders[0]}/{name}{rgb.suffix}"
        ir_place = f"{layout.folders[1]}/{name}{ir.suffix}"
        pairs.append(WrittenPair(rgb_place, ir_place, read_header(rgb).size_hw))
    return WrittenSplit(index, tuple(pairs))


def write_tree(layout: Format, indexes: Sequence[DatasetIndex], folder: Path) -> Path:
    """Write splits of one data set as a new folder and return its data YAML.

    Raises:
        DataError: The folder exists already, or images would have to be changed to be written.
    """
    if any(index.storage != AS_FILES for index in indexes):
        raise DataError(
            "images with a border, or with both modalities in one file, cannot be copied",
            where=str(folder),
            remedy="`fusetrain prepare convert DATA --out DIR` cuts and splits them",
        )
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise DataError("the folder exists already", where=str(folder)) from error
    splits = [written_split(layout, index) for index in indexes]
    for split in splits:
        for row, pair in enumerate(split.pairs):
            _copy(split.index.rgb_path(row), folder / pair.rgb)
            _copy(split.index.ir_path(row), folder / pair.ir)
    for name, text in layout.label_files(splits):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
    return folder / YAML_NAME


def data_yaml(
    layout: Format, splits: Sequence[WrittenSplit], settings: Mapping[str, object]
) -> tuple[str, str]:
    """Return name and text of the data YAML; ``settings`` are those of the format."""
    document = {
        "path": ".",
        **{split.index.split: f"{layout.folders[0]}/{split.index.split}" for split in splits},
        **settings,
        "names": dict(enumerate(splits[0].index.class_names)) if splits else {},
    }
    return YAML_NAME, dump_yaml(document)


def tidy_corners(box_xyxy_px: Sequence[float], size_hw: tuple[int, int]) -> list[float]:
    """Return corners without the digits that float32 made up, whole where they are whole.

    What is tidy stays as it is when it is read and written again. A box that would lose its area
    keeps all its digits.
    """
    height, width = size_hw
    sides = (width, height, width, height)
    tidied = [_rounded(value, side) for value, side in zip(box_xyxy_px, sides, strict=True)]
    has_area = tidied[2] > tidied[0] and tidied[3] > tidied[1]
    return tidied if has_area else list(box_xyxy_px)


def _rounded(value: float, side_px: int) -> float:
    rounded = round(value, math.floor(-math.log10(FINEST_STEP * side_px)))
    return int(rounded) if rounded == int(rounded) else rounded


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
