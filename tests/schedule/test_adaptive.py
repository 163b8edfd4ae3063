"""`adaptive`: what it decides from losses and gradients, within its caps, and what it keeps."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from typing import Any

import pytest

from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.schedule.adaptive import Adaptive
from fusetrain.schedule.adaptive_observer import CYCLE, RAMP, AdaptiveObserver
from fusetrain.schedule.curves import Cosine, MultiStep
from fusetrain.schedule.cycles import Cyclic
from fusetrain.schedule.following import Decision
from fusetrain.schedule.options import curve_problems
from fusetrain.schedule.planning import make_plan

TOTAL = 1000
WARM = 100
Loss = dict[int, float | None]


def watched(
    curve: Adaptive, loss: Any, norm: Any = lambda step: 1.0, *, total: int = TOTAL
) -> tuple[Adaptive, list[Decision]]:
    """Let the curve see a whole run; returns it with all that it decided."""
    observer = curve.observer(total)
    found: list[Decision] = []
    for step in range(total):
        found += observer.observe(step, loss=loss(step), grad_norm=norm(step))
    return curve.decided(found), found


def falling(step: int) -> float:
    return 10.0 * 0.97**step


def rising(step: int) -> float:
    return 1.0 + step


def level(step: int) -> float:
    return 3.0


def test_a_level_loss_leaves_the_warmup_as_planned() -> None:
    curve, found = watched(Adaptive(warm=WARM), level)
    assert found == []
    assert curve.warm_end(TOTAL) == WARM
    wanted = [0.001 + 0.999 * (step + 1) / WARM for step in range(WARM)]
    assert [curve.factor(step, TOTAL) for step in range(WARM)] == pytest.approx(wanted, abs=1e-12)
    assert curve.factor(WARM - 1, TOTAL) == 1.0
    after = [curve.factor(step, TOTAL) for step in range(WARM, TOTAL)]
    assert after == [Cosine().factor(step, TOTAL - WARM) for step in range(TOTAL - WARM)]


def test_a_falling_loss_ends_the_warmup_early() -> None:
    curve, found = watched(Adaptive(warm=WARM), falling)
    assert [(decision.step, decision.kind, decision.value) for decision in found] == [
        (20, RAMP, 4.0)
    ]
    assert curve.warm_end(TOTAL) == 40
    assert curve.factor(39, TOTAL) == 1.0


def test_a_rising_loss_extends_the_warmup_but_not_beyond_its_cap() -> None:
    for longest in (1.0, 1.5, 2.0, 3.7):
        curve, _ = watched(Adaptive(warm=WARM, longest=longest), rising)
        assert curve.warm_end(TOTAL) == WARM + int((longest - 1) * WARM) // 10 * 10
        assert curve.warm_end(TOTAL) <= longest * WARM


def test_a_skipped_step_makes_the_ramp_wait() -> None:
    curve, found = watched(Adaptive(warm=WARM), lambda step: None if step == 34 else level(step))
    assert [(decision.step, decision.value) for decision in found] == [(40, 0.0), (50, 1.0)]
    assert curve.warm_end(TOTAL) == WARM + 10


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_loss_the_ramp_rises_without_a_jump_and_keeps_its_caps(seed: int) -> None:
    draw = random.Random(seed)
    losses = [draw.choice([None, 1.0, 2.0, 5.0, 100.0 * draw.random()]) for _ in range(TOTAL)]
    curve, _ = watched(Adaptive(warm=WARM, shortest=0.2, longest=2.5), lambda step: losses[step])
    found = [curve.factor(step, TOTAL) for step in range(TOTAL)]
    end = curve.warm_end(TOTAL)
    assert 0.2 * WARM <= end <= 2.5 * WARM
    assert all(0.0 <= late - early <= 5.01 / WARM for early, late in pairwise(found[:end]))
    assert found[end - 1] == found[end] == 1.0
    assert found[-1] == 0.01


def test_what_is_decided_changes_no_step_before() -> None:
    draw = random.Random(5)
    curve = Adaptive(warm=WARM, restart=150)
    observer, found = curve.observer(TOTAL), list[Decision]()
    seen = []
    for step in range(TOTAL):
        seen.append(curve.decided(found).factor(step, TOTAL))
        found += observer.observe(step, loss=draw.uniform(1, 3), grad_norm=draw.uniform(1, 3))
    known = curve.decided(found)
    assert [known.factor(step, TOTAL) for step in range(TOTAL)] == seen
    assert {decision.kind for decision in found} == {RAMP, CYCLE}


def test_shrinking_gradients_stretch_the_cycles_and_growing_ones_shorten_them() -> None:
    options: dict[str, Any] = {"warm": 0, "restart": 100}
    same, _ = watched(Adaptive(**options), level)
    assert same.restarts(TOTAL) == tuple(range(100, 1000, 100))
    shrinking, _ = watched(Adaptive(**options), level, lambda step: 1.0 / (1 + step))
    starts = (0, *shrinking.restarts(TOTAL))
    assert [late - early for early, late in pairwise(starts)] == [100, 200, 341]
    growing, _ = watched(Adaptive(**options), level, lambda step: 1.02**step)
    lengths = [late - early for early, late in pairwise(growing.restarts(TOTAL))]
    assert lengths[0] == 50
    assert min(lengths) >= 25
    for curve in (same, shrinking, growing):
        assert curve.factor(TOTAL - 1, TOTAL) == 0.01
        assert all(curve.factor(start, TOTAL) == 1.0 for start in curve.restarts(TOTAL))


def test_gradients_that_were_never_finite_leave_the_cycles_alike() -> None:
    curve, _ = watched(Adaptive(warm=0, restart=300), level, lambda step: None)
    assert curve.restarts(TOTAL) == (300, 600)


@pytest.mark.parametrize("restart", [None, 90])
def test_an_observer_that_is_restored_goes_on_as_if_never_stopped(restart: int | None) -> None:
    draw = random.Random(11)
    numbers = [(draw.uniform(1, 3), draw.uniform(1, 3)) for _ in range(400)]
    curve = Adaptive(warm=60, restart=restart)

    def run(stop: int) -> tuple[list[Decision], dict[str, Any]]:
        observer, found = AdaptiveObserver(curve, 400), list[Decision]()
        for step, (loss, norm) in enumerate(numbers):
            if step == stop:
                saved = json.loads(json.dumps(observer.state_dict()))
                observer = AdaptiveObserver(curve, 400)
                observer.load_state_dict(saved, found)
            found += observer.observe(step, loss=loss, grad_norm=norm)
        return found, observer.state_dict()

    through = run(-1)
    assert through[0]
    for stop in range(0, 400, 7):
        assert run(stop) == through


def test_a_curve_that_overlaps_runs_from_the_start_under_the_ramp() -> None:
    curve = Adaptive(warm=WARM, then=MultiStep(milestones=(50, 500)))
    assert curve.factor(49, TOTAL) == pytest.approx(0.001 + 0.999 * 0.5)
    assert [curve.factor(step, TOTAL) for step in (99, 499, 500)] == [0.1, 0.1, 0.1**2]


def test_the_momentum_of_the_curve_is_passed_on() -> None:
    curve = Adaptive(warm=WARM, then=Cyclic(step_size_up=100))
    assert curve.moves_momentum
    assert curve.momentum(100, TOTAL) == 0.8
    assert not Adaptive().moves_momentum
    assert Adaptive().momentum(3, TOTAL) is None


def test_a_run_too_short_for_the_longest_warmup_gets_a_shorter_one() -> None:
    curve = Adaptive(warm=WARM)
    assert curve.planned_warm(52) == 25
    assert "cut from 100 to 25 of 52 steps" in curve.notes(52)[0]
    slow, _ = watched(curve, rising, total=52)
    assert slow.warm_end(52) <= 50
    assert slow.factor(51, 52) == 0.01
    assert curve.planned_warm(2) == 0
    assert curve.factor(0, 1) == 1.0


def test_the_ends_of_what_may_happen_hold_what_does_happen() -> None:
    curve = Adaptive(warm=WARM)
    ends = curve.extremes(TOTAL, steps_per_epoch=10)
    fast, slow = (curve.decided(decisions).warm_end(TOTAL) for decisions in ends.values())
    assert (fast, slow) == (40, 200)
    assert watched(curve, falling)[0].warm_end(TOTAL) == fast
    assert watched(curve, rising)[0].warm_end(TOTAL) == slow
    assert Adaptive(warm=0).extremes(TOTAL, steps_per_epoch=10) == {}


@pytest.mark.parametrize(
    ("schedule", "keys", "words"),
    [
        ({"then": "cosine"}, ("then",), "{name: …, parameters}"),
        ({"then": {"name": "cosine", "lfr": 1}}, ("then", "lfr"), "did you mean 'lrf'?"),
        ({"then": {"name": "onecycle"}}, ("then", "name"), "warms up by itself"),
        ({"then": {"name": "plateau"}}, ("then", "name"), "follows the run"),
        ({"decisions": []}, ("decisions",), "unknown parameter"),
        ({"longest": 0.5}, ("longest",), "greater than or equal to 1"),
        ({"warmup": {"epochs": 1}}, ("warmup",), "warms up by itself"),
    ],
)
def test_wrong_settings_are_named(
    schedule: dict[str, Any], keys: tuple[str, ...], words: str
) -> None:
    given = ScheduleSettings.model_validate({"name": "adaptive", **schedule})
    ((found, message),) = curve_problems(given)
    assert found == keys
    assert words in message


def test_a_plan_with_settings_of_the_curve_after_the_warmup() -> None:
    schedule = {
        "name": "adaptive",
        "warm": 1,
        "then": {"name": "cosine", "eta_min": 1e-5},
        "restart": {"steps": 30},
    }
    plan = make_plan(
        ScheduleSettings.model_validate(schedule),
        lr0=1e-3,
        epochs=10,
        batches_per_epoch=10,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={},
    )
    assert plan.factor(9) == plan.factor(10) == 1.0
    assert plan.restarts == (40, 70)
    assert plan.lr(plan.groups[0], 99) == pytest.approx(1e-5, rel=1e-12)
    assert "follows the run" in plan.notes[-1]
    assert math.isclose(plan.factor(0), 0.001 + 0.999 * 0.1)
