"""How busy other programs keep the cores while something is measured."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")


class OtherLoad:
    """Counts from now on what all cores do for others than this process and its ended children."""

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._before = _others_seconds()

    def cores(self) -> float:
        """Return the cores that were busy with others, on average; 0 where nobody tells."""
        return (_others_seconds() - self._before) / (time.perf_counter() - self._since)


def _others_seconds() -> float:
    """Return the seconds that all cores have worked for others; 0 where nobody tells.

    Time that a virtual machine was not given counts as theirs.
    """
    if not STAT.is_file():
        return 0.0
    user, nice, system, _, _, irq, softirq, stolen = map(int, STAT.read_text().split()[1:9])
    busy = (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:4])
