"""What memory processes need at most, as the system tells it.

Linux keeps the high-water mark of the resident memory of each process (VmHWM in /proc); the marks
of those that live at the same time are added up, so that shared pages count once for each. Where
there is no /proc, nothing is known and all is 0. Nothing of ours is imported here: scripts that run
in the environment of the peer use it as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
INTERVAL_S = 0.2
HIGH_WATER, NOW = "VmHWM:", "VmRSS:"


class PeakMemory:
    """Looks at a process from time to time for as long as the ``with`` block lasts.

    Args:
        pid: Of the process.

    Attributes:
        mib: The highest sum so far, MiB; 0 where the system does not tell.
    """

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(INTERVAL_S):
            self.mib = max(self.mib, sum(memory_mib(pid, HIGH_WATER) for pid in tree_of(self._pid)))


def tree_of(pid: int) -> Iterator[int]:
    """Yield a process and those that it and its children started, as far as they live."""
    yield pid
    with suppress(OSError):  # it has ended meanwhile
        for task in (PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree_of(int(child))


def memory_mib(pid: int, kind: str = NOW) -> float:
    """Return the memory that a process holds, or held at most, MiB; 0 where nobody tells."""
    with suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith(kind):
                return int(line.split()[1]) / 1024
    return 0.0
