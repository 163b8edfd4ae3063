"""What exists in a split: pairs, boxes and file sizes, in compact arrays.

The index is frozen, picklable and free of Python objects a pair, so that forked workers share it
without copies. Building it reads names, sizes and labels; no image is opened.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.files import relative_files
from fusetrain.data.image import SUFFIX_FORMATS
from fusetrain.data.labels import NO_LABELS, LabelProblem, Labels, read_labels
from fusetrain.data.pairing import Pairing, join_pairings, pair_by_key, pair_key
from fusetrain.data.spec import DataSpec, Source

IMAGE_SUFFIXES = frozenset(SUFFIX_FORMATS)
LABEL_SUFFIXES = frozenset({".txt"})


@dataclass(frozen=True)
class PackedPaths:
    """Many paths in one bytes blob.

    Attributes:
        blob: All paths behind one another, in the encoding of the file system.
        ends: (N,) int64, where each path ends in the blob.
    """

    blob: bytes
    ends: NDArray[np.int64]

    @classmethod
    def pack(cls, paths: Sequence[str]) -> PackedPaths:
        """Return the paths in the order given."""
        encoded = [os.fsencode(path) for path in paths]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return cls(b"".join(encoded), _frozen(np.cumsum(lengths, dtype=np.int64)))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> str:
        if not 0 <= row < len(self.ends):
            raise IndexError(row)
        start = int(self.ends[row - 1]) if row else 0
        return os.fsdecode(self.blob[start : int(self.ends[row])])

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))


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

    def fingerprint(self) -> str:
        """Return the sha256 (hex) over class names, keys, file sizes and labels."""
        digest = hashlib.sha256()
        for part in (
            "\0".join(self.class_names).encode(),
            self.keys.blob,
            self.keys.ends,
            self.rgb_bytes,
            self.ir_bytes,
            self.box_ends,
            self.boxes,
            self.box_classes,
        ):
            data = part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        return digest.hexdigest()

    def _boxes_of(self, row: int) -> slice:
        if not 0 <= row < len(self):
            raise IndexError(row)
        return slice(int(self.box_ends[row - 1]) if row else 0, int(self.box_ends[row]))


@dataclass(frozen=True)
class SplitScan:
    """What a split holds, and what is wrong with its names and labels.

    Attributes:
        index: The pairs that can be used.
        pairing: How the files were matched; paths are relative to the root.
        label_problems: Lines of label files that were left out or clipped.
        box_lines: (M,) int64, the line in its label file that each box of the index comes from.
        label_paths: Label file of each pair, relative to the root; where there is none, its place.
    """

    index: DatasetIndex
    pairing: Pairing
    label_problems: tuple[LabelProblem, ...]
    box_lines: NDArray[np.int64] = field(repr=False)
    label_paths: PackedPaths = field(repr=False)


def scan_split(spec: DataSpec, split: str) -> SplitScan:
    """Pair the files of a split and read its labels.

    Raises:
        DataError: The data set has no such split.
    """
    pairings: list[Pairing] = []
    keys: list[str] = []
    label_paths: list[str] = []
    labels: list[Labels | None] = []
    sources = spec.sources(split)
    for number, source in enumerate(sources):
        # Keys are unique in one folder; of several folders each gets its number in front.
        prefix = f"{number:0{len(str(len(sources)))}d}/" if len(sources) > 1 else ""
        pairing = _pair_source(spec.root, source)
        pairings.append(pairing)
        label_files = _label_files(spec.root, source.label_folder)
        for rgb, _ in pairing.pairs:
            key = pair_key(rgb, source.rgb_folder)
            name = label_files.get(key)
            keys.append(prefix + key)
            label_paths.append(name or _expected_label(rgb, source))
            labels.append(_read(spec, name) if name else None)
    joined = join_pairings(pairings)
    read = [NO_LABELS if entry is None else entry for entry in labels]
    return SplitScan(
        index=_build_index(spec, split, keys=keys, pairing=joined, labels=labels),
        pairing=joined,
        label_problems=tuple(problem for entry in read for problem in entry.problems),
        box_lines=_joined([entry.lines for entry in read], NO_LABELS.lines),
        label_paths=PackedPaths.pack(label_paths),
    )


def count_pairs(spec: DataSpec, split: str) -> int:
    """Return how many pairs a split has, from names alone.

    Raises:
        DataError: The data set has no such split.
    """
    return sum(len(_pair_source(spec.root, source).pairs) for source in spec.sources(split))


def _pair_source(root: Path, source: Source) -> Pairing:
    ir_paths = relative_files(root, source.ir_folder, suffixes=IMAGE_SUFFIXES)
    if source.names is None:
        rgb_paths = relative_files(root, source.rgb_folder, suffixes=IMAGE_SUFFIXES)
    else:
        rgb_paths = [_below(source.rgb_folder, name) for name in source.names]
    pairing = pair_by_key(
        rgb_paths, ir_paths, rgb_folder=source.rgb_folder, ir_folder=source.ir_folder
    )
    if source.names is None:
        return pairing
    # A list picks some of a folder: infrared images that it does not ask for are no orphans.
    clashes = tuple(clash for clash in pairing.ambiguous if clash.rgb_paths)
    return Pairing(pairing.pairs, pairing.rgb_only, (), clashes)


def _label_files(root: Path, folder: str) -> dict[str, str]:
    """Return key to label file, relative to the root; of several with one key the first."""
    if not os.path.isdir(os.path.join(root, folder)):
        return {}
    paths = relative_files(root, folder, suffixes=LABEL_SUFFIXES)
    return {pair_key(path, folder): path for path in sorted(paths, reverse=True)}


def _expected_label(rgb_path: str, source: Source) -> str:
    """Return where the label file of a visible image should be."""
    below = rgb_path[len(source.rgb_folder) + 1 :] if source.rgb_folder else rgb_path
    return _below(source.label_folder, f"{os.path.splitext(below)[0]}.txt")


def _read(spec: DataSpec, name: str) -> Labels:
    return read_labels(os.path.join(spec.root, name), len(spec.class_names), name=name)


def _build_index(
    spec: DataSpec,
    split: str,
    *,
    keys: Sequence[str],
    pairing: Pairing,
    labels: Sequence[Labels | None],
) -> DatasetIndex:
    read = [NO_LABELS if entry is None else entry for entry in labels]
    counts = np.fromiter((len(entry.classes) for entry in read), np.int64, len(read))
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
        box_ends=_frozen(np.cumsum(counts, dtype=np.int64)),
        boxes=_joined([entry.boxes_cxcywh_unit for entry in read], NO_LABELS.boxes_cxcywh_unit),
        box_classes=_joined([entry.classes for entry in read], NO_LABELS.classes),
    )


def _sizes(root: Path, paths: Sequence[str]) -> NDArray[np.int64]:
    """Return the size of each file; 0 where it cannot be told (reading it says why)."""

    def size(path: str) -> int:
        try:
            return os.stat(os.path.join(root, path)).st_size
        except OSError:
            return 0

    return _frozen(np.fromiter(map(size, paths), np.int64, len(paths)))


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _joined(parts: Sequence[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    return _frozen(np.concatenate([empty, *parts]))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
