"""Read the label files of a large split in child processes; small splits are read on the spot.

The result is that of `read_rows`, row by row; a file whose parser dies is reported like an
unreadable one. Labels travel in blocks, as a few arrays cost less than thousands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.flow.pool import run_contained
from fusetrain.data.label_rows import LabelReader, LabelRow, Reader, read_rows
from fusetrain.data.labels import NO_LABELS, NO_REGIONS, LabelProblem, Labels, Regions

# Below this the children would take longer to start than the files to read.
MIN_ROWS = 10_000
BLOCK = 1024
BLOCK_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class LabelBlock:
    """The labels of many rows.

    Attributes:
        ends: (R,), where the boxes of each row end.
        is_there: (R,) bool, False where there is no label file.
        boxes: (N, 4), as in `Labels`.
        classes: (N,), as in `Labels`.
        lines: (N,), as in `Labels`.
        problems: Row to its problems, where there are any.
        regions: Row to its excluded boxes, where there are any.
    """

    ends: NDArray[np.int64]
    is_there: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    lines: NDArray[np.int64]
    problems: dict[int, tuple[LabelProblem, ...]]
    regions: dict[int, Regions]

    @classmethod
    def pack(cls, labels: Sequence[Labels | None]) -> LabelBlock:
        """Return the labels of some rows as one block."""
        there = [entry or NO_LABELS for entry in labels]
        return cls(
            np.cumsum([len(entry.classes) for entry in there], dtype=np.int64),
            np.array([entry is not None for entry in labels], np.bool_),
            _joined([entry.boxes_cxcywh_unit for entry in there], NO_LABELS.boxes_cxcywh_unit),
            _joined([entry.classes for entry in there], NO_LABELS.classes),
            _joined([entry.lines for entry in there], NO_LABELS.lines),
            {row: entry.problems for row, entry in enumerate(there) if entry.problems},
            {row: e.regions for row, e in enumerate(there) if len(e.regions.classes)},
        )

    def unpack(self) -> Iterator[Labels | None]:
        """Yield the labels of each row."""
        spans = pairwise([0, *self.ends.tolist()])
        for row, ((start, stop), is_there) in enumerate(
            zip(spans, self.is_there.tolist(), strict=True)
        ):
            own = slice(start, stop)
            extra = (self.problems.get(row, ()), self.regions.get(row, NO_REGIONS))
            yield (
                Labels(self.boxes[own], self.classes[own], self.lines[own], *extra)
                if is_there
                else None
            )


@dataclass(frozen=True)
class BlockReader:
    """Reads the rows of a block, in a child process."""

    reader: LabelReader

    def __call__(self, rows: Sequence[LabelRow]) -> LabelBlock:
        """Return the labels of all rows."""
        return LabelBlock.pack(list(read_rows(self.reader, rows)))


def parallel_reader(workers: int) -> Reader:
    """Return how a label set is read with some child processes."""
    return partial(_read, workers=workers)


def _read(
    reader: LabelReader, rows: Sequence[LabelRow], *, workers: int
) -> Iterator[Labels | None]:
    if workers < 2 or len(rows) < MIN_ROWS:
        return read_rows(reader, rows)
    return _read_blocks(reader, rows, workers=workers)


def _read_blocks(
    reader: LabelReader, rows: Sequence[LabelRow], *, workers: int
) -> Iterator[Labels | None]:
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    found = run_contained(
        BlockReader(reader),
        blocks,
        crashed=lambda block: None,
        workers=workers,
        timeout_s=BLOCK_TIMEOUT_S,
        chunk=1,
    )
    for block, labels in zip(blocks, found, strict=True):
        if labels is None:  # one of its files is to blame; which one shows row by row
            yield from run_contained(reader, block, crashed=_lost, workers=1)
        else:
            yield from labels.unpack()


def _lost(row: LabelRow) -> Labels:
    problem = LabelProblem("L01", row.label_path, 1, 1, "its parser hung or crashed")
    return Labels(NO_LABELS.boxes_cxcywh_unit, NO_LABELS.classes, NO_LABELS.lines, (problem,))


def _joined(parts: Sequence[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([empty, *parts])
