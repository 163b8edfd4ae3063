"""Every schedule from its name alone equals a reference at every step of short and long runs.

References share no code with the curves: torch's own classes stepped side by side where torch has
one, else the formula in 50 digits. A schedule without a reference fails here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.planning import make_plan
from fusetrain.schedule.scheduler import Scheduler

TOLERANCE = 1e-12
RUNS = [(1, 1), (7, 1), (10, 10), (100, 100)]  # epochs, steps of an epoch: 1 to 10 000 steps
WARM_START = Decimal("0.001")
FLOOR = Decimal("0.01")
PI = Decimal("3.14159265358979323846264338327950288419716939937510")


@dataclass(frozen=True)
class Run:
    """What a reference may depend on: epochs, steps of an epoch, steps of the warmup."""

    epochs: int
    per_epoch: int
    warmup: int = 0

    @property
    def total(self) -> int:
        return self.epochs * self.per_epoch

    def steps(self, epochs: Decimal | int) -> int:
        """Return epochs in steps, halves rounded up."""
        return int(Decimal(epochs) * self.per_epoch + Decimal("0.5"))


Reference = Callable[[int, Run], Sequence[Decimal | float]]


@cache
def cos_pi(numerator: int, denominator: int) -> Decimal:
    """Return cos(pi n / d) for 0 <= n <= d to some 45 digits."""
    if 2 * numerator > denominator:
        return -cos_pi(denominator - numerator, denominator)
    with localcontext(prec=50):
        square = (PI * numerator / denominator) ** 2
        term = total = Decimal(1)
        for n in range(1, 22):
            term *= -square / (2 * n * (2 * n - 1))
            total += term
        return total


def wave(step: int, length: int, floor: Decimal = FLOOR) -> Decimal:
    """Return half a cosine from 1 at 0 to the floor at ``length``, and the floor after it."""
    return floor + (1 - floor) * (1 + cos_pi(min(step, length), length)) / 2


def stepped(make: Callable[[Any], lr_scheduler.LRScheduler], steps: int) -> list[float]:
    """Return the rates before each step of a scheduler of torch; base rate 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    scheduler = make(optimizer)
    rates = []
    for number in range(steps):
        if number:
            optimizer.step()
            scheduler.step()
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


def cosine(steps: int, run: Run) -> list[Decimal]:
    return [wave(step, max(1, steps - 1)) for step in range(steps)]


def cosine_hold(steps: int, run: Run) -> list[Decimal]:
    period = max(1, min(run.steps(Decimal(2 * run.epochs) / 3), run.total - run.warmup - 1))
    return [wave(step, period) for step in range(steps)]


def cosine_restarts(steps: int, run: Run) -> list[float]:
    first = math.ceil(run.epochs / 3) * run.per_epoch
    return stepped(
        lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, first, eta_min=0.01),
        steps,
    )


def step(steps: int, run: Run) -> list[float]:
    marks = [run.steps(Decimal(share * run.epochs) / 9) for share in (6, 8)]
    return stepped(lambda optimizer: lr_scheduler.MultiStepLR(optimizer, marks), steps)


def linear(steps: int, run: Run) -> list[float]:
    return stepped(
        lambda optimizer: lr_scheduler.LinearLR(
            optimizer, start_factor=1.0, end_factor=0.01, total_iters=max(1, steps - 1)
        ),
        steps,
    )


def polynomial(steps: int, run: Run) -> list[Decimal]:
    fall = stepped(
        lambda optimizer: lr_scheduler.PolynomialLR(optimizer, total_iters=max(1, steps - 1)),
        steps,
    )
    return [FLOOR + (1 - FLOOR) * Decimal(value) for value in fall]


def exponential(steps: int, run: Run) -> list[float]:
    gamma = 0.01 ** (1 / max(1, steps - 1))
    return stepped(lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma), steps)


def inverse_sqrt(steps: int, run: Run) -> list[Decimal]:
    tau = Decimal(run.warmup or run.per_epoch)
    return [(tau / (s + tau)).sqrt() for s in range(steps)]


def constant(steps: int, run: Run) -> list[float]:
    return stepped(lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0), steps)


def onecycle(steps: int, run: Run) -> list[float]:
    return stepped(
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=steps), steps
    )


def cyclic(steps: int, run: Run) -> list[float]:
    up = math.ceil(run.epochs / 6) * run.per_epoch
    return stepped(
        lambda optimizer: lr_scheduler.CyclicLR(
            optimizer, base_lr=0.1, max_lr=1.0, step_size_up=up
        ),
        steps,
    )


def wsd(steps: int, run: Run) -> list[Decimal]:
    last = max(1, steps - 1)
    hold = 4 * last // 5
    return [1 - (1 - FLOOR) * Decimal(max(0, s - hold)) / max(1, last - hold) for s in range(steps)]


def yolox(steps: int, run: Run) -> list[Decimal]:
    floor, start = Decimal("0.05"), Decimal("0.001")
    warm = run.steps(min(Decimal(5), Decimal(run.epochs) / 6))
    warm = min(warm, max(0, steps - 2))
    end = steps - run.steps(min(Decimal(15), Decimal(run.epochs) / 5))

    def factor(s: int) -> Decimal:
        if s < warm:
            return start + (1 - start) * (Decimal(s) / warm) ** 2
        if s == warm:
            return Decimal(1)
        return floor if s >= end else wave(s - warm, end - warm, floor)

    return [factor(s) for s in range(steps)]


def adaptive(steps: int, run: Run) -> list[Decimal]:
    """Return what it does while nothing is decided: a straight ramp, then a cosine."""
    warm = min(run.steps(min(Decimal(3), Decimal(run.epochs) / 10)), max(0, (steps - 2) // 2))
    ramp = [WARM_START + (1 - WARM_START) * Decimal(s + 1) / warm for s in range(warm)]
    return [*ramp, *cosine(steps - warm, run)]


def sequence(steps: int, run: Run) -> list[Decimal]:
    """Return what its default does: two thirds of the run at the peak, then a cosine.

    The warmup, which is not part of these steps, is taken from the first piece.
    """
    first = max(0, run.steps(Decimal(2 * run.epochs) / 3) - run.warmup)
    return [*[Decimal(1)] * first, *cosine(steps - first, run)][:steps]


REFERENCES: dict[str, Reference] = {
    "cosine": cosine,
    "cosine_hold": cosine_hold,
    "cosine_restarts": cosine_restarts,
    "step": step,
    "linear": linear,
    "polynomial": polynomial,
    "exponential": exponential,
    "inverse_sqrt": inverse_sqrt,
    "constant": constant,
    "onecycle": onecycle,
    "cyclic": cyclic,
    "wsd": wsd,
    "yolox": yolox,
    "plateau": constant,
    "adaptive": adaptive,
    "sequence": sequence,
}
OVERLAPPED = ("step", "constant", "cyclic", "plateau")
WARM_THEMSELVES = ("onecycle", "yolox", "adaptive")


def plan_of(name: str, run: Run, **schedule: Any) -> SchedulePlan:
    settings = ScheduleSettings.model_validate({"name": name, **schedule})
    return make_plan(
        settings,
        lr0=1.0,
        epochs=run.epochs,
        batches_per_epoch=run.per_epoch,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={},
    )


def assert_close(plan: SchedulePlan, wanted: Sequence[Decimal | float]) -> None:
    assert len(wanted) == plan.total_steps
    for number, reference in enumerate(wanted):
        rate = plan.factor(number)
        assert abs(rate - float(reference)) <= TOLERANCE, (number, rate, reference)


def test_every_schedule_has_a_reference() -> None:
    assert list(REFERENCES) == list(SCHEDULES.names())


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize(("epochs", "per_epoch"), RUNS)
def test_a_schedule_without_a_warmup_equals_its_reference(
    name: str, epochs: int, per_epoch: int
) -> None:
    run = Run(epochs, per_epoch)
    warmup = {} if name in WARM_THEMSELVES else {"warmup": {"steps": 0}}
    assert_close(plan_of(name, run, **warmup), REFERENCES[name](run.total, run))


@pytest.mark.parametrize(
    "name", [name for name in SCHEDULES.names() if name not in WARM_THEMSELVES]
)
@pytest.mark.parametrize(("epochs", "per_epoch"), RUNS)
def test_a_schedule_with_its_usual_warmup_equals_its_reference(
    name: str, epochs: int, per_epoch: int
) -> None:
    length = min(3 * per_epoch, max(0, epochs * per_epoch - 2))
    run = Run(epochs, per_epoch, length)
    if name in OVERLAPPED:
        main = [Decimal(value) for value in REFERENCES[name](run.total, run)]
    else:
        rest = [Decimal(value) for value in REFERENCES[name](run.total - length, run)]
        main = rest[:1] * length + rest
    warm = [WARM_START + (1 - WARM_START) * Decimal(s + 1) / length for s in range(length)]
    ramps = warm + [Decimal(1)] * (run.total - length)
    wanted = [ramp * factor for ramp, factor in zip(ramps, main, strict=True)]
    assert_close(plan_of(name, run), wanted)


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize(("epochs", "per_epoch"), RUNS)
def test_a_schedule_by_epochs_equals_its_reference_at_the_start_of_each_epoch(
    name: str, epochs: int, per_epoch: int
) -> None:
    """Its end lies just behind the last epoch."""
    run = Run(epochs, per_epoch)
    warmup = {} if name in WARM_THEMSELVES else {"warmup": {"steps": 0}}
    open_ended = REFERENCES[name](run.total + 1, run)
    wanted = [open_ended[number - number % per_epoch] for number in range(run.total)]
    assert_close(plan_of(name, run, unit="epoch", **warmup), wanted)


@pytest.mark.parametrize(("epochs", "per_epoch"), RUNS)
def test_a_plateau_that_decides_equals_torch(epochs: int, per_epoch: int) -> None:
    run = Run(epochs, per_epoch)
    options = {"gamma": 0.5, "patience": 2, "cooldown": 1, "lrf": 0.01, "metric": "mAP50"}
    plan = plan_of("plateau", run, warmup={"steps": 0}, **options)
    ours = Scheduler(plan, torch.optim.SGD([torch.zeros(1)], lr=1.0))
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=2, cooldown=1, min_lr=0.01, eps=0.0
    )
    wanted: list[float] = []
    for epoch in range(epochs):
        wanted += [float(optimizer.param_groups[0]["lr"])] * per_epoch
        score = math.sin(epoch / 3) + epoch / 50
        theirs.step(score)
        ours.observe_epoch((epoch + 1) * per_epoch, metrics={"metrics/mAP50(B)": score})
    assert epochs < 10 or wanted[-1] < 1.0
    assert_close(ours.plan, wanted)
