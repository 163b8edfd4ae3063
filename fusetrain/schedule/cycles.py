"""Curves that rise again or move the momentum too: warm restarts, one cycle, triangles.

Each is a frozen dataclass as `curves.py` describes it: a pure function of the step, without torch.
Steps and cycles are integers, so that no rounding moves a restart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fusetrain.config.schema import Fraction
from fusetrain.schedule.curves import Compose, blend, in_epochs, or_as_rate
from fusetrain.schedule.decays import LAST, Length, Period, Share

Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]
MAX_RESTARTS = 1000


@dataclass(frozen=True)
class CosineRestarts:
    """Cosines one after another (Loshchilov and Hutter, 2017: SGDR).

    In a cycle of T steps that starts at the peak h: ``r + (h - r) (1 + cos(pi t / T)) / 2``, as
    torch's CosineAnnealingWarmRestarts; h = decay ** cycle, at least r.

    Attributes:
        t0: Length of the first cycle; a third of the run, in whole epochs, where none is named.
        t_mult: Factor from the length of one cycle to that of the next.
        decay: Factor from the peak of one cycle to that of the next.
        rewarm: Length of a warmup at each restart, shaped as the `warmup`; the cosine of the cycle
            runs on the rest. At most T - 2 steps.
        lrf: Floor as a share of lr0; ``eta_min`` gives it as a rate.
    """

    t0: Period = field(default=1, metadata=in_epochs(default=lambda epochs: math.ceil(epochs / 3)))
    t_mult: Period = 1
    decay: Share = 1.0
    rewarm: Length = field(default=0, metadata=in_epochs())
    lrf: Fraction = field(default=LAST, metadata=or_as_rate("eta_min"))

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        cycle, start, length = self._cycle(step)
        rewarm = self._rewarm(length) if cycle else 0
        progress = max(0, step - start - rewarm) / (length - rewarm)
        peak = max(self.lrf, math.pow(self.decay, cycle))
        return self.lrf + (peak - self.lrf) * 0.5 * (1.0 + math.cos(math.pi * progress))

    def rewarm_at(self, step: int, total_steps: int) -> tuple[int, int] | None:
        """Return the step within the cycle and the length of its warmup, or None."""
        cycle, start, length = self._cycle(step)
        return (step - start, self._rewarm(length)) if cycle and self.rewarm else None

    def restarts(self, total_steps: int) -> tuple[int, ...]:
        """Return the first steps of all cycles but the first."""
        starts: list[int] = []
        start, length = self.t0, self.t0 * self.t_mult
        while start < total_steps and len(starts) < MAX_RESTARTS:
            starts.append(start)
            start, length = start + length, length * self.t_mult
        return tuple(starts)

    def notes(self, total_steps: int) -> tuple[str, ...]:
        """Return a sentence where the warmup of a restart is cut to fit its cycle."""
        shortest = self.t0 * self.t_mult
        if self._rewarm(shortest) == self.rewarm or self.t0 >= total_steps:
            return ()
        cut = f"from {self.rewarm} to {self._rewarm(shortest)} of {shortest} steps"
        return (f"the warmup of a restart is cut {cut}, so that the cycle reaches its peak",)

    def _cycle(self, step: int) -> tuple[int, int, int]:
        """Return number, first step and length of the cycle that a step lies in."""
        if self.t_mult == 1:
            return step // self.t0, step - step % self.t0, self.t0
        cycle, start, length = 0, 0, self.t0
        while step >= start + length:
            cycle, start, length = cycle + 1, start + length, length * self.t_mult
        return cycle, start, length

    def _rewarm(self, length: int) -> int:
        return min(self.rewarm, max(0, length - 2))


@dataclass(frozen=True)
class OneCycle:
    """Up to lr0, down far below the start; the momentum the other way (Smith and Topin, 2018).

    The same as torch's OneCycleLR with max_lr = lr0: up in the first ``pct_start`` of the run from
    lr0 / div_factor, then down to lr0 / div_factor / final_div_factor. With ``three_phase`` the way
    down to the start mirrors the way up, and the rest of the run ends the fall.

    Attributes:
        pct_start: Share of the run that goes up.
        anneal: Shape of each phase.
        three_phase: Down as slowly as up, then a last fall.
        div_factor: lr0 over the rate at the start.
        final_div_factor: Rate at the start over the rate at the end.
        cycle_momentum: Move the momentum too, from ``max_momentum`` down to ``base_momentum``
            where the rate peaks, and back.
        base_momentum: Momentum (beta1 of Adam) at the peak of the rate.
        max_momentum: Momentum where the rate is low.
    """

    own_warmup: ClassVar[bool] = True

    pct_start: Fraction = 0.3
    anneal: Literal["cos", "linear"] = "cos"
    three_phase: bool = False
    div_factor: Annotated[float, Field(ge=1.0)] = 25.0
    final_div_factor: Annotated[float, Field(ge=1.0)] = 1e4
    cycle_momentum: bool = True
    base_momentum: Momentum = 0.85
    max_momentum: Momentum = 0.95

    def __post_init__(self) -> None:
        if self.three_phase and self.pct_start > 0.5:
            raise ValueError("pct_start should be at most 0.5 with three_phase")
        if self.base_momentum > self.max_momentum:
            raise ValueError("base_momentum should not exceed max_momentum")

    @property
    def moves_momentum(self) -> bool:
        """Return whether the momentum moves too."""
        return self.cycle_momentum

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        phase, done = self._phase(step, total_steps)
        start = 1.0 / self.div_factor
        end = start / self.final_div_factor
        ways = [(start, 1.0), (1.0, start), (start, end)]
        return self._between(*(ways if self.three_phase else [ways[0], (1.0, end)])[phase], done)

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the momentum, or beta1; None where only the rate moves."""
        if not self.cycle_momentum:
            return None
        phase, done = self._phase(step, total_steps)
        low, high = self.base_momentum, self.max_momentum
        return self._between(*[(high, low), (low, high), (high, high)][phase], done)

    def _phase(self, step: int, total_steps: int) -> tuple[int, float]:
        """Return the number of the phase, and the share of it that is done."""
        ends = [self.pct_start * total_steps - 1.0, total_steps - 1.0]
        if self.three_phase:
            ends.insert(1, 2.0 * self.pct_start * total_steps - 2.0)
        begin = 0.0
        for phase, end in enumerate(ends):
            if step <= end or phase == len(ends) - 1:
                return phase, (step - begin) / (end - begin) if end > begin else 1.0
            begin = end
        raise AssertionError("the last phase ends with the run")

    def _between(self, start: float, end: float, done: float) -> float:
        if self.anneal == "cos":
            done = 0.5 * (1.0 - math.cos(math.pi * done))
        return blend(start, end, done)


@dataclass(frozen=True)
class Cyclic:
    """Triangles between two rates; the momentum the other way (Smith, 2017), as torch's CyclicLR.

    Attributes:
        low: Lower rate as a share of lr0, the upper one; ``base_lr`` gives it as a rate.
        step_size_up: Length of the way up; a sixth of the run, in whole epochs, where none is
            named.
        step_size_down: Length of the way down; None is as long as the way up.
        mode: ``triangular``; ``triangular2`` halves the height with each cycle; ``exp_range``
            multiplies it by ``gamma`` with each step.
        gamma: Factor of one step in ``exp_range``; None lets the height end at 1 %.
        cycle_momentum: Move the momentum too, from ``max_momentum`` down to ``base_momentum`` at
            the peak of the rate, and back.
        base_momentum: Momentum (beta1 of Adam) at the peak of the rate.
        max_momentum: Momentum where the rate is low.
    """

    compose: ClassVar[Compose] = "overlap"

    low: Share = field(default=0.1, metadata=or_as_rate("base_lr"))
    step_size_up: Period = field(
        default=1, metadata=in_epochs(default=lambda epochs: math.ceil(epochs / 6))
    )
    step_size_down: Period | None = field(default=None, metadata=in_epochs())
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: Share | None = None
    cycle_momentum: bool = True
    base_momentum: Momentum = 0.8
    max_momentum: Momentum = 0.9

    def __post_init__(self) -> None:
        if self.base_momentum > self.max_momentum:
            raise ValueError("base_momentum should not exceed max_momentum")

    @property
    def moves_momentum(self) -> bool:
        """Return whether the momentum moves too."""
        return self.cycle_momentum

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        return blend(self.low, 1.0, self._height(step, total_steps))

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the momentum, or beta1; None where only the rate moves."""
        if not self.cycle_momentum:
            return None
        return blend(self.max_momentum, self.base_momentum, self._height(step, total_steps))

    def _height(self, step: int, total_steps: int) -> float:
        """Return where between the two rates a step stands, from 0 to 1."""
        down = self.step_size_down or self.step_size_up
        cycle, within = divmod(step, self.step_size_up + down)
        up = within <= self.step_size_up
        height = within / self.step_size_up if up else (self.step_size_up + down - within) / down
        match self.mode:
            case "triangular":
                return height
            case "triangular2":
                return math.ldexp(height, -cycle)
            case "exp_range":
                gamma = self.gamma or math.pow(LAST, 1 / max(1, total_steps - 1))
                return height * math.pow(gamma, step)
