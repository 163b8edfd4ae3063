"""Every curve against its reference at every step: torch's own class, or a formula in 50 digits."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, getcontext
from functools import cache

import pytest
import torch
from torch.optim import lr_scheduler

from fusetrain.schedule.curves import Constant, Cosine, Curve, Linear, MultiStep, Ramp, blend

getcontext().prec = 50
PI = Decimal("3.14159265358979323846264338327950288419716939937510")
LENGTHS = (1, 7, 100, 10_000)
TOLERANCE = 1e-12
MakeScheduler = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def decimal_cos_pi(share: Decimal) -> Decimal:
    """Return cos(pi share) for 0 <= share <= 1 to some 45 digits."""
    if share > Decimal("0.5"):
        return -decimal_cos_pi(1 - share)
    square = (PI * share) ** 2
    term = total = Decimal(1)
    for n in range(1, 25):
        term *= -square / (2 * n * (2 * n - 1))
        total += term
    return total


def torch_factors(make: MakeScheduler, steps: int) -> list[float]:
    """Step a torch scheduler and return the rates, base rate 1, before each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(steps):
        factors.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return factors


def factors(curve: Curve, steps: int, *, total: int | None = None) -> list[float]:
    return [curve.factor(step, total or steps) for step in range(steps)]


def assert_close(found: list[float], wanted: list[float] | list[Decimal]) -> None:
    assert len(found) == len(wanted)
    worst = max(
        abs(Decimal(a) - Decimal(b)) / max(Decimal(1), abs(Decimal(b)))
        for a, b in zip(found, wanted, strict=True)
    )
    assert worst <= TOLERANCE


@cache
def cosine_reference(steps: int) -> tuple[Decimal, ...]:
    floor = Decimal("0.01")
    last = max(1, steps - 1)
    return tuple(
        floor + (1 - floor) * (1 + decimal_cos_pi(Decimal(step) / last)) / 2
        for step in range(steps)
    )


@pytest.mark.parametrize("steps", LENGTHS)
def test_cosine_equals_its_formula_in_fifty_digits(steps: int) -> None:
    assert_close(factors(Cosine(lrf=0.01), steps), list(cosine_reference(steps)))


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("lrf", [0.0, 0.01, 0.3])
def test_cosine_on_an_axis_that_ends_behind_the_run_equals_torch(steps: int, lrf: float) -> None:
    wanted = torch_factors(
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=lrf), steps
    )
    assert_close(factors(Cosine(lrf=lrf), steps, total=steps + 1), wanted)


@pytest.mark.parametrize("steps", [7, 100])
def test_cosine_with_a_period_equals_torch_up_to_it_and_holds_the_floor_after(steps: int) -> None:
    wanted = torch_factors(
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=0.01),
        steps + 1,
    )
    found = factors(Cosine(lrf=0.01, t_max=steps), 3 * steps)
    assert_close(found[: steps + 1], wanted)
    assert set(found[steps:]) == {0.01}


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("lrf", [0.01, 0.3])
def test_linear_equals_torch(steps: int, lrf: float) -> None:
    wanted = torch_factors(
        lambda optimizer: lr_scheduler.LinearLR(
            optimizer, start_factor=1.0, end_factor=lrf, total_iters=max(1, steps - 1)
        ),
        steps,
    )
    assert_close(factors(Linear(lrf=lrf), steps), wanted)


@pytest.mark.parametrize("epochs", LENGTHS)
def test_linear_and_cosine_equal_the_epoch_forms_of_the_field(epochs: int) -> None:
    lrf = Decimal("0.01")
    line = [(1 - Decimal(e) / epochs) * (1 - lrf) + lrf for e in range(epochs)]
    wave = [(1 - decimal_cos_pi(Decimal(e) / epochs)) / 2 * (lrf - 1) + 1 for e in range(epochs)]
    assert_close(factors(Linear(lrf=0.01), epochs, total=epochs + 1), line)
    assert_close(factors(Cosine(lrf=0.01), epochs, total=epochs + 1), wave)


@pytest.mark.parametrize("steps", LENGTHS)
def test_step_equals_torch(steps: int) -> None:
    milestones = (steps // 3, 2 * steps // 3, 2 * steps // 3, 8 * steps // 9)
    wanted = torch_factors(
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, list(milestones), gamma=0.3), steps
    )
    assert_close(factors(MultiStep(milestones=milestones, gamma=0.3), steps), wanted)


@pytest.mark.parametrize("steps", LENGTHS)
def test_constant_equals_torch(steps: int) -> None:
    wanted = torch_factors(
        lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=steps), steps
    )
    assert factors(Constant(), steps) == wanted


@pytest.mark.parametrize("steps", [2, 7, 100, 10_000])
@pytest.mark.parametrize("lrf", [0.0, 0.01, 1e-6 / 1e-3, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("curve_class", [Cosine, Linear])
def test_the_ends_are_exact(curve_class: type[Cosine | Linear], lrf: float, steps: int) -> None:
    curve = curve_class(lrf=lrf)
    assert curve.factor(0, steps) == 1.0
    assert curve.factor(steps - 1, steps) == lrf


@pytest.mark.parametrize("steps", [1, 7, 100, 10_000])
def test_warmup_that_aligns_with_the_start_equals_torch(steps: int) -> None:
    wanted = torch_factors(
        lambda optimizer: lr_scheduler.LinearLR(
            optimizer, start_factor=0.001, end_factor=1.0, total_iters=steps
        ),
        steps + 5,
    )
    ramp = Ramp(steps, align="start")
    assert_close([blend(0.001, 1.0, ramp.progress(step)) for step in range(steps + 5)], wanted)


@pytest.mark.parametrize("steps", [1, 7, 100, 10_000])
@pytest.mark.parametrize("align", ["start", "end"])
def test_warmup_curves_equal_their_formulas(steps: int, align: str) -> None:
    shift = 1 if align == "end" else 0
    shares = [Decimal(step + shift) / steps for step in range(steps)]
    wanted = {
        "linear": shares,
        "exp": [share**2 * share.sqrt() for share in shares],
        "cosine": [(1 - decimal_cos_pi(share)) / 2 for share in shares],
        "constant": [Decimal(0)] * steps,
    }
    for name, reference in wanted.items():
        ramp = Ramp(steps, curve=name, gamma=2.5, align=align)
        assert_close([ramp.progress(step) for step in range(steps)], reference)
        assert ramp.progress(steps) == 1.0


@pytest.mark.parametrize("name", ["linear", "exp", "cosine"])
def test_warmup_that_aligns_with_the_end_is_exactly_done_at_its_last_step(name: str) -> None:
    for steps in (1, 3, 7, 72, 1000):
        assert Ramp(steps, curve=name, gamma=1.7).progress(steps - 1) == 1.0


def test_blend_is_exact_at_both_ends() -> None:
    for start, end in ((0.1, 0.01), (0.8, 0.937), (0.001, 1.0), (1e-3, 1e-6)):
        assert blend(start, end, 0.0) == start
        assert blend(start, end, 1.0) == end
