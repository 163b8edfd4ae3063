"""Decodes the pairs of a reader into their places in a file, in several threads.

Which places those are, and when the file counts as finished, is said in `disk_build.py`. Threads do
as well as processes here: decoding and resizing run without Python's lock, and no child process has
to import everything first.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.cache import IS_FILLED, OFFSET
from fusetrain.data.decode import ImageError
from fusetrain.data.reader import PairReader

CHUNK = 64


def fill_pairs(
    reader: PairReader,
    path: Path,
    table: NDArray[np.int64],
    rows: Sequence[int],
    *,
    workers: int,
) -> Generator[tuple[int, int | None], None, None]:
    """Write pairs into a file and yield each with its CRC-32, None where it cannot be read.

    Args:
        reader: Reads the pairs.
        path: The file, as large as it will be.
        table: (N, columns) int64; where each pair lies and its sizes, as in `cache.py`.
        rows: The pairs that are wanted.
        workers: Threads that decode.
    """
    writer = _Writer(reader, path, table)
    executor = ThreadPoolExecutor(workers)
    try:
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            yield from zip(chunk, executor.map(writer.write, chunk), strict=True)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _Writer:
    """Decodes pairs and writes them to their places in a file."""

    def __init__(self, reader: PairReader, path: Path, table: NDArray[np.int64]) -> None:
        self._reader = reader
        self._table = table
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    def write(self, row: int) -> int | None:
        """Return the CRC-32 of a pair that was written; None where it cannot be read."""
        try:
            pixels, original_hw = self._reader.read(row)
        except ImageError:
            return None
        if (*pixels.shape, *original_hw) != tuple(self._table[row, 1:IS_FILLED].tolist()):
            return None
        start = int(self._table[row, OFFSET])
        data = np.ascontiguousarray(pixels)
        self._memory[start : start + data.size] = data.tobytes()
        return zlib.crc32(data.data)
