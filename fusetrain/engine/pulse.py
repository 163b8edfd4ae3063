"""What can be seen of a running training from outside: losses, rates, wait for data, memory.

Nothing here changes what is trained; only `losses` waits for the device.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

import torch

from fusetrain.engine.step import StepRunner
from fusetrain.sample import Batch
from fusetrain.schedule.plan import GroupKey

STATM = Path("/proc/self/statm")
Batches = Callable[[int, int], Generator[Batch, None, None]]


class Pulse:
    """Follows a training through its phases, each of which has a runner of its own.

    Attributes:
        waited: Seconds that it waited for its batches, in all.
    """

    def __init__(self) -> None:
        self.waited = 0.0
        self._runner: StepRunner | None = None
        self._groups: Sequence[GroupKey] = ()

    def enter(self, runner: StepRunner, groups: Sequence[GroupKey]) -> None:
        """Look at this runner from now on; ``groups`` are those of its optimizer."""
        self._runner, self._groups = runner, groups

    def losses(self) -> list[float]:
        """Return box, class and distribution loss of this rank's last step; empty if skipped."""
        if self._runner is None:
            return []
        *sums, pairs = self._runner.loss_sums.tolist()
        return [value / pairs for value in sums] if pairs else []

    def rates(self) -> list[tuple[GroupKey, float]]:
        """Return the learning rate of each parameter group."""
        groups = [] if self._runner is None else self._runner.optimizer.param_groups
        rates = [float(group["lr"]) for group in groups]
        return list(zip(self._groups, rates, strict=True))

    def timed(self, batches: Batches) -> Batches:
        """Return the same batches; the time that each of them takes to come is counted."""

        def timed_batches(epoch: int, first_batch: int) -> Generator[Batch, None, None]:
            with closing(batches(epoch, first_batch)) as source:
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
