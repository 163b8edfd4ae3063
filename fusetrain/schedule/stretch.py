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
from fusetrain.schedule.curve_time import CurveTime, KeyProblem
from fusetrain.schedule.curves import Compose, Curve, Ramp, blend
from fusetrain.schedule.following import Decision, FollowingCurve
from fusetrain.schedule.making import class_of, curve_from


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
        """Return the factor of the curve, its warmups after restarts included."""
        local, length = self._local(step)
        factor = self.curve.factor(local, length)
        rewarm_at = getattr(self.curve, "rewarm_at", None)
        if rewarm_at and (rewarm := rewarm_at(local, length)):
            ramp = replace(self.ramp, steps=rewarm[1])
            factor *= blend(self.start, 1.0, ramp.progress(rewarm[0]))
        return factor

    def factor(self, step: int) -> float:
        """Return the factor of warmup and curve together."""
        return blend(self.start, 1.0, self.ramp.progress(step)) * self.main(step)

    @property
    def moves_momentum(self) -> bool:
        """Return whether the curve moves the momentum."""
        return bool(getattr(self.curve, "moves_momentum", False))

    def momentum(self, step: int) -> float | None:
        """Return the momentum of the curve; None where it leaves it alone."""
        if not self.moves_momentum:
            return None
        found: float | None = self.curve.momentum(*self._local(step))  # type: ignore[attr-defined]
        return found

    @property
    def warmup_steps(self) -> int:
        """Return the length of the warmup, be it the curve's own."""
        own: int = getattr(self.curve, "warm_end", lambda _: 0)(self._local(0)[1])
        return self.ramp.steps or own

    @property
    def restarts(self) -> tuple[int, ...]:
        """Return the steps of the run at which the curve jumps back to a peak."""
        _, length = self._local(0)
        found = getattr(self.curve, "restarts", lambda _: ())(length)
        starts = (self._begin + start for start in found)
        return tuple(start for start in starts if start < self.total_steps)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the curve says of settings that are used otherwise than written."""
        found: tuple[str, ...] = getattr(self.curve, "notes", lambda _: ())(self._local(0)[1])
        return found

    def decided(self, decisions: Sequence[Decision]) -> Shape:
        """Return the shape with what a curve that follows the run has decided."""
        if not isinstance(self.curve, FollowingCurve):
            return self
        return replace(self, curve=self.curve.decided(decisions))

    @property
    def _begin(self) -> int:
        return self.ramp.steps if self.compose == "shift" else 0

    def _local(self, step: int) -> tuple[int, int]:
        """Return the step and the length of the curve, in its own time."""
        length = self.total_steps - self._begin
        if self.unit == "epoch":
            # Held for an epoch at its start; p = e / T, so the end lies one step behind the run.
            step, length = step - step % self.steps_per_epoch, length + 1
        return max(0, step - self._begin), length


@dataclass(frozen=True)
class Stretch:
    """The shapes, by part, that hold from a step of the run on; None stands for all others."""

    from_step: int
    shapes: Mapping[str | None, Shape]

    def decided(self, decisions: Sequence[Decision]) -> Stretch:
        """Return the stretch with what curves that follow the run have decided."""
        shapes = {part: shape.decided(decisions) for part, shape in self.shapes.items()}
        return Stretch(self.from_step, shapes)


def make_stretch(
    settings: ScheduleSettings,
    wanted: Mapping[str | None, int],
    change: PlanChange,
    *,
    lr0: float,
    steps_per_epoch: int,
) -> Stretch:
    """Make the shapes of one planned length of the run; every warmup is cut to fit it."""
    warmup = settings.warmup or WarmupSettings()
    longest = max(0, change.epochs * steps_per_epoch - 2)
    if warmup.within_epoch:
        longest = min(longest, steps_per_epoch - 1)
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
    own = getattr(class_of(settings.name), "compose", "shift")
    compose = cast(Compose, warmup.compose or own)
    begin = warmup_steps if compose == "shift" else 0
    time = replace(time, begin=begin, warmup=warmup_steps)
    curve, problems = curve_from(settings, time=time, lr0=lr0)
    raise_problems(problems)
    assert curve is not None
    peak_end = getattr(curve, "peak_end", lambda: None)()
    if compose == "overlap" and peak_end is not None:
        warmup_steps = min(warmup_steps, peak_end)
    return Shape(
        curve=curve,
        ramp=Ramp(
            warmup_steps,
            curve=warmup.curve,
            gamma=warmup.gamma,
            align=warmup.align,
            hold=time.steps_per_epoch if warmup.unit == "epoch" else 1,
        ),
        start=warmup.start,
        compose=compose,
        unit=settings.unit,
        total_steps=int(time.epochs) * time.steps_per_epoch,
        steps_per_epoch=time.steps_per_epoch,
    )


def raise_problems(problems: Sequence[KeyProblem]) -> None:
    """Raise one ConfigError with all problems, where there are any."""
    if problems:
        raise ConfigError(
            "the schedule cannot be planned",
            problems=[
                Problem(message, where=".".join(("schedule", *map(str, keys))))
                for keys, message in problems
            ],
        )
