"""What a learning-rate curve is, the simplest ones, and the ramp of the warmup; no torch, no state.

A curve is a frozen dataclass with ``factor(step, total_steps)``, a factor on the base rate that is
1 at the peak; it holds no state and knows neither optimizers nor epochs. `plan.py` turns epochs
into steps and puts the warmup before or over the curve. Further curves stand in `decays.py`,
`cycles.py` and `sequence.py`, those that follow the run in `plateau.py` and `adaptive.py`.

A curve may say more about itself, and a curve of your own may do the same:
- a field marked by `in_epochs` is written in epochs in a config and arrives here in steps;
- a share of lr0 marked by `or_as_rate` may also be given as a learning rate;
- ``compose = "overlap"`` (class attribute; default "shift"): the warmup multiplies the running
  curve instead of preceding it;
- ``own_warmup = True`` (class attribute): the curve warms up by itself, a `warmup` is an error;
  ``warm_end(total_steps)`` may name its first step after that;
- ``momentum(step, total_steps)``, with ``moves_momentum`` true: SGD's momentum or Adam's beta1 at a
  step, None where the curve leaves it at `optim.momentum`;
- ``peak_end()``: step behind the last one at lr0, or None; a warmup over the curve is cut to it;
- ``restarts(total_steps)``: steps at which it jumps back to a peak, for pictures;
- ``rewarm_at(step, total_steps)``: (step, length) of the warmup after a restart, or None;
- ``notes(total_steps)``: sentences about settings that are used otherwise than written.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field

from fusetrain.config.schema import Fraction, Positive

Compose = Literal["shift", "overlap"]
EpochDefault = Callable[[float], float | tuple[float, ...]]


class Curve(Protocol):
    """A learning-rate curve."""

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate.

        Args:
            step: Optimizer step of the curve, from 0 to ``total_steps - 1``.
            total_steps: Length of the curve in optimizer steps, at least 1. With `unit: epoch` it
                is one more than that: the end of the curve lies just behind the last epoch.
        """


@dataclass(frozen=True)
class EpochValued:
    """How a field in epochs becomes steps.

    Attributes:
        origin: ``curve`` for lengths and for times that count from the start of the curve,
            ``run`` for times that count from epoch 0 of the run.
        default: Epochs of the run to the value in epochs that is taken where none is given.
        or_warmup: The length of the warmup is taken instead of the default, where there is one.
        fits: The default is cut to what the warmup leaves of the run.
    """

    origin: Literal["curve", "run"] = "curve"
    default: EpochDefault | None = None
    or_warmup: bool = False
    fits: bool = False


def in_epochs(
    *,
    origin: Literal["curve", "run"] = "curve",
    default: EpochDefault | None = None,
    or_warmup: bool = False,
    fits: bool = False,
) -> Mapping[str, Any]:
    """Mark a field, as its ``metadata``, that a config gives in epochs or as ``{steps: N}``.

    Args:
        origin: What the time counts from; see `EpochValued`.
        default: Makes the value in epochs, where a config names none, from the epochs of the run.
        or_warmup: Take the length of the warmup instead of the default, where there is one.
        fits: Cut the default to what the warmup leaves of the run, so that the curve ends in it.
    """
    marks = EpochValued(origin=origin, default=default, or_warmup=or_warmup, fits=fits)
    return {"epochs": marks}


def or_as_rate(name: str) -> Mapping[str, Any]:
    """Mark a share of lr0, as its ``metadata``, that may also be given as a rate under ``name``."""
    return {"rate": name}


def no_setting() -> Mapping[str, Any]:
    """Mark a field, as its ``metadata``, that no config gives."""
    return {"setting": False}


def another_curve(name: str) -> Mapping[str, Any]:
    """Mark a field, as its ``metadata``, that a config gives as ``{name: …, parameters}``.

    Args:
        name: The curve that is taken where a config gives none.
    """
    return {"curve": name}


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to ``lrf``: ``r + (1 - r) (1 + cos(pi p)) / 2``.

    It ends with the run, exactly 1 at the first and exactly ``lrf`` at the last step: p = step /
    (total_steps - 1). With ``t_max`` p = step / t_max, as in SGDR (Loshchilov and Hutter, 2017,
    eq. 5) and torch's CosineAnnealingLR, and the floor is held from there on.

    Attributes:
        lrf: Floor as a share of lr0; ``eta_min`` gives it as a rate.
        t_max: Period in steps; None ends with the run.
    """

    lrf: Fraction = field(default=0.01, metadata=or_as_rate("eta_min"))
    t_max: Annotated[int, Field(ge=1)] | None = field(default=None, metadata=in_epochs())

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        progress = min(1.0, step / (self.t_max or max(1, total_steps - 1)))
        return self.lrf + (1.0 - self.lrf) * 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Linear:
    """Straight line from 1 at the first step to ``lrf`` at the last.

    Attributes:
        lrf: Floor as a share of lr0; ``eta_min`` gives it as a rate.
    """

    lrf: Fraction = field(default=0.01, metadata=or_as_rate("eta_min"))

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        return blend(1.0, self.lrf, step / max(1, total_steps - 1))


@dataclass(frozen=True)
class MultiStep:
    """Times ``gamma`` at every milestone, as torch's MultiStepLR.

    Attributes:
        milestones: Steps from which on the factor is multiplied once more; they count from epoch 0
            of the run, whatever the warmup. 2/3 and 8/9 of the run where a config names none.
        gamma: Factor of one milestone.
    """

    compose: ClassVar[Compose] = "overlap"

    milestones: tuple[int, ...] = field(
        metadata=in_epochs(origin="run", default=lambda epochs: (2 * epochs / 3, 8 * epochs / 9))
    )
    gamma: Positive = 0.1

    def peak_end(self) -> int | None:
        """Return the first milestone within the run, the step behind the last one at lr0."""
        return min((mark for mark in self.milestones if mark > 0), default=None)

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        return math.pow(self.gamma, bisect_right(sorted(self.milestones), step))


@dataclass(frozen=True)
class Constant:
    """The base rate throughout."""

    compose: ClassVar[Compose] = "overlap"

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        return 1.0


@dataclass(frozen=True)
class Ramp:
    """The progress of a warmup from 0 to 1 (Goyal et al., 2017, section 2.2).

    Attributes:
        steps: Length in optimizer steps; 0 is no warmup.
        curve: ``linear`` x, ``exp`` x**gamma, ``cosine`` (1 - cos(pi x)) / 2, ``constant`` 0.
        gamma: Exponent of ``exp``; the larger, the later the rise.
        align: ``end`` takes x = (step + 1) / steps and is done at the last step of the warmup;
            ``start`` takes x = step / steps, as torch's LinearLR, and is done one step later.
        hold: Steps for which the progress is held; those of an epoch for `warmup.unit: epoch`.
    """

    steps: int
    curve: Literal["linear", "exp", "cosine", "constant"] = "linear"
    gamma: float = 2.0
    align: Literal["end", "start"] = "end"
    hold: int = 1

    def progress(self, step: int) -> float:
        """Return how far the warmup is at a step of the run, from 0 to 1."""
        if step >= self.steps:
            return 1.0
        first = step - step % self.hold
        x = min(1.0, (first + self.hold if self.align == "end" else first) / self.steps)
        match self.curve:
            case "linear":
                return x
            case "exp":
                return math.pow(x, self.gamma)
            case "cosine":
                return 0.5 * (1.0 - math.cos(math.pi * x))
            case "constant":
                return 0.0


def blend(start: float, end: float, progress: float) -> float:
    """Return the point between two values: exactly ``start`` at 0 and exactly ``end`` at 1."""
    return start * (1.0 - progress) + end * progress
