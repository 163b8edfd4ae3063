"""A schedule that listens: its warmup follows the loss, its restarts follow the gradients.

**Warmup.** It is planned as a straight ramp of ``warm`` steps. Ten times on the way (every
``warm / 10`` steps, at least 5) the smoothed loss is held against what it was at the look
before:
- it fell by more than ``tolerance`` (a share): the network bears the rate, the ramp runs
  ``1 / shortest`` times as fast;
- it rose by more than ``tolerance``, or a step was skipped as not finite: the ramp waits;
- else the ramp runs as planned.
So the warmup lasts at least ``shortest * warm`` and, because the time for waiting is limited, at
most ``longest * warm`` steps, and the rate never jumps. The smoothed loss is the mean of the steps
so far and, from as many steps on as lie between two looks, their exponential average.

**After it** the curve named by ``then`` runs on the rest of the run; a curve that is composed by
overlap runs from step 0 and is multiplied by the ramp.

**Restarts**, where ``restart`` names the length of the first cycle: ``then`` runs anew in each
cycle. At its end the mean gradient norm of its first half is divided by that of its second half. A
quotient above 1 says that the gradients shrank and the rate still led to somewhere: the next cycle
is longer by that quotient, else shorter; by 2 at most at a time, and between a quarter and four
times the first cycle in all. A rest of the run too short for half a cycle more is given to the
cycle before, so that the run ends at the floor.

Everything is decided from numbers that all ranks share, without chance or clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

from pydantic import Field

from fusetrain.config.schema import Fraction, NonNegative
from fusetrain.schedule.adaptive_observer import (
    CYCLE,
    LEAST_LOOK,
    LOOKS,
    RAMP,
    AdaptiveObserver,
    Cycle,
    next_length,
)
from fusetrain.schedule.curves import (
    Cosine,
    Curve,
    another_curve,
    blend,
    in_epochs,
    no_setting,
)
from fusetrain.schedule.decays import Length, Period, Share
from fusetrain.schedule.following import Decision, at_step

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Adaptive:
    """A warmup that follows the loss, another curve, restarts that follow the gradients.

    See the top of this file for the rules.

    Attributes:
        warm: Planned length of the warmup; 3 epochs where a config names none, in short runs less.
        shortest: Least length of the warmup as a share of the planned one.
        longest: Largest length of the warmup as a multiple of the planned one.
        tolerance: Change of the smoothed loss, as a share, that counts as none.
        start: Share of lr0 where the ramp starts.
        then: The curve after the warmup.
        restart: Length of the first cycle; None runs ``then`` once.
        decisions: What was decided so far; no setting.
    """

    own_warmup: ClassVar[bool] = True

    warm: Length = field(
        default=0, metadata=in_epochs(default=lambda epochs: min(3.0, epochs / 10))
    )
    shortest: Share = 0.25
    longest: Annotated[float, Field(ge=1.0)] = 2.0
    tolerance: NonNegative = 0.02
    start: Fraction = 0.001
    then: Curve = field(default=Cosine(), metadata=another_curve("cosine"))
    restart: Period | None = field(default=None, metadata=in_epochs())
    decisions: tuple[Decision, ...] = field(default=(), metadata=no_setting())

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        ramp = blend(self.start, 1.0, self.progress(step, total_steps))
        if self._overlaps:
            return ramp * self.then.factor(step, total_steps)
        end = self.warm_end(total_steps)
        if step < end:
            return ramp * self.then.factor(0, max(1, total_steps - end))
        cycle = self.cycle_at(step, total_steps)
        return self.then.factor(step - cycle.start, cycle.length)

    @property
    def moves_momentum(self) -> bool:
        """Return whether the curve after the warmup moves the momentum."""
        return getattr(self.then, "moves_momentum", False)

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the momentum of the curve after the warmup; None where it moves none."""
        if not self.moves_momentum:
            return None
        cycle = Cycle(0, total_steps)
        if not self._overlaps:
            cycle = self.cycle_at(max(step, self.warm_end(total_steps)), total_steps)
        found: float | None = self.then.momentum(  # type: ignore[attr-defined]
            max(0, step - cycle.start), cycle.length
        )
        return found

    def restarts(self, total_steps: int) -> tuple[int, ...]:
        """Return the first steps of all cycles but the first, as far as they are known."""
        starts: list[int] = []
        at = self.warm_end(total_steps)
        while self.restart is not None and not self._overlaps and at < total_steps:
            cycle = self.cycle_at(at, total_steps)
            starts.append(cycle.start)
            at = cycle.start + cycle.length
        return tuple(starts[1:])

    def decided(self, decisions: Sequence[Decision]) -> Adaptive:
        """Return the curve with these decisions."""
        return replace(self, decisions=tuple(decisions))

    def observer(self, total_steps: int) -> AdaptiveObserver:
        """Return what watches losses and gradients."""
        return AdaptiveObserver(self, total_steps)

    def extremes(
        self, total_steps: int, *, steps_per_epoch: int
    ) -> Mapping[str, Sequence[Decision]]:
        """Return the shortest and the longest warmup."""
        warm = self.planned_warm(total_steps)
        if not warm:
            return {}
        every = self.look_every(total_steps)
        waiting = self.waiting(total_steps) // every * every
        first = 2 * every  # the first look has nothing to compare with
        fast = [Decision(first, RAMP, 1.0 / self.shortest)]
        slow = [Decision(first, RAMP, 0.0), Decision(first + waiting, RAMP, 1.0)]
        return {"if the loss falls from the start": fast, "if the loss rises at first": slow}

    def reason(self, decision: Decision, *, lr0: float) -> str:
        """Return how the warmup goes on, or how long the next cycle is, and why."""
        if decision.kind == CYCLE:
            return f"a cycle of {decision.value:g} steps, as the gradients of the last one suggest"
        if not decision.value:
            return "the warmup waits: the loss rose, or a step was skipped"
        if decision.value == 1.0:
            return "the warmup goes on as planned"
        return f"the warmup runs {decision.value:g} times as fast: the loss falls"

    def planned_warm(self, total_steps: int) -> int:
        """Return the planned length of the warmup, cut so that the longest one fits the run."""
        return min(self.warm, max(0, int((total_steps - 2) / self.longest)))

    def look_every(self, total_steps: int) -> int:
        """Return the steps from one look at the loss to the next."""
        return max(LEAST_LOOK, self.planned_warm(total_steps) // LOOKS)

    def waiting(self, total_steps: int) -> int:
        """Return the number of steps for which the ramp may wait in all."""
        return int((self.longest - 1.0) * self.planned_warm(total_steps))

    def notes(self, total_steps: int) -> tuple[str, ...]:
        """Return what a reader of a plan has to know."""
        planned = self.planned_warm(total_steps)
        if planned == self.warm:
            return ()
        cut = f"from {self.warm} to {planned} of {total_steps} steps"
        return (f"the planned warmup is cut {cut}, so that the longest one fits the run",)

    def progress(self, step: int, total_steps: int) -> float:
        """Return how far the ramp is at a step of the run, from 0 to 1."""
        warm = self.planned_warm(total_steps)
        if not warm:
            return 1.0
        done = sum(
            rate * (min(step + 1, end) - begin)
            for begin, end, rate in self._rates()
            if begin <= step
        )
        return 1.0 if done >= warm - TOLERANCE else done / warm

    def warm_end(self, total_steps: int) -> int:
        """Return the first step after the warmup, as far as it is decided."""
        left = self.planned_warm(total_steps) - TOLERANCE
        if left <= 0.0:
            return 0
        for begin, end, rate in self._rates():
            if rate and left <= rate * (end - begin):
                return begin + math.ceil(left / rate)
            left -= rate * (end - begin) if rate else 0.0
        return total_steps

    def cycle_at(self, step: int, total_steps: int) -> Cycle:
        """Return the cycle that a step after the warmup lies in, as far as it is decided."""
        end = self.warm_end(total_steps)
        if self.restart is None:
            return Cycle(end, max(1, total_steps - end))
        first = Cycle(end, next_length(self.restart, total_steps - end))
        chosen = at_step([d for d in self.decisions if d.kind == CYCLE], step)
        cycle = Cycle(chosen.step, int(chosen.value)) if chosen else first
        while step >= cycle.start + cycle.length:
            start = cycle.start + cycle.length
            cycle = Cycle(start, next_length(cycle.length, max(1, total_steps - start)))
        return cycle

    @property
    def _overlaps(self) -> bool:
        return getattr(self.then, "compose", "shift") == "overlap"

    def _rates(self) -> list[tuple[int, float, float]]:
        """Return (first step, step behind the last, speed) of each stretch of the ramp."""
        changes = [Decision(0, RAMP, 1.0), *(d for d in self.decisions if d.kind == RAMP)]
        ends = [*(change.step for change in changes[1:]), math.inf]
        return [(change.step, end, change.value) for change, end in zip(changes, ends, strict=True)]
