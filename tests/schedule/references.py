"""References that curves are held against: torch's own schedulers, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.optim import lr_scheduler

from fusetrain.schedule.curves import Curve

TOLERANCE = 1e-12
MakeScheduler = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def stepped(make: MakeScheduler, steps: int) -> tuple[list[float], list[float]]:
    """Return rates and momenta before each step of a torch scheduler; base rate 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    scheduler = make(optimizer)
    rates, momenta = [], []
    for number in range(steps):
        if number:
            optimizer.step()
            scheduler.step()
        rates.append(float(optimizer.param_groups[0]["lr"]))
        momenta.append(float(optimizer.param_groups[0]["momentum"]))
    return rates, momenta


def factors(curve: Curve, steps: int, *, total: int | None = None) -> list[float]:
    return [curve.factor(step, total or steps) for step in range(steps)]


def assert_close(found: Sequence[float | None], wanted: Sequence[float]) -> None:
    assert len(found) == len(wanted)
    for step, (value, reference) in enumerate(zip(found, wanted, strict=True)):
        assert value is not None
        assert abs(value - reference) <= TOLERANCE * max(1.0, abs(reference)), step
