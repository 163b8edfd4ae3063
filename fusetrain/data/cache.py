"""Decoded pairs in memory that forked loader workers share, filled as pairs are first read.

The cache changes how fast a pair comes, never its pixels: it holds what reading the files gave, and
a pair that does not fit is simply read again. It is not kept between runs; `disk_cache.py` is.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fusetrain.errors import ResourceError

MEMORY_SHARE = 0.4  # of free memory, at most
UNASKED_SHARE = 0.25  # likewise, where nobody asked for a cache
LOCK_SECONDS = 5.0
CGROUP = Path("/sys/fs/cgroup")
# Columns of the table of contents.
OFFSET, HEIGHT, WIDTH, CHANNELS, ORIGINAL_HEIGHT, ORIGINAL_WIDTH, IS_FILLED = range(7)

Entry = tuple[NDArray[np.uint8], tuple[int, int]]


class PairStore(Protocol):
    """Where a reader keeps decoded pairs; it may forget any of them."""

    def get(self, number: int) -> Entry | None:
        """Return pixels (H, W, C), a view to be left as it is, and original height and width."""
        ...

    def put(
        self, number: int, pixels: NDArray[np.uint8], original_size_hw: tuple[int, int]
    ) -> bool:
        """Store a pair if there is room; return whether it was stored."""
        ...


class PairCache:
    """An arena of shared memory that takes decoded pairs until it is full.

    Pages are only taken from the system as they are filled. A copy in a spawned (not forked)
    process holds nothing and stores nothing.

    Args:
        num_pairs: Pairs that may be stored, numbered from 0.
        capacity_bytes: Size of the arena.
    """

    def __init__(self, num_pairs: int, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._lock = multiprocessing.Lock()
        self._is_stuck = False
        self.lock_seconds = LOCK_SECONDS
        contents = mmap.mmap(-1, max(1, num_pairs) * 7 * 8 + 8)
        self._used_bytes = np.frombuffer(contents, np.int64, 1)
        self._contents = np.frombuffer(contents, np.int64, num_pairs * 7, 8).reshape(num_pairs, 7)
        self._arena = np.frombuffer(mmap.mmap(-1, max(1, capacity_bytes)), np.uint8)

    @property
    def used_bytes(self) -> int:
        """Return how much of the arena is taken."""
        return int(self._used_bytes[0])

    def __len__(self) -> int:
        return int(self._contents[:, IS_FILLED].sum())

    def get(self, number: int) -> Entry | None:
        """Return pixels (H, W, C), a view to be left as it is, and original height and width."""
        if number >= len(self._contents) or not self._contents[number, IS_FILLED]:
            return None
        row = self._contents[number].tolist()
        shape = (row[HEIGHT], row[WIDTH], row[CHANNELS])
        start = row[OFFSET]
        pixels = self._arena[start : start + shape[0] * shape[1] * shape[2]].reshape(shape)
        return pixels, (row[ORIGINAL_HEIGHT], row[ORIGINAL_WIDTH])

    def put(
        self, number: int, pixels: NDArray[np.uint8], original_size_hw: tuple[int, int]
    ) -> bool:
        """Store a pair; return False where there is no room, or it is there already.

        Args:
            number: Number of the pair.
            pixels: (H, W, C) uint8.
            original_size_hw: What `get` returns beside the pixels.
        """
        start = self._reserve(number, pixels.size)
        if start is None:
            return False
        self._arena[start : start + pixels.size] = pixels.reshape(-1)
        row = self._contents[number]
        row[:IS_FILLED] = (start, *pixels.shape, *original_size_hw)
        row[IS_FILLED] = 1
        return True

    def _reserve(self, number: int, num_bytes: int) -> int | None:
        if number >= len(self._contents) or self._contents[number, IS_FILLED]:
            return None
        # A worker killed while it held the lock must not stop the others.
        if self._is_stuck or not self._lock.acquire(timeout=self.lock_seconds):
            self._is_stuck = True
            return None
        try:
            start = self.used_bytes
            if start + num_bytes > self.capacity_bytes:
                return None
            self._used_bytes[0] = start + num_bytes
            return start
        finally:
            self._lock.release()

    def __reduce__(self) -> tuple[type[PairCache], tuple[int, int]]:
        return PairCache, (0, 0)


def most_bytes(num_pairs: int, long_side: int) -> int:
    """Return what decoded pairs of at most ``long_side`` px take at most, in bytes."""
    return num_pairs * long_side * long_side * 4


def cache_for(num_pairs: int, long_side: int, *, share: float = 1.0) -> PairCache:
    """Return an empty cache for pairs of ``long_side`` px, in at most MEMORY_SHARE of free memory.

    Pairs that do not fit are read from their files each time.

    Args:
        num_pairs: Pairs that it may hold.
        long_side: Of each of them, px.
        share: What this cache may take of what all caches of this host together may take.

    Raises:
        ResourceError: The system does not even promise that memory.
    """
    allowed = int(share * MEMORY_SHARE * free_memory_bytes())
    capacity_bytes = min(most_bytes(num_pairs, long_side), allowed)
    try:
        return PairCache(num_pairs, capacity_bytes)
    except (OSError, OverflowError) as error:
        raise ResourceError(
            f"no memory for a cache of {num_pairs} pairs ({capacity_bytes / 1e9:.1f} GB): {error}",
            remedy="set `train.cache: none`",
        ) from error


def free_memory_bytes() -> int:
    """Return the memory this process may still take: that of the machine or of its cgroup."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
        limit = (CGROUP / "memory.max").read_text().strip()
        if limit != "max":
            free = min(free, int(limit) - int((CGROUP / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(0, free)
