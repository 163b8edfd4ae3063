"""Freed memory that is kept is not filled anew, and lies in huge pages; else it is given back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import resource, sys
from pathlib import Path
import numpy as np
from fusetrain import allocator

def faults(megabytes, arrays=6, times=20):
    count = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    before = count()
    for _ in range(times):
        [np.ones(megabytes << 17) for _ in range(arrays)]
    return (count() - before) / times / arrays / (megabytes << 8)

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) >> 8

if sys.argv[1] != "as it is":
    getattr(allocator, sys.argv[1])()
start = resident_mb()
small = faults(8)
np.ones(200 << 17)
print(small, resident_mb() - start)
"""

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HUGE_PROBE = """
import resource, sys
from pathlib import Path
import numpy as np
from fusetrain import allocator

if sys.argv[1:]:
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
allocator.keep_freed_memory()
kept = np.ones(64 << 17)
lines = [line.split() for line in Path("/proc/self/smaps").read_text().splitlines()]
resident = [int(line[1]) >> 10 for line in lines if line[0] == "Rss:"]
flags = [line[1:] for line in lines if line[0] == "VmFlags:"]
print(sum(size for size, flag in zip(resident, flags, strict=True) if "hg" in flag))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is asked on Linux alone")
@pytest.mark.parametrize(
    ("asked", "keeps_small", "keeps_large"),
    [
        ("as it is", False, False),
        ("keep_small_blocks", True, False),
        ("keep_freed_memory", True, True),
    ],
)
def test_freed_memory_is_kept_as_asked(asked: str, keeps_small: bool, keeps_large: bool) -> None:
    """Pages that are filled again, of all pages of some arrays; and what stays of a large one."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, asked],
        env={"PATH": "", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=0", "NUMPY_MADVISE_HUGEPAGE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    small, resident_mb = map(float, done.stdout.split())
    assert (small < 0.1) is keeps_small
    assert (resident_mb > 150) is keeps_large


@pytest.mark.skipif(not HUGE_PAGES.exists(), reason="this kernel has no transparent huge pages")
def test_kept_memory_is_to_lie_in_huge_pages_unless_addresses_are_limited() -> None:
    assert meant_for_huge_pages_mb() > 60
    assert meant_for_huge_pages_mb("limited") == 0


def meant_for_huge_pages_mb(*args: str) -> int:
    """Return how much of the memory of a process that keeps 64 MB is meant for huge pages."""
    done = subprocess.run(
        [sys.executable, "-c", HUGE_PROBE, *args],
        env={"PATH": "", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=0", "NUMPY_MADVISE_HUGEPAGE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)
