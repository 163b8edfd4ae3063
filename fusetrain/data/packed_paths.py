"""Many paths in one blob: a list of strings costs ten times the memory, and a copy a process.

What the paths lead to is told where they are kept, in `index.py` and in the facts of checks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PackedPaths:
    """Many paths in one bytes blob.

    Attributes:
        blob: All paths behind one another, in the encoding of the file system; may be mapped.
        ends: (N,) int64, where each path ends in the blob.
    """

    blob: bytes | memoryview
    ends: NDArray[np.int64]

    @classmethod
    def pack(cls, paths: Sequence[str]) -> PackedPaths:
        """Return the paths in the order given."""
        encoded = [os.fsencode(path) for path in paths]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        ends = np.cumsum(lengths, dtype=np.int64)
        ends.flags.writeable = False
        return cls(b"".join(encoded), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> str:
        if not 0 <= row < len(self.ends):
            raise IndexError(row)
        start = int(self.ends[row - 1]) if row else 0
        return os.fsdecode(bytes(self.blob[start : int(self.ends[row])]))

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))

    def __reduce__(self) -> tuple[type[PackedPaths], tuple[bytes, NDArray[np.int64]]]:
        return PackedPaths, (bytes(self.blob), self.ends)
