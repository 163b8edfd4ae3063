"""What a new data set will hold, file by file, before anything is written.

Every command makes a `Plan` from what it read, and `writing.py` carries it out; so a dry run shows
exactly what a real one does. Nothing here writes.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from fusetrain.config.yaml import dump_yaml
from fusetrain.data.formats.coco_json import read_once
from fusetrain.data.index import DatasetIndex, SplitScan, scan_split
from fusetrain.data.sources import SPLITS
from fusetrain.data.spec import DataSpec, load_spec
from fusetrain.errors import DataError
from fusetrain.prepare.notes import label_notes
from fusetrain.prepare.pixels import Picture, ir_suffix, rgb_suffix

YAML_NAME = "data.yaml"


class Transform(Protocol):
    """Makes the bytes of a new file from an old one; picklable."""

    def apply(self, path: str) -> bytes:
        """Return the new file; raises ImageError where the old one cannot be read."""
        ...

    def __str__(self) -> str:
        """Return how the manifest calls it."""
        ...


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file of the new folder.

    Attributes:
        target: Path in the new folder, with forward slashes.
        source: Absolute path of what it is made from; empty for new text.
        num_bytes: Size, or the best guess of it.
        text: Content, where it is written anew; None copies the source or transforms it.
        transform: Makes the content from the source; None copies it byte for byte.
    """

    target: str
    source: str = ""
    num_bytes: int = 0
    text: str | None = None
    transform: Transform | None = None


class NewPair(NamedTuple):
    """A pair of the source and its place in the new set.

    Attributes:
        scan: Split of the source.
        row: Row in the index of the split.
        split: Split of the new set.
        stem: Path of the new files below their split folders, without suffix.
    """

    scan: SplitScan
    row: int
    split: str
    stem: str


@dataclass(frozen=True)
class Plan:
    """A new data set.

    Attributes:
        command: rename, split, align or convert.
        spec: The source.
        files: Everything but the manifest.
        num_pairs: Split of the new set to its pairs.
        options: What the command was told, as JSON values.
        facts: What a script wants to know of the outcome, as JSON values.
        notes: What people should know, one sentence each.
    """

    command: str
    spec: DataSpec
    files: tuple[PlannedFile, ...] = field(repr=False)
    num_pairs: Mapping[str, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Return about how much the new folder takes."""
        return sum(file.num_bytes for file in self.files)


@dataclass(frozen=True)
class SourceSet:
    """A data set that is read to make another from.

    Attributes:
        spec: Where its files lie.
        scans: What each split holds.
    """

    spec: DataSpec
    scans: Mapping[str, SplitScan]

    @property
    def pairs(self) -> list[tuple[SplitScan, int]]:
        """Return all pairs, split by split."""
        return [(scan, row) for scan in self.scans.values() for row in range(len(scan.index))]


@read_once()
def open_set(path: Path) -> SourceSet:
    """Read names and labels of every split of a data set.

    Raises:
        DataError: It cannot be used, or has no pair.
    """
    spec = load_spec(path)
    found = SourceSet(spec, {split: scan_split(spec, split) for split in spec.splits})
    if not found.pairs:
        raise DataError(
            "the data set has no pair",
            where=str(path),
            remedy="`fusetrain check-data` says why; `fusetrain prepare rename` can mend names",
        )
    return found


def native_plan(
    command: str,
    source: SourceSet,
    pairs: Sequence[NewPair],
    *,
    options: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
    notes: Iterable[str] = (),
) -> Plan:
    """Return the plan of a set in the layout of fusetrain, its files as in the source.

    Frames are cut off and files of both modalities taken apart, as the layout of the source says.
    """
    files = [file for pair in pairs for file in image_files(pair)]
    files += [file for pair in pairs if (file := label_file(pair)) is not None]
    counts = Counter(pair.split for pair in pairs)
    num_pairs = {split: counts[split] for split in SPLITS if counts[split]}
    return Plan(
        command,
        source.spec,
        (*files, yaml_file(source.spec, tuple(num_pairs))),
        num_pairs,
        options=options,
        facts=facts or {},
        notes=(*label_notes(source), *notes),
    )


def image_files(
    pair: NewPair, *, folders: tuple[str, str] = ("images", "imagesIR")
) -> list[PlannedFile]:
    """Return both images of a pair in the layout of fusetrain."""
    return [rgb_file(pair, folder=folders[0]), ir_file(pair, folder=folders[1])]


def rgb_file(
    pair: NewPair, *, folder: str = "images", transform: Transform | None = None
) -> PlannedFile:
    """Return the visible image of a pair: transformed, or as the source has it."""
    index = pair.scan.index
    path, size = index.rgb_path(pair.row), int(index.rgb_bytes[pair.row])
    return _image_file(pair, "rgb", path, size, folder=folder, transform=transform)


def ir_file(
    pair: NewPair, *, folder: str = "imagesIR", transform: Transform | None = None
) -> PlannedFile:
    """Return the infrared image of a pair: transformed, or as the source has it."""
    index = pair.scan.index
    path, size = index.ir_path(pair.row), int(index.ir_bytes[pair.row])
    return _image_file(pair, "ir", path, size, folder=folder, transform=transform)


def _image_file(
    pair: NewPair,
    modality: Literal["rgb", "ir"],
    path: Path,
    size: int,
    *,
    folder: str,
    transform: Transform | None,
) -> PlannedFile:
    storage = pair.scan.index.storage
    if transform is None and Picture.is_needed(storage):
        transform = Picture(modality, storage)
    suffix = path.suffix.lower()
    if transform is not None:
        suffix = (rgb_suffix if modality == "rgb" else ir_suffix)(path, storage)
    target = f"{folder}/{pair.split}/{pair.stem}{suffix}"
    return PlannedFile(target, os.fspath(path), size, transform=transform)


def label_file(pair: NewPair, *, text: str | None = None) -> PlannedFile | None:
    """Return the labels of a pair as YOLO txt; None where the source has no label file for it."""
    index = pair.scan.index
    if not index.has_labels[pair.row]:
        return None
    if text is None:
        text = label_text(index, pair.row)
    source = os.path.join(index.root, pair.scan.label_paths[pair.row])
    return PlannedFile(f"labels/{pair.split}/{pair.stem}.txt", source, len(text), text=text)


def label_text(index: DatasetIndex, row: int) -> str:
    """Return the boxes of a pair as the lines of its label file."""
    return boxes_text(index.classes(row), index.boxes_cxcywh_unit(row))


def boxes_text(classes: Iterable[Any], boxes_cxcywh_unit: Iterable[Any]) -> str:
    """Return lines ``class cx cy w h``, in the fewest digits that give each float32 back."""
    lines = [
        " ".join([str(int(number)), *(str(np.float32(value)) for value in box)])
        for number, box in zip(classes, boxes_cxcywh_unit, strict=True)
    ]
    return "".join(f"{line}\n" for line in lines)


def yaml_file(spec: DataSpec, splits: Sequence[str]) -> PlannedFile:
    """Return the data YAML of the new set."""
    thermal = spec.thermal
    document: dict[str, Any] = {
        "path": ".",
        **{split: f"images/{split}" for split in splits},
        "ir": {"images": "imagesIR"},
        "labels": {"images": "labels"},
        "thermal": thermal if isinstance(thermal, str) else {"range": list(thermal)},
        "names": dict(enumerate(spec.class_names)),
    }
    text = dump_yaml(document)
    return PlannedFile(YAML_NAME, num_bytes=len(text), text=text)


def stem_of(index: DatasetIndex, row: int) -> str:
    """Return the key of a pair in the letters of its visible file, as far as the two agree."""
    key = index.keys[row].split("/")
    path = unicodedata.normalize("NFC", index.rgb_paths[row])
    parts = PurePosixPath(path).with_suffix("").parts
    for place in range(1, min(len(key), len(parts)) + 1):
        # The last part may have a suffix of its modality behind the key.
        written = parts[-place][: len(key[-place])] if place == 1 else parts[-place]
        if written.casefold() != key[-place]:
            break
        key[-place] = written
    return "/".join(key)
