"""Which pairs an audit measures, as sequences whose tasks are made when somebody asks for them.

Pairs have one order: split by split, row by row of the index. Shards and samples are cut from it,
so that each machine deals the same pairs to the same shard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.images import PairTask
from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.sources import LabelSet
from fusetrain.data.spec import DataSpec

Registration = Literal["sample", "all", "off"]

SAMPLE_PAIRS = 200
# Pairs that follow one another: long enough that a sequence is judged as one.
SAMPLE_RUN = 20


class PairTasks(Sequence[PairTask]):
    """The tasks of some pairs of several splits."""

    def __init__(self, indexes: Sequence[DatasetIndex], rows: NDArray[np.int64] | range) -> None:
        """Take the pairs at ``rows`` of all pairs, counted through the splits."""
        self._indexes = tuple(indexes)
        self._starts = np.cumsum([0, *map(len, self._indexes)])
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, number: int) -> PairTask: ...

    @overload
    def __getitem__(self, number: slice) -> PairTasks: ...

    def __getitem__(self, number: int | slice) -> PairTask | PairTasks:
        if isinstance(number, slice):
            return PairTasks(self._indexes, self.rows[number])
        row = int(self.rows[number])
        split = int(np.searchsorted(self._starts, row, side="right")) - 1
        index, own = self._indexes[split], row - int(self._starts[split])
        return PairTask(
            index.root,
            index.split,
            own,
            index.rgb_paths[own],
            index.ir_paths[own],
            storage=index.storage,
        )

    def rows_in_splits(self) -> NDArray[np.int64]:
        """Return the row of each task in the index of its split."""
        rows = np.asarray(self.rows, np.int64)
        splits = np.searchsorted(self._starts, rows, side="right") - 1
        return np.asarray(rows - self._starts[splits], np.int64)

    def picked(self, numbers: NDArray[np.int64]) -> PairTasks:
        """Return some of the tasks, by their places in this sequence."""
        return PairTasks(self._indexes, np.asarray(self.rows, np.int64)[numbers])

    def shard(self, number: int, count: int) -> PairTasks:
        """Return the ``number``-th of ``count`` parts of nearly equal length, from 1."""
        return self[len(self) * (number - 1) // count : len(self) * number // count]


def all_tasks(indexes: Sequence[DatasetIndex]) -> PairTasks:
    """Return a task for every pair."""
    return PairTasks(indexes, range(sum(map(len, indexes))))


def registration_tasks(indexes: Sequence[DatasetIndex], mode: Registration) -> PairTasks:
    """Return the pairs whose registration is measured.

    Args:
        indexes: The splits.
        mode: all; off; or sample: up to SAMPLE_PAIRS pairs a split, in runs of SAMPLE_RUN pairs
            that follow one another, evenly spaced from the first pair to the last.
    """
    if mode == "all":
        return all_tasks(indexes)
    chosen = [np.zeros(0, np.int64)]
    start = 0
    for index in indexes if mode == "sample" else ():
        chosen.append(start + _sampled(len(index)))
        start += len(index)
    return PairTasks(indexes, np.concatenate(chosen))


def list_pairs(spec: DataSpec, split: str) -> DatasetIndex:
    """Return the pairs of a split without their labels, from names and file sizes alone.

    Raises:
        DataError: The data set has no such split.
    """
    sources = [
        replace(source, labels=LabelSet(None), ir_labels=None) for source in spec.sources(split)
    ]
    return scan_split(replace(spec, splits={split: tuple(sources)}), split).index


def listing_digest(indexes: Sequence[DatasetIndex]) -> str:
    """Return a digest of the splits, the paths of all pairs and their file sizes."""
    digest = hashlib.sha256()
    for index in indexes:
        digest.update(f"{index.split}\0{len(index)}\0".encode())
        for paths in (index.rgb_paths, index.ir_paths):
            digest.update(paths.blob)
            digest.update(paths.ends.tobytes())
        digest.update(index.rgb_bytes.tobytes() + index.ir_bytes.tobytes())
    return digest.hexdigest()


def _sampled(count: int) -> NDArray[np.int64]:
    if count <= SAMPLE_PAIRS:
        return np.arange(count, dtype=np.int64)
    firsts = np.linspace(0, count - SAMPLE_RUN, SAMPLE_PAIRS // SAMPLE_RUN).astype(np.int64)
    return np.asarray((firsts[:, None] + np.arange(SAMPLE_RUN)).ravel(), np.int64)
