"""Warmup and curve together, for one planned length of the run.

A shape is the factor of one part of the model; a stretch holds the shapes of all parts from a
step of the run on. Base rates, groups and momentum are the business of `plan.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from fusetrain.config.schema import PlanChange, ScheduleSettings, WarmupSettings
from fusetrain.errors import ConfigError, Problem
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.curves import Compose, Curve, Ramp, blend
from fusetrain.schedule.options import CurveTime, KeyProblem, curve_from


@dataclass(frozen=True)
class Shape:
    """Warmup and curve of one part, for one planned length of the run."""

    curve: Curve
    ramp: Ramp
    start: float
    compose: Compose
    unit: Literal["step", "epoch"]
    total_steps: int
    steps_per_epoch: int

    def main(self, step: int) -> float:
        """Return the factor of the curve alone."""
        begin = self.ramp.steps if self.compose == "shift" else 0
        length = self.total_steps - begin
        if self.unit == "epoch":
            # Held for an epoch at its start; p = e / T, so the end lies one step behind the run.
            step, length = step - step % self.steps_per_epoch, length + 1
        return self.curve.factor(max(0, step - begin), length)

    def factor(self, step: int) -> float:
        """Return the factor of warmup and curve together."""
        return blend(self.start, 1.0, self.ramp.progress(step)) * self.main(step)


@dataclass(frozen=True)
class Stretch:
    """The shapes, by part, that hold from a step of the run on; None stands for all others."""

    from_step: int
    shapes: Mapping[str | None, Shape]


def make_stretch(
    settings: ScheduleSettings,
    wanted: Mapping[str | None, int],
    change: PlanChange,
    *,
    lr0: float,
    steps_per_epoch: int,
) -> Stretch:
    """Make the shapes of one planned length of the run; every warmup is cut to fit it."""
    longest = max(0, change.epochs * steps_per_epoch - 2)
    shapes = {
        part: _shape(
            settings,
            min(steps, longest),
            lr0=lr0,
            time=CurveTime(change.epochs, steps_per_epoch),
        )
        for part, steps in wanted.items()
    }
    return Stretch(change.from_step, shapes)


def _shape(settings: ScheduleSettings, warmup_steps: int, *, lr0: float, time: CurveTime) -> Shape:
    warmup = settings.warmup or WarmupSettings()
    own = getattr(SCHEDULES.get(settings.name), "compose", "shift")
    compose = cast(Compose, warmup.compose or own)
    begin = warmup_steps if compose == "shift" else 0
    curve, problems = curve_from(settings, time=replace(time, begin=begin), lr0=lr0)
    raise_problems(problems)
    assert curve is not None
    return Shape(
        curve=curve,
        ramp=Ramp(warmup_steps, curve=warmup.curve, gamma=warmup.gamma, align=warmup.align),
        start=warmup.start,
        compose=compose,
        unit=settings.unit,
        total_steps=time.epochs * time.steps_per_epoch,
        steps_per_epoch=time.steps_per_epoch,
    )


def raise_problems(problems: Sequence[KeyProblem]) -> None:
    """Raise one ConfigError with all problems, where there are any."""
    if problems:
        raise ConfigError(
            "the schedule cannot be planned",
            problems=[
                Problem(message, where=".".join(("schedule", *keys))) for keys, message in problems
            ],
        )
