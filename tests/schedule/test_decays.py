"""Curves that fall once, at every step against torch's class or against their formula."""

from __future__ import annotations

import math

import pytest
from torch.optim import lr_scheduler

from fusetrain.schedule.curves import Curve
from fusetrain.schedule.decays import (
    CosineHold,
    Exponential,
    InverseSqrt,
    Polynomial,
    WarmupStableDecay,
    Yolox,
)

from .references import assert_close, factors, stepped

LENGTHS = (1, 7, 100, 1000)


@pytest.mark.parametrize("t_max", LENGTHS)
@pytest.mark.parametrize("lrf", [0.0, 0.01, 0.3])
def test_held_cosine_equals_torch_up_to_its_period_and_holds_the_floor(
    t_max: int, lrf: float
) -> None:
    wanted, _ = stepped(
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=t_max, eta_min=lrf),
        t_max + 1,
    )
    found = factors(CosineHold(lrf=lrf, t_max=t_max), 2 * t_max + 5)
    assert_close(found[: t_max + 1], wanted)
    assert set(found[t_max:]) == {lrf}


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("gamma", [0.5, 0.95, 0.9999])
def test_exponential_equals_torch(steps: int, gamma: float) -> None:
    wanted, _ = stepped(lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma), steps)
    assert_close(factors(Exponential(gamma=gamma), steps), wanted)


@pytest.mark.parametrize("steps", [2, 7, 100, 1000])
def test_exponential_without_gamma_ends_at_its_floor(steps: int) -> None:
    found = factors(Exponential(), steps)
    assert found[0] == 1.0
    assert found[-1] == 0.01
    assert_close(found, [0.01 ** (step / (steps - 1)) for step in range(steps)])
    assert factors(Exponential(lrf=0.2), steps)[-1] == 0.2


def test_exponential_falls_once_in_each_stretch_and_not_below_a_floor_that_is_given() -> None:
    curve = Exponential(gamma=0.5, every=10, lrf=0.1)
    assert [curve.factor(step, 100) for step in (0, 10, 20, 30, 40, 99)] == [
        *(1.0, 0.5, 0.25, 0.125),
        *(0.1, 0.1),
    ]


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 3.7])
def test_polynomial_on_an_axis_that_ends_behind_the_run_equals_torch(
    steps: int, power: float
) -> None:
    wanted, _ = stepped(
        lambda optimizer: lr_scheduler.PolynomialLR(optimizer, total_iters=steps, power=power),
        steps,
    )
    assert_close(factors(Polynomial(power=power, lrf=0.0), steps, total=steps + 1), wanted)


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_polynomial_ends_exactly_at_its_floor(power: float) -> None:
    found = factors(Polynomial(power=power, lrf=0.1), 100)
    assert (found[0], found[-1]) == (1.0, 0.1)
    assert_close(found, [0.1 + 0.9 * (1 - step / 99) ** power for step in range(100)])


def test_inverse_square_root_is_that_of_the_transformer() -> None:
    """Vaswani et al. (2017), eq. 3, scaled to 1 at the end of the warmup of 40 steps."""
    curve = InverseSqrt(timescale=40)
    wanted = [min(s**-0.5, s * 40**-1.5) * 40**0.5 for s in range(40, 1000)]
    assert_close(factors(curve, 960), wanted)


@pytest.mark.parametrize("decay", ["linear", "sqrt", "cosine"])
@pytest.mark.parametrize("steps", [2, 7, 100, 1000])
def test_stable_then_decay_equals_its_formula(decay: str, steps: int) -> None:
    hold, last, r = int(0.8 * (steps - 1)), steps - 1, 0.05
    shape = {
        "linear": lambda q: 1 - (1 - r) * q,
        "sqrt": lambda q: 1 - (1 - r) * math.sqrt(q),
        "cosine": lambda q: r + (1 - r) * (1 + math.cos(math.pi * q)) / 2,
    }[decay]
    curve = WarmupStableDecay(decay=decay, lrf=r)  # type: ignore[arg-type]
    found = factors(curve, steps)
    wanted = [1.0 if s <= hold else shape((s - hold) / (last - hold)) for s in range(steps)]
    assert_close(found, wanted)
    assert (found[0], found[-1]) == (1.0, r)


def test_stable_stretch_as_long_as_the_run_is_told() -> None:
    curve = WarmupStableDecay(hold=100)
    assert set(factors(curve, 100)) == {1.0}
    assert "leaves nothing of 100 steps" in curve.notes(100)[0]
    assert WarmupStableDecay(hold=98).notes(100) == ()


@pytest.mark.parametrize(("total", "warm", "last"), [(300, 5, 15), (3000, 50, 150), (100, 0, 0)])
def test_yolox_equals_its_formula(total: int, warm: int, last: int) -> None:
    def reference(t: int) -> float:
        if t < warm:
            return (t / warm) ** 2
        if t >= total - last:
            return 0.05
        part = (t - warm) / (total - warm - last)
        return 0.05 + 0.5 * (1 - 0.05) * (1 + math.cos(math.pi * part))

    curve = Yolox(warm=warm, last=last, start=0.0)
    assert_close(factors(curve, total), [reference(t) for t in range(total)])
    assert curve.factor(warm, total) == 1.0


def test_yolox_in_a_run_too_short_for_its_warmup_still_peaks() -> None:
    curve = Yolox(warm=50, last=15)
    found = factors(curve, 20)
    assert max(found) == 1.0 == found[18]
    assert found[-1] == 0.05
    assert "cut from 50 to 18 of 20 steps" in curve.notes(20)[0]


@pytest.mark.parametrize(
    "curve", [CosineHold(t_max=1), Exponential(), Polynomial(), WarmupStableDecay(), Yolox(warm=3)]
)
def test_a_run_of_one_step_is_made_at_the_peak(curve: Curve) -> None:
    assert curve.factor(0, 1) == 1.0
