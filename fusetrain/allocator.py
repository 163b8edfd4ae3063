"""What glibc does with freed memory: given back, it is filled with zeros when next asked for.

Work that allocates the same arrays over and over spends up to half of its time on that. What is
kept can lie in huge pages of 2 MB, whose addresses the processor looks up 512 times less often.
Elsewhere than on Linux nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_EVERYTHING = -1  # as the largest number without a sign
_LARGEST_BLOCK = 32 * 2**20  # more cannot be asked for
_MOST_UNUSED = 2 * _LARGEST_BLOCK

_MADV_HUGEPAGE = 14
_MADV_COLLAPSE = 25
_HUGE_PAGE = 2 * 2**20
_MOST_IN_HUGE_PAGES = 8 * 2**30
_MAPS = Path("/proc/self/maps")
_OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")
_NEVER = "2"  # whatever is asked for counts, touched or not


def keep_freed_memory() -> None:
    """Keep all freed memory in this process, for a training whose steps are all alike.

    It lies in huge pages from now on, where the system has some.
    """
    if _set({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _EVERYTHING}):
        _use_huge_pages()


def keep_small_blocks() -> None:
    """Keep freed blocks up to 32 MB, 64 MB in all; what a huge picture took is given back."""
    _set({_M_MMAP_THRESHOLD: _LARGEST_BLOCK, _M_TRIM_THRESHOLD: _MOST_UNUSED})


def _set(options: dict[int, int]) -> bool:
    """Set options of malloc; return whether it has any."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)
    return mallopt is not None


def _use_huge_pages() -> None:
    """Move the heap into huge pages, and extend it by addresses that are to become some.

    These take no memory before they are written to; nothing is done where addresses are limited or
    count as memory.
    """
    import resource

    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    if any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits):
        return
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    try:
        if _OVERCOMMIT.read_text(encoding="ascii").strip() == _NEVER:
            return
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        block = libc.malloc(min(_MOST_IN_HUGE_PAGES, physical // 2))
        begin, end = _heap()
    except (OSError, ValueError):
        return
    if block is not None and begin <= block < end:
        first, now, last = (-(-place // _HUGE_PAGE) * _HUGE_PAGE for place in (begin, block, end))
        libc.madvise(first, last - _HUGE_PAGE - first, _MADV_HUGEPAGE)
        # What is free of the heap of now is used as well; kernels before 6.1 move it by and by.
        libc.madvise(first, now - first, _MADV_COLLAPSE)
    libc.free(block)


def _heap() -> tuple[int, int]:
    """Return between which addresses the heap lies; (0, 0) if unknown."""
    for area in _MAPS.read_text(encoding="ascii", errors="replace").splitlines():
        if area.endswith("[heap]"):
            begin, _, end = area.split()[0].partition("-")
            return int(begin, 16), int(end, 16)
    return 0, 0
