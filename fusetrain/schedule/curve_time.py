"""How the epochs of a config become optimizer steps of a curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from fusetrain.schedule.curves import EpochValued

# More than any run has; a float can hold numbers whose products it cannot.
MOST_EPOCHS = 1e9
MOST_STEPS = 1e15
KeyProblem = tuple[tuple[str | int, ...], str]
"""Key path below `schedule`, and what is wrong there."""


@dataclass(frozen=True)
class CurveTime:
    """What turns epochs into steps of a curve.

    Attributes:
        epochs: Epochs of the run.
        steps_per_epoch: Optimizer steps of one epoch.
        begin: Step of the run at which the curve starts.
        warmup: Optimizer steps of the warmup before or over the curve.
        is_known: Whether this is the time of a run, not a stand-in to check settings with.
    """

    epochs: float
    steps_per_epoch: int
    begin: int = 0
    warmup: int = 0
    is_known: bool = True

    @property
    def length(self) -> int:
        """Return the optimizer steps of the curve."""
        return max(1, round(self.epochs * self.steps_per_epoch) - self.begin)


def in_steps(value: Any, time: CurveTime, *, marks: EpochValued) -> Any:
    """Return a number of epochs or ``{steps: N}``, or a list of such, in steps of the curve.

    Raises:
        ValueError: It is neither.
    """
    if value is None:
        return None
    if isinstance(value, list):
        return [in_steps(item, time, marks=marks) for item in value]
    steps = length_in_steps(value, time.steps_per_epoch)
    return steps - time.begin if marks.origin == "run" else steps


def length_in_steps(value: Any, steps_per_epoch: int) -> int:
    """Return a number of epochs or ``{steps: N}`` in steps, rounded to the nearest.

    Raises:
        ValueError: It is neither, or negative.
    """
    expected = f"should be a number of epochs or {{steps: N}}, at least 0, not {value!r}"
    if isinstance(value, Mapping):
        steps = value.get("steps")
        if set(value) != {"steps"} or not is_amount(steps) or steps != int(steps):
            raise ValueError(expected)
        if steps > MOST_STEPS:
            raise ValueError(expected)
        return int(steps)
    if not is_amount(value) or value > MOST_EPOCHS:
        raise ValueError(expected)
    return math.floor(value * steps_per_epoch + 0.5)


def is_amount(value: Any) -> TypeGuard[int | float]:
    """Return whether a value of a config is a finite number of at least 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0
