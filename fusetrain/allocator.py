"""What glibc does with freed memory: given back, it is filled with zeros when next asked for.

Work that allocates the same arrays over and over spends up to half of its time on that. Elsewhere
than on Linux nothing happens.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_EVERYTHING = 2**31 - 1
_LARGEST_BLOCK = 32 * 2**20  # more cannot be asked for
_MOST_UNUSED = 2 * _LARGEST_BLOCK


def keep_freed_memory() -> None:
    """Keep all freed memory in this process, for a training whose steps are all alike."""
    _set({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _EVERYTHING})


def keep_small_blocks() -> None:
    """Keep freed blocks up to 32 MB, 64 MB in all; what a huge picture took is given back."""
    _set({_M_MMAP_THRESHOLD: _LARGEST_BLOCK, _M_TRIM_THRESHOLD: _MOST_UNUSED})


def _set(options: dict[int, int]) -> None:
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)
