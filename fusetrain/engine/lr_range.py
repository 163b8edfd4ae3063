"""The learning-rate range test: one short training with a rate that rises step by step.

The loss over the rate shows from where on a model learns and from where on it is torn apart
(Smith, 2017, section 3.3). The model that is trained here is thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fusetrain.engine.stages import WHOLE_RUN, Stage
from fusetrain.engine.step import StepRunner
from fusetrain.sample import Batch

NEIGHBOUR = 0.8
TORN = 4.0
SCALE_TRIES = 24  # a scaler halves 2^16 at each of them
LEAST_FALL = 0.05
EDGE = 3  # first and last points, at which a slope means little


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw.

    Attributes:
        rates: Learning rate of each step, ascending.
        losses: Sum of the three losses of a pair at each step.
        smoothed: Their averages over neighbours to both sides, so that the curve does not lag.
        suggested: Rate of the steepest fall; None where the loss fell by less than 5 %.
        lowest: Rate at the lowest smoothed loss; None as above.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggested: float | None
    lowest: float | None


def range_test(
    runner: StepRunner,
    batches: Iterator[Sequence[Batch]],
    rates: Sequence[float],
    *,
    scales: Mapping[str, float],
    stage: Stage = WHOLE_RUN,
) -> RangeTest:
    """Train with each rate for one step, until the loss is four times its lowest.

    Args:
        runner: Runs the steps; its model, optimizer and average are used up.
        batches: The micro-batches of each step.
        rates: Rates of groups without a scale, ascending.
        scales: Part to factor on its rate.
        stage: What is trained.
    """
    losses: list[float] = []
    runner.enter(stage)
    for updates, rate in enumerate(rates):
        for group in runner.optimizer.param_groups:
            group["lr"] = rate * scales.get(group["part"], 1.0)
        loss = _loss_of_step(runner, batches, updates=updates)
        if loss is None:
            break
        losses.append(loss)
        if loss > TORN * min(losses):
            break
    return judged(list(rates)[: len(losses)], losses)


def _loss_of_step(
    runner: StepRunner, batches: Iterator[Sequence[Batch]], *, updates: int
) -> float | None:
    """Return the mean loss of a step; None where it was skipped as not finite.

    A gradient scaler skips steps until it has found its scale; these are made again.
    """
    for _ in range(SCALE_TRIES if runner.scaler.is_enabled() else 1):
        sums, _ = runner.step(next(batches), updates=updates)
        *terms, pairs = sums.tolist()
        if pairs > 0.0:
            return float(sum(terms) / pairs)
    return None


def smooth(losses: Sequence[float]) -> list[float]:
    """Return each loss averaged with its neighbours of distance d, which weigh 0.8^d.

    A running average would lag behind, and with it the suggested rate.
    """
    smoothed = []
    for place in range(len(losses)):
        weights = [NEIGHBOUR ** abs(other - place) for other in range(len(losses))]
        products = (weight * loss for weight, loss in zip(weights, losses, strict=True))
        smoothed.append(sum(products) / sum(weights))
    return smoothed


def judged(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """Return the test with the rate it suggests: that of the steepest fall before the lowest point.

    Args:
        rates: Ascending.
        losses: As many.
    """
    smoothed = smooth(losses)
    suggested = lowest = None
    if len(rates) > 2 * EDGE:
        bottom = min(range(EDGE, len(smoothed)), key=smoothed.__getitem__)
        if smoothed[bottom] < (1 - LEAST_FALL) * max(smoothed[: bottom + 1]):
            lowest = rates[bottom]
            slopes = {
                place: (smoothed[place + 1] - smoothed[place - 1])
                / math.log(rates[place + 1] / rates[place - 1])
                for place in range(EDGE, bottom)
            }
            suggested = rates[min(slopes, key=slopes.__getitem__)] if slopes else lowest
    return RangeTest(tuple(rates), tuple(losses), tuple(smoothed), suggested, lowest)
