"""Which pairs were taken in the dark, told from the brightness of the visible image.

`prepare split` deals dark pairs evenly and `val --by` scores them by themselves; both mean the same
by it. Nothing is a finding here.
Shape legend: N pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.flow.measuring import PIXELS, Effort, measure
from fusetrain.checks.flow.tasks import all_tasks
from fusetrain.checks.images import PairFacts
from fusetrain.data.index import DatasetIndex

# Mean luma in levels below which a visible image is dark. Most night images are; those of a camera
# that brightens the night are not.
DARK_BELOW = 55.0


def dark_pairs(
    index: DatasetIndex, *, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.bool_]:
    """Decode all pairs of a split in child processes and return (N,) which are dark."""
    tasks = all_tasks([index])
    return are_dark(measure(PIXELS, tasks, effort=Effort(progress=progress, total=len(tasks))))


def are_dark(facts: Iterable[PairFacts]) -> NDArray[np.bool_]:
    """Return (N,) which of the measured pairs are dark; those that cannot be read are not."""
    return np.array([_is_dark(fact) for fact in facts], np.bool_)


def _is_dark(fact: PairFacts) -> bool:
    if fact.rgb is None or not fact.rgb.means:
        return False
    return float(np.frombuffer(fact.rgb.means, np.uint8).mean()) < DARK_BELOW
