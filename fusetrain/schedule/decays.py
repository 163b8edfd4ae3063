"""Curves that fall once: held cosine, exponential, polynomial, inverse square root, WSD, YOLOX.

Each is a frozen dataclass as `curves.py` describes it: a pure function of the step, without torch.
Curves that rise again stand in `cycles.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fusetrain.config.schema import Fraction, Positive
from fusetrain.schedule.curves import Cosine, blend, in_epochs, or_as_rate

LAST = 0.01
STABLE_SHARE = 0.8
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Length = Annotated[int, Field(ge=0)]
Period = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class CosineHold:
    """Half a cosine that ends before the run does; the floor is held from there on.

    ``r + (1 - r) (1 + cos(pi p)) / 2`` with p = min(1, step / t_max), as torch's CosineAnnealingLR
    up to T_max, which climbs again after it.

    Attributes:
        lrf: Floor as a share of lr0; ``eta_min`` gives it as a rate.
        t_max: Length of the fall; 2/3 of the run where a config names none, at most what the warmup
            leaves.
    """

    lrf: Fraction = field(default=LAST, metadata=or_as_rate("eta_min"))
    t_max: Period = field(
        default=1, metadata=in_epochs(default=lambda epochs: 2 * epochs / 3, fits=True)
    )

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        return Cosine(self.lrf, self.t_max).factor(step, total_steps)


@dataclass(frozen=True)
class Exponential:
    """Times the same factor in every step, as torch's ExponentialLR.

    Without ``gamma`` it is ``lrf ** p`` with p = step / (total_steps - 1) and so ends at ``lrf``;
    with it, it is ``gamma ** (step / every)``, and ``lrf`` is a floor.

    Attributes:
        lrf: Where it ends, as a share of lr0 (0.01); ``eta_min`` gives it as a rate.
        gamma: Factor of one ``every``; None ends at ``lrf``.
        every: Time in which the rate falls by ``gamma``, one epoch where a config names none.
    """

    lrf: Share | None = field(default=None, metadata=or_as_rate("eta_min"))
    gamma: Share | None = None
    every: Period = field(default=1, metadata=in_epochs(default=lambda epochs: 1.0))

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        if self.gamma is None:
            return math.pow(self.lrf or LAST, step / max(1, total_steps - 1))
        return max(self.lrf or 0.0, math.pow(self.gamma, step / self.every))


@dataclass(frozen=True)
class Polynomial:
    """``r + (1 - r) (1 - p) ** power`` with p = step / (total_steps - 1), as torch's PolynomialLR.

    Attributes:
        power: 1 is a straight line; the larger, the earlier the fall.
        lrf: Floor as a share of lr0; ``eta_min`` gives it as a rate.
    """

    power: Positive = 1.0
    lrf: Fraction = field(default=LAST, metadata=or_as_rate("eta_min"))

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        left = max(0.0, 1.0 - step / max(1, total_steps - 1))
        return blend(self.lrf, 1.0, math.pow(left, self.power))


@dataclass(frozen=True)
class InverseSqrt:
    """``sqrt(tau / (step + tau))``, the fall of the Transformer (Vaswani et al., 2017, eq. 3).

    With tau equal to the warmup W and counted after it, this is sqrt(W / s) at step s of the run.

    Attributes:
        timescale: tau; the length of the warmup where a config names none, one epoch without one.
    """

    timescale: Period = field(
        default=1, metadata=in_epochs(default=lambda epochs: 1.0, or_warmup=True)
    )

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        return math.sqrt(self.timescale / (step + self.timescale))


@dataclass(frozen=True)
class WarmupStableDecay:
    """The peak for most of the run, then a fall to ``lrf`` (Hu et al., 2024, MiniCPM: WSD).

    With q the share of the fall that is done: ``linear`` 1 - (1 - r) q, ``sqrt``
    1 - (1 - r) sqrt(q) (Haegele et al., 2024: "1-sqrt"), ``cosine``
    r + (1 - r) (1 + cos(pi q)) / 2.

    Attributes:
        hold: Length of the stable stretch; None holds for 80 % of the curve.
        decay: Shape of the fall.
        lrf: Where it ends, as a share of lr0; ``eta_min`` gives it as a rate.
    """

    hold: Length | None = field(default=None, metadata=in_epochs())
    decay: Literal["linear", "sqrt", "cosine"] = "linear"
    lrf: Fraction = field(default=LAST, metadata=or_as_rate("eta_min"))

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        last = max(1, total_steps - 1)
        hold = int(STABLE_SHARE * last) if self.hold is None else self.hold
        if step <= hold:
            return 1.0
        done = (step - hold) / (last - hold)
        match self.decay:
            case "linear":
                return blend(1.0, self.lrf, done)
            case "sqrt":
                return blend(1.0, self.lrf, math.sqrt(done))
            case "cosine":
                return blend(self.lrf, 1.0, 0.5 * (1.0 + math.cos(math.pi * done)))

    def notes(self, total_steps: int) -> tuple[str, ...]:
        """Return a sentence where the stable stretch leaves no fall."""
        if self.hold is None or self.hold < total_steps - 1:
            return ()
        return (f"`hold` of {self.hold} steps leaves nothing of {total_steps} steps for the decay",)


@dataclass(frozen=True)
class Yolox:
    """Quadratic warmup, half a cosine, then the floor for the last epochs (Ge et al., 2021, YOLOX).

    With T steps, Tw of warmup, Tn at the end and floor r: ``start + (1 - start) (t / Tw) ** 2`` up
    to Tw, ``r + (1 - r) (1 + cos(pi (t - Tw) / (T - Tw - Tn))) / 2``, then r.

    Attributes:
        warm: Length of the warmup; 5 epochs where a config names none, in short runs less.
        last: Length of the end at the floor; 15 epochs, in short runs less.
        lrf: Floor as a share of lr0; ``eta_min`` gives it as a rate.
        start: Share of lr0 at the first step; YOLOX itself starts at 0.
    """

    own_warmup: ClassVar[bool] = True

    warm: Length = field(default=0, metadata=in_epochs(default=lambda epochs: min(5.0, epochs / 6)))
    last: Length = field(
        default=0, metadata=in_epochs(default=lambda epochs: min(15.0, epochs / 5))
    )
    lrf: Fraction = field(default=0.05, metadata=or_as_rate("eta_min"))
    start: Fraction = 0.001

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        warm = self.warm_end(total_steps)
        if step < warm:
            return blend(self.start, 1.0, (step / warm) ** 2)
        if step > warm and step >= total_steps - self.last:
            return self.lrf
        done = (step - warm) / max(1, total_steps - warm - self.last)
        return blend(self.lrf, 1.0, 0.5 * (1.0 + math.cos(math.pi * done)))

    def notes(self, total_steps: int) -> tuple[str, ...]:
        """Return a sentence where the warmup is cut to fit the run."""
        warm = self.warm_end(total_steps)
        if warm == self.warm:
            return ()
        return (f"the warmup is cut from {self.warm} to {warm} of {total_steps} steps",)

    def warm_end(self, total_steps: int) -> int:
        """Return the first step after the warmup, cut to fit the run."""
        return min(self.warm, max(0, total_steps - 2))
