"""`plateau` lowers the rate exactly when torch's ReduceLROnPlateau does."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from fusetrain.schedule.following import Decision
from fusetrain.schedule.plateau import LOSS_COLUMNS, SCORES, Plateau, PlateauObserver

SPE = 5


def row_of(metric: str, value: float | None) -> dict[str, float | None]:
    if metric in SCORES:
        return {SCORES[metric]: value}
    side = metric.removesuffix("_loss")
    first = None if value is None else value - 2.0
    return dict(zip([f"{side}/{name}" for name in LOSS_COLUMNS], (first, 1.5, 0.5), strict=True))


def decided(curve: Plateau, values: list[float | None]) -> list[Decision]:
    observer = curve.observer(1000)
    found: list[Decision] = []
    for epoch, value in enumerate(values):
        row = row_of(curve.metric, value)
        found += observer.observe_epoch((epoch + 1) * SPE, metrics=row)
    return found


@pytest.mark.parametrize("metric", [*SCORES, "val_loss", "train_loss"])
@pytest.mark.parametrize("mode", ["rel", "abs"])
@pytest.mark.parametrize(("patience", "cooldown"), [(0, 0), (1, 0), (3, 2), (2, 5)])
def test_the_rates_are_those_of_torch(metric: Any, mode: Any, patience: int, cooldown: int) -> None:
    curve = Plateau(
        metric=metric,
        gamma=0.5,
        patience=patience,
        threshold=0.01,
        threshold_mode=mode,
        cooldown=cooldown,
        lrf=0.03,
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode="max" if metric in SCORES else "min",
        factor=0.5,
        patience=patience,
        threshold=0.01,
        threshold_mode=mode,
        cooldown=cooldown,
        min_lr=0.03,
        eps=0.0,
    )
    draw = random.Random(1)
    values = [draw.uniform(2.0, 3.0) + 2.0 / (epoch + 1) for epoch in range(80)]
    values[7] = math.nan
    known = curve.decided(decided(curve, list(values)))
    for epoch, value in enumerate(values):
        theirs.step(value)
        wanted = float(optimizer.param_groups[0]["lr"])
        assert known.factor((epoch + 1) * SPE, 1000) == pytest.approx(wanted, rel=1e-12)
        assert known.factor((epoch + 1) * SPE - 1, 1000) >= wanted
    assert known.factor(999, 1000) == 0.03


def test_epochs_that_were_not_validated_are_not_counted() -> None:
    curve = Plateau(patience=1, gamma=0.5, lrf=0.0)
    every = decided(curve, [0.5, 0.5, 0.5, 0.5])
    some = decided(curve, [0.5, None, 0.5, None, 0.5, None, 0.5])
    assert [(decision.step, decision.value) for decision in every] == [(15, 0.5)]
    assert [(decision.step, decision.value) for decision in some] == [(25, 0.5)]


def test_a_rate_at_its_floor_is_not_decided_upon_again() -> None:
    found = decided(Plateau(patience=0, gamma=0.1, lrf=0.05), [0.5] * 20)
    assert [decision.value for decision in found] == [0.1, 0.05]


def test_every_counter_is_saved() -> None:
    curve = Plateau(patience=2, cooldown=3, gamma=0.5)
    draw = random.Random(3)
    values = [draw.choice([0.5, 0.51, 0.6]) for _ in range(40)]
    through = decided(curve, list(values))
    assert len(through) > 2
    for stop in range(40):
        first, second = PlateauObserver(curve), PlateauObserver(curve)
        found: list[Decision] = []
        for epoch, value in enumerate(values):
            if epoch == stop:
                second.load_state_dict(json.loads(json.dumps(first.state_dict())), found)
            observer = first if epoch < stop else second
            row = row_of(curve.metric, value)
            found += observer.observe_epoch((epoch + 1) * SPE, metrics=row)
        assert found == through


def test_the_lowest_rates_are_those_of_a_run_that_never_gets_better() -> None:
    curve = Plateau(patience=3, cooldown=2, gamma=0.5)
    (lowest,) = curve.extremes(1000, steps_per_epoch=SPE).values()
    assert list(lowest) == decided(curve, [0.5] * 199)
