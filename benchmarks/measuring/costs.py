"""A cost at several sizes and how it grows, what work takes of a processor, what an index holds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fusetrain.data.index import DatasetIndex, PackedPaths

ROUNDS = 3
HEADER = ("cost", "over", "from", "to", "at first", "at last", "exponent")


@dataclass(frozen=True)
class Growth:
    """What a cost is at several sizes.

    Attributes:
        cost: What is measured, with its unit.
        over: What grows.
        sizes: How large that is, ascending.
        costs: What it costs.
    """

    cost: str
    over: str
    sizes: Sequence[int]
    costs: Sequence[float]

    @property
    def exponent(self) -> float:
        """Return the slope of the logarithms over the upper half of the sizes."""
        half = min(len(self.sizes) // 2, len(self.sizes) - 2)
        sizes, costs = np.log(self.sizes[half:]), np.log(np.maximum(self.costs[half:], 1e-9))
        return float(np.polyfit(sizes, costs, 1)[0])

    def row(self) -> tuple[str, ...]:
        """Return the row of the table."""
        ends = (f"{size:,}" for size in (self.sizes[0], self.sizes[-1]))
        costs = (f"{cost:.3g}" for cost in (self.costs[0], self.costs[-1]))
        return (self.cost, self.over, *ends, *costs, f"{self.exponent:.2f}")


def index_mib(index: DatasetIndex) -> float:
    """Return the memory of the arrays of an index, packed paths among them."""
    total = 0
    for name in index.__dataclass_fields__:
        column = getattr(index, name)
        for part in (column.blob, column.ends) if isinstance(column, PackedPaths) else (column,):
            total += len(part) if isinstance(part, bytes) else getattr(part, "nbytes", 0)
    return total / 2**20


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the median milliseconds of the processor that a piece of work takes."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return 1e3 * statistics.median(seconds)
