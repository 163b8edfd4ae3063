"""The curve that lowers the rate when a metric stops getting better, as torch's ReduceLROnPlateau.

It looks once an epoch at what validation or training left in results.csv; an epoch without that
number is passed over, so `patience` counts validated epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fusetrain.config.schema import Fraction, NonNegative
from fusetrain.schedule.curves import Compose, no_setting, or_as_rate
from fusetrain.schedule.decays import LAST
from fusetrain.schedule.following import Decision, Metrics, at_step

LOWER = "lower"
SCORES: Mapping[str, str] = {
    "mAP50-95": "metrics/mAP50-95(B)",
    "mAP50": "metrics/mAP50(B)",
    "precision": "metrics/precision(B)",
    "recall": "metrics/recall(B)",
}
LOSS_COLUMNS = ("box_loss", "cls_loss", "dfl_loss")
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Plateau:
    """The base rate, times ``gamma`` whenever the metric has not got better for long enough.

    Attributes:
        metric: What is watched; scores should grow, losses should fall.
        gamma: Factor of one lowering.
        patience: Validated epochs without a gain that are borne; the next one lowers the rate.
        threshold: What counts as a gain: a share of the best value, or an amount.
        threshold_mode: ``rel`` a share, ``abs`` an amount.
        cooldown: Validated epochs after a lowering that are not counted.
        lrf: Floor as a share of lr0; ``eta_min`` gives it as a rate.
        decisions: The lowerings so far; no setting.
    """

    compose: ClassVar[Compose] = "overlap"

    metric: Literal["mAP50-95", "mAP50", "precision", "recall", "val_loss", "train_loss"] = (
        "mAP50-95"
    )
    gamma: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    patience: Count = 10
    threshold: NonNegative = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: Count = 0
    lrf: Fraction = field(default=LAST, metadata=or_as_rate("eta_min"))
    decisions: tuple[Decision, ...] = field(default=(), metadata=no_setting())

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        decision = at_step(self.decisions, step)
        return decision.value if decision else 1.0

    def decided(self, decisions: Sequence[Decision]) -> Plateau:
        """Return the curve with these lowerings."""
        return replace(self, decisions=tuple(d for d in decisions if d.kind == LOWER))

    def observer(self, total_steps: int) -> PlateauObserver:
        """Return what watches the metric."""
        return PlateauObserver(self)

    def extremes(
        self, total_steps: int, *, steps_per_epoch: int
    ) -> Mapping[str, Sequence[Decision]]:
        """Return the run that never gets better: lowered as early as the patience allows."""
        found: list[Decision] = []
        # The first epoch is always a gain over nothing; each lowering takes patience + 1 more.
        step, value = (self.patience + 2) * steps_per_epoch, 1.0
        while step < total_steps and value > self.lrf:
            value = self.lowered(value)
            found.append(Decision(step, LOWER, value))
            step += (self.cooldown + self.patience + 1) * steps_per_epoch
        return {"if the metric never gets better": found}

    def reason(self, decision: Decision, *, lr0: float) -> str:
        """Return to what the rate falls, and why."""
        epochs = f"{self.patience + 1} validated epoch{'s' if self.patience else ''}"
        return f"lr0 falls to {lr0 * decision.value:g}: {self.metric} got no better in {epochs}"

    def lowered(self, factor: float) -> float:
        """Return the factor after one more lowering."""
        return max(self.lrf, factor * self.gamma)

    def value_in(self, metrics: Metrics) -> float | None:
        """Return what is watched from a row of results.csv; None where it was not measured."""
        if self.metric in SCORES:
            return metrics.get(SCORES[self.metric])
        side = self.metric.removesuffix("_loss")
        terms = [metrics.get(f"{side}/{name}") for name in LOSS_COLUMNS]
        known = [term for term in terms if term is not None]
        return math.fsum(known) if len(known) == len(terms) else None

    def is_gain(self, value: float, best: float) -> bool:
        """Return whether a value is better than the best one by more than the threshold."""
        sign = 1.0 if self.metric in SCORES else -1.0
        if self.threshold_mode == "abs":
            return sign * value > sign * (best + sign * self.threshold)
        return sign * value > sign * (best * (1.0 + sign * self.threshold))


class PlateauObserver:
    """Counts epochs without a gain, step for step as torch's ReduceLROnPlateau does.

    Args:
        curve: What is watched, and how long.
    """

    needs_steps = False

    def __init__(self, curve: Plateau) -> None:
        self.curve = curve
        self.best: float | None = None
        self.without_gain = 0
        self.cooldown_left = 0
        self.factor = 1.0

    def observe(
        self, step: int, *, loss: float | None, grad_norm: float | None
    ) -> Sequence[Decision]:
        """Decide nothing: only epochs count."""
        return ()

    def observe_epoch(self, next_step: int, *, metrics: Metrics) -> Sequence[Decision]:
        """Compare the epoch with the best one so far, and lower the rate when it is time."""
        value = self.curve.value_in(metrics)
        if value is None:
            return ()
        is_first = self.best is None and not math.isnan(value)
        if is_first or (self.best is not None and self.curve.is_gain(value, self.best)):
            self.best, self.without_gain = value, 0
        else:
            self.without_gain += 1
        if self.cooldown_left:
            self.cooldown_left -= 1
            self.without_gain = 0
        if self.without_gain <= self.curve.patience:
            return ()
        self.cooldown_left, self.without_gain = self.curve.cooldown, 0
        lowered = self.curve.lowered(self.factor)
        if lowered == self.factor:
            return ()
        self.factor = lowered
        return (Decision(next_step, LOWER, lowered),)

    def state_dict(self) -> dict[str, Any]:
        """Return all counters."""
        return {
            "best": self.best,
            "without_gain": self.without_gain,
            "cooldown_left": self.cooldown_left,
        }

    def load_state_dict(self, state: Mapping[str, Any], decisions: Sequence[Decision]) -> None:
        """Go on from what `state_dict` returned, with what was decided until then."""
        self.best = state["best"]
        self.without_gain = state["without_gain"]
        self.cooldown_left = state["cooldown_left"]
        self.factor = decisions[-1].value if decisions else 1.0
