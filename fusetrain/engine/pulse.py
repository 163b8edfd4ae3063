"""What can be seen of a running training from outside: its wait for data, its memory.

Nothing here changes what is trained, and nothing waits for the device.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import torch

from fusetrain.sample import Batch

STATM = Path("/proc/self/statm")
Batches = Callable[[int, int], Iterator[Batch]]


class Pulse:
    """Counts how long a training waits for its batches.

    Attributes:
        waited: Seconds in all.
    """

    def __init__(self) -> None:
        self.waited = 0.0

    def timed(self, batches: Batches) -> Batches:
        """Return the same batches; the time that each of them takes to come is counted."""

        def timed_batches(epoch: int, first_batch: int) -> Generator[Batch, None, None]:
            source = batches(epoch, first_batch)
            # Loaders end their workers when they are closed; plain iterators have nothing to end.
            with closing(source) if isinstance(source, Generator) else nullcontext():
                while True:
                    start = time.perf_counter()
                    batch = next(source, None)
                    self.waited += time.perf_counter() - start
                    if batch is None:
                        return
                    yield batch

        return timed_batches


def memory_in_use(device: torch.device) -> int | None:
    """Return bytes: what torch holds on a GPU, else what this process holds; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    try:
        pages = int(STATM.read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
