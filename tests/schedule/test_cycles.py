"""Curves that rise again, and the momentum they move, at every step against torch's classes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from fusetrain.schedule.cycles import MAX_RESTARTS, CosineRestarts, Cyclic, OneCycle

from .references import assert_close, factors, stepped

LENGTHS = (1, 2, 7, 100, 1000)
LRF = st.floats(0.0, 0.9)


@pytest.mark.parametrize(("t0", "t_mult"), [(1, 1), (10, 1), (7, 2), (10, 3), (1, 2)])
@pytest.mark.parametrize("lrf", [0.0, 0.01])
def test_restarts_equal_torch(t0: int, t_mult: int, lrf: float) -> None:
    wanted, _ = stepped(
        lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(
            optimizer, T_0=t0, T_mult=t_mult, eta_min=lrf
        ),
        600,
    )
    assert_close(factors(CosineRestarts(t0=t0, t_mult=t_mult, lrf=lrf), 600), wanted)


def test_cycles_start_at_integers_also_where_a_logarithm_would_miss_them() -> None:
    """t0 = 10, mult = 3: the fifth restart is at 10 (3**5 - 1) / 2 = 1210."""
    curve = CosineRestarts(t0=10, t_mult=3)
    assert curve.restarts(5000) == (10, 40, 130, 400, 1210, 3640)
    assert all(curve.factor(step, 5000) == 1.0 for step in (0, 10, 40, 130, 400, 1210, 3640))
    assert all(curve.factor(step - 1, 5000) < 0.05 for step in (10, 40, 130, 400, 1210, 3640))


@given(t0=st.integers(1, 5000), t_mult=st.integers(1, 9), steps=st.integers(1, 2_000_000), lrf=LRF)
def test_every_cycle_starts_at_its_integer_and_nowhere_else(
    t0: int, t_mult: int, steps: int, lrf: float
) -> None:
    curve = CosineRestarts(t0=t0, t_mult=t_mult, lrf=lrf)
    found = curve.restarts(steps)
    length = t0
    starts = [0]
    while (start := starts[-1] + length) < steps and len(starts) <= MAX_RESTARTS:
        starts.append(start)
        length *= t_mult
    assert found == tuple(starts[1:])
    for start, end in pairwise(starts):
        assert curve.factor(start, steps) == 1.0
        assert end - start == 1 or curve.factor(start + 1, steps) < 1.0
        assert end - start == 1 or curve.factor(end - 1, steps) < 1.0


def test_the_peak_falls_from_cycle_to_cycle_but_not_below_the_floor() -> None:
    curve = CosineRestarts(t0=10, decay=0.5, lrf=0.2)
    assert [curve.factor(step, 100) for step in range(0, 60, 10)] == [
        *(1.0, 0.5, 0.25),
        *(0.2, 0.2, 0.2),
    ]


def test_the_cosine_of_a_cycle_runs_on_what_its_warmup_leaves() -> None:
    curve = CosineRestarts(t0=10, rewarm=4)
    assert [curve.rewarm_at(step, 40) for step in (0, 9, 10, 13, 20)] == [
        *(None, None),
        *((0, 4), (3, 4), (0, 4)),
    ]
    assert [curve.factor(step, 40) for step in (10, 13, 14)] == [1.0, 1.0, 1.0]
    assert [curve.factor(step, 40) for step in range(14, 20)] == [
        CosineRestarts(t0=6).factor(step, 40) for step in range(6)
    ]


def test_a_warmup_longer_than_its_cycle_is_cut_and_told() -> None:
    curve = CosineRestarts(t0=5, rewarm=9)
    assert curve.rewarm_at(5, 20) == (0, 3)
    assert "cut from 9 to 3 of 5 steps" in curve.notes(20)[0]
    assert CosineRestarts(t0=5, rewarm=3).notes(20) == ()


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("anneal", ["cos", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("pct_start", [0.3, 0.25, 0.5])
def test_one_cycle_equals_torch_in_rate_and_momentum(
    steps: int, anneal: Any, three_phase: bool, pct_start: float
) -> None:
    # Where a phase ends with step 0, torch divides by zero; one step more and it does not.
    steps += pct_start * steps == 1.0
    options: dict[str, Any] = {
        "pct_start": pct_start,
        "div_factor": 10.0,
        "final_div_factor": 500.0,
        "three_phase": three_phase,
        "base_momentum": 0.8,
        "max_momentum": 0.97,
    }
    rates, momenta = stepped(
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, max_lr=1.0, total_steps=steps, anneal_strategy=anneal, **options
        ),
        steps,
    )
    curve = OneCycle(anneal=anneal, **options)
    assert_close(factors(curve, steps), rates)
    assert_close([curve.momentum(step, steps) for step in range(steps)], momenta)


def test_one_cycle_from_its_name_alone_has_the_defaults_of_torch() -> None:
    rates, momenta = stepped(
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=500), 500
    )
    curve = OneCycle()
    assert_close(factors(curve, 500), rates)
    assert_close([curve.momentum(step, 500) for step in range(500)], momenta)


def test_one_cycle_where_torch_divides_by_zero() -> None:
    assert factors(OneCycle(pct_start=0.5), 2) == pytest.approx([1.0, 1 / 25e4])


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
@pytest.mark.parametrize(("up", "down"), [(1, 1), (7, 7), (10, 3), (3, 50)])
def test_cyclic_equals_torch_in_rate_and_momentum(mode: Any, up: int, down: int) -> None:
    gamma = 0.999 if mode == "exp_range" else 1.0
    rates, momenta = stepped(
        lambda optimizer: lr_scheduler.CyclicLR(
            optimizer,
            base_lr=0.05,
            max_lr=1.0,
            step_size_up=up,
            step_size_down=down,
            mode=mode,
            gamma=gamma,
            base_momentum=0.7,
            max_momentum=0.95,
        ),
        600,
    )
    curve = Cyclic(
        low=0.05,
        step_size_up=up,
        step_size_down=down,
        mode=mode,
        gamma=gamma,
        base_momentum=0.7,
        max_momentum=0.95,
    )
    assert_close(factors(curve, 600), rates)
    assert_close([curve.momentum(step, 600) for step in range(600)], momenta)


def test_the_range_that_shrinks_ends_at_a_hundredth_where_no_gamma_is_given() -> None:
    curve = Cyclic(low=0.1, step_size_up=9, step_size_down=1, mode="exp_range")
    assert curve.factor(99, 100) == pytest.approx(0.1 + 0.9 * 0.01)


def test_momentum_is_left_alone_where_that_is_asked_for() -> None:
    for curve in (OneCycle(cycle_momentum=False), Cyclic(cycle_momentum=False)):
        assert not curve.moves_momentum
        assert curve.momentum(3, 10) is None


@pytest.mark.parametrize(
    ("curve_class", "options", "words"),
    [
        (OneCycle, {"three_phase": True, "pct_start": 0.6}, "at most 0.5"),
        (OneCycle, {"base_momentum": 0.96}, "not exceed"),
        (Cyclic, {"base_momentum": 0.95}, "not exceed"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    curve_class: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        curve_class(**options)
