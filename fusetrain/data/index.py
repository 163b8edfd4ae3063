"""What exists in a split: pairs, boxes and file sizes, in compact arrays.

The index is frozen, picklable and free of Python objects a pair, so that forked workers share it
without copies. Building it reads names, sizes and labels; no image is opened.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.formats.coco_json import read_once
from fusetrain.data.label_rows import Reader, read_rows
from fusetrain.data.label_sets import choose, gather_labels, list_split
from fusetrain.data.labels import NO_LABELS, NO_REGIONS, LabelProblem, Labels, Regions
from fusetrain.data.listing import IMAGE_SUFFIXES, UnreadLabel, pair_source
from fusetrain.data.packed_paths import PackedPaths
from fusetrain.data.pairing import Pairing, join_pairings
from fusetrain.data.spec import DataSpec
from fusetrain.data.storage import AS_FILES, Storage

__all__ = [
    "IMAGE_SUFFIXES",
    "DatasetIndex",
    "LabelColumns",
    "PackedPaths",
    "SplitScan",
    "count_pairs",
    "scan_split",
]


@dataclass(frozen=True)
class DatasetIndex:
    """The pairs of one split.

    Attributes:
        split: Name of the split.
        root: Absolute root of the data set.
        class_names: Names of the classes by number.
        keys: Key of each pair, unique in the split.
        rgb_paths: Visible image of each pair, relative to the root.
        ir_paths: Infrared image of each pair, relative to the root.
        rgb_bytes: (N,) int64 file sizes.
        ir_bytes: (N,) int64 file sizes.
        has_labels: (N,) bool, False where the label file is missing.
        box_ends: (N,) int64, where the boxes of each pair end.
        boxes: (M, 4) float32 cx, cy, w, h in [0, 1] of the visible image.
        box_classes: (M,) int64, 0-based.
        storage: How the pictures lie in their files; whoever opens one passes it on.
        ignored_ends: (N,) int64, where the excluded boxes of each pair end; (0,) where there is
            none in the whole split.
        ignored_boxes: (K, 4) float32 cx, cy, w, h in [0, 1] of boxes that the authors excluded:
            detections there count neither as right nor as wrong.
        ignored_classes: (K,) int64, 0-based, or ANY_CLASS.
    """

    split: str
    root: str
    class_names: tuple[str, ...]
    keys: PackedPaths
    rgb_paths: PackedPaths
    ir_paths: PackedPaths
    rgb_bytes: NDArray[np.int64]
    ir_bytes: NDArray[np.int64]
    has_labels: NDArray[np.bool_]
    box_ends: NDArray[np.int64]
    boxes: NDArray[np.float32] = field(repr=False)
    box_classes: NDArray[np.int64] = field(repr=False)
    storage: Storage = AS_FILES
    ignored_ends: NDArray[np.int64] = field(default_factory=NO_LABELS.classes.copy)
    ignored_boxes: NDArray[np.float32] = field(
        default_factory=NO_REGIONS.boxes_cxcywh_unit.copy, repr=False
    )
    ignored_classes: NDArray[np.int64] = field(default_factory=NO_REGIONS.classes.copy, repr=False)

    def __len__(self) -> int:
        return len(self.rgb_paths)

    def rgb_path(self, row: int) -> Path:
        """Return the absolute path of the visible image."""
        return Path(self.root, self.rgb_paths[row])

    def ir_path(self, row: int) -> Path:
        """Return the absolute path of the infrared image."""
        return Path(self.root, self.ir_paths[row])

    def boxes_cxcywh_unit(self, row: int) -> NDArray[np.float32]:
        """Return (N, 4) float32 in [0, 1] of the visible image, read-only."""
        return self.boxes[self._boxes_of(row)]

    def classes(self, row: int) -> NDArray[np.int64]:
        """Return (N,) int64, 0-based, read-only."""
        return self.box_classes[self._boxes_of(row)]

    @property
    def has_regions(self) -> bool:
        """Return whether the authors excluded anything of any pair."""
        return len(self.ignored_ends) > 0

    def regions(self, row: int) -> Regions:
        """Return what the authors excluded of a pair, read-only."""
        if not self.has_regions:
            return NO_REGIONS
        own = _part(self.ignored_ends, row)
        return Regions(self.ignored_boxes[own], self.ignored_classes[own])

    def fingerprint(self) -> str:
        """Return the sha256 (hex) over class names, keys, file sizes and labels."""
        digest = hashlib.sha256()
        ignored = (self.ignored_ends, self.ignored_boxes, self.ignored_classes)
        for part in (
            "\0".join(self.class_names).encode(),
            self.keys.blob,
            self.keys.ends,
            self.rgb_bytes,
            self.ir_bytes,
            self.box_ends,
            self.boxes,
            self.box_classes,
            *(ignored if len(self.ignored_ends) else ()),
        ):
            data = part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        return digest.hexdigest()

    def _boxes_of(self, row: int) -> slice:
        return _part(self.box_ends, row)


def _part(ends: NDArray[np.int64], row: int) -> slice:
    """Return what belongs to a row of columns that end so.

    Raises:
        IndexError: There is no such row.
    """
    if not 0 <= row < len(ends):
        raise IndexError(row)
    return slice(int(ends[row - 1]) if row else 0, int(ends[row]))


@dataclass(frozen=True)
class LabelColumns:
    """The boxes of one of two label sets, row by row as in the index.

    Attributes:
        box_ends: (N,) int64, where the boxes of each pair end.
        boxes: (M, 4) float32 cx, cy, w, h in [0, 1] of the image.
        box_classes: (M,) int64, 0-based.
    """

    box_ends: NDArray[np.int64]
    boxes: NDArray[np.float32] = field(repr=False)
    box_classes: NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True)
class SplitScan:
    """What a split holds, and what is wrong with its names and labels.

    Attributes:
        index: The pairs that can be used.
        pairing: How the files were matched; paths are relative to the root.
        label_problems: Lines of label files that were left out or clipped.
        box_lines: (M,) int64, the line in its label file that each box of the index comes from.
        label_paths: Label file of each pair, relative to the root; where there is none, its place.
        label_entries: (N,) int64, which image of its label file each pair is, or NO_ENTRY.
        rgb_labels: Boxes drawn on the visible images; None unless each modality has its own set.
        ir_labels: Boxes drawn on the infrared images; None unless each modality has its own set.
        unread_labels: Files in its label folders that nothing is read from.
    """

    index: DatasetIndex
    pairing: Pairing
    label_problems: tuple[LabelProblem, ...]
    box_lines: NDArray[np.int64] = field(repr=False)
    label_paths: PackedPaths = field(repr=False)
    label_entries: NDArray[np.int64] = field(repr=False)
    rgb_labels: LabelColumns | None = None
    ir_labels: LabelColumns | None = None
    unread_labels: tuple[UnreadLabel, ...] = ()


@read_once()
def scan_split(spec: DataSpec, split: str, *, read: Reader = read_rows) -> SplitScan:
    """Pair the files of a split and read its labels.

    Args:
        spec: The data set.
        split: One of its splits.
        read: Reads the rows of a label set, in order; others may read in several processes.

    Raises:
        DataError: The data set has no such split, or its COCO file cannot be used.
    """
    listing = list_split(spec, split)
    keys = [key for part in listing for key in part.keys]
    pairing = join_pairings([part.pairing for part in listing])
    has_two = any(part.source.ir_labels is not None for part in listing)
    rgb = gather_labels(spec, listing, modality="rgb", read=read)
    ir = gather_labels(spec, listing, modality="ir", read=read) if has_two else None
    chosen = choose(rgb, ir, label_source=spec.label_source)
    return SplitScan(
        index=_build_index(spec, split, keys=keys, pairing=pairing, labels=chosen.labels),
        pairing=pairing,
        label_problems=rgb.problems + (ir.problems if ir else ()),
        box_lines=_joined([_or_none(e).lines for e in chosen.labels], NO_LABELS.lines),
        label_paths=PackedPaths.pack(chosen.paths),
        label_entries=_frozen(np.array([_or_none(e).entry for e in chosen.labels], np.int64)),
        rgb_labels=_columns(rgb.labels) if ir else None,
        ir_labels=_columns(ir.labels) if ir else None,
        unread_labels=tuple(
            {label.path: label for part in listing for label in part.unread}.values()
        ),
    )


def count_pairs(spec: DataSpec, split: str) -> int:
    """Return how many pairs a split has, from names alone.

    Raises:
        DataError: The data set has no such split.
    """
    sources = spec.sources(split)
    return sum(len(pair_source(spec.root, source, spec.storage).pairs) for source in sources)


def _build_index(
    spec: DataSpec,
    split: str,
    *,
    keys: Sequence[str],
    pairing: Pairing,
    labels: Sequence[Labels | None],
) -> DatasetIndex:
    columns, excluded = _columns(labels), _columns([_or_none(e).regions for e in labels])
    rgb = [path for path, _ in pairing.pairs]
    ir = [path for _, path in pairing.pairs]
    return DatasetIndex(
        split=split,
        root=os.fspath(spec.root),
        class_names=spec.class_names,
        keys=PackedPaths.pack(keys),
        rgb_paths=PackedPaths.pack(rgb),
        ir_paths=PackedPaths.pack(ir),
        rgb_bytes=_sizes(spec.root, rgb),
        ir_bytes=_sizes(spec.root, ir),
        has_labels=_frozen(np.fromiter((e is not None for e in labels), np.bool_, len(labels))),
        box_ends=columns.box_ends,
        boxes=columns.boxes,
        box_classes=columns.box_classes,
        storage=spec.storage,
        ignored_ends=excluded.box_ends if len(excluded.boxes) else NO_LABELS.classes,
        ignored_boxes=excluded.boxes,
        ignored_classes=excluded.box_classes,
    )


def _columns(labels: Sequence[Labels | Regions | None]) -> LabelColumns:
    read = [NO_REGIONS if entry is None else entry for entry in labels]
    counts = np.fromiter((len(entry.classes) for entry in read), np.int64, len(read))
    return LabelColumns(
        box_ends=_frozen(np.cumsum(counts, dtype=np.int64)),
        boxes=_joined([entry.boxes_cxcywh_unit for entry in read], NO_LABELS.boxes_cxcywh_unit),
        box_classes=_joined([entry.classes for entry in read], NO_LABELS.classes),
    )


def _or_none(labels: Labels | None) -> Labels:
    return NO_LABELS if labels is None else labels


def _sizes(root: Path, paths: Sequence[str]) -> NDArray[np.int64]:
    """Return the size of each file; 0 where it cannot be told (reading it says why)."""

    def size(path: str) -> int:
        try:
            return os.stat(os.path.join(root, path)).st_size
        except OSError:
            return 0

    return _frozen(np.fromiter(map(size, paths), np.int64, len(paths)))


def _joined(parts: Sequence[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    return _frozen(np.concatenate([empty, *parts]))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
