"""Curves one after another: each has its own values, and there is no other jump."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.schedule.curves import Cosine, Linear
from fusetrain.schedule.cycles import OneCycle
from fusetrain.schedule.options import curve_problems
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.planning import make_plan

from .references import assert_close, factors

NONE = {"steps": 0}


def plan_of(curves: list[dict[str, Any]], **changes: Any) -> SchedulePlan:
    schedule = {"name": "sequence", "curves": curves, "warmup": NONE, **changes}
    return make_plan(
        ScheduleSettings.model_validate(schedule),
        lr0=1.0,
        epochs=10,
        batches_per_epoch=10,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={},
    )


def all_factors(plan: SchedulePlan) -> list[float]:
    return [plan.factor(step) for step in range(plan.total_steps)]


def test_each_piece_has_its_own_values_from_its_first_to_its_last_step() -> None:
    pieces = [
        {"name": "linear", "epochs": 3, "lrf": 0.5},
        {"name": "cosine", "steps": 25, "peak": 0.5},
        {"name": "cosine", "lrf": 0.2},
    ]
    plan = plan_of(pieces)
    wanted = factors(Linear(lrf=0.5), 30)
    wanted += [0.5 * value for value in factors(Cosine(), 25)]
    wanted += factors(Cosine(lrf=0.2), 45)
    assert all_factors(plan) == wanted
    assert plan.restarts == (30, 55)
    assert plan.notes == ()


def test_pieces_that_meet_leave_no_jump() -> None:
    plan = plan_of(
        [
            {"name": "linear", "epochs": 4, "lrf": 0.5},
            {"name": "polynomial", "epochs": 6, "peak": 0.5, "power": 2},
        ]
    )
    steps = [late - early for early, late in pairwise(all_factors(plan))]
    assert max(map(abs, steps)) < 0.02


def test_the_warmup_is_taken_from_the_first_piece() -> None:
    pieces = [{"name": "cosine", "epochs": 5}, {"name": "constant", "epochs": 5, "peak": 0.01}]
    plan = plan_of(pieces, warmup={"epochs": 2})
    found = all_factors(plan)
    assert found[19] == 1.0
    assert found[20:50] == factors(Cosine(), 30)
    assert set(found[50:]) == {0.01}


def test_a_warmup_longer_than_the_first_piece_hides_it() -> None:
    pieces = [{"name": "constant", "epochs": 1}, {"name": "cosine", "epochs": 9}]
    plan = plan_of(pieces, warmup={"epochs": 2})
    assert all_factors(plan)[20:] == factors(Cosine(), 80)


def test_times_inside_a_piece_count_from_its_start() -> None:
    pieces = [{"name": "constant", "epochs": 4}, {"name": "step", "milestones": [2, 4]}]
    found = all_factors(plan_of(pieces))
    assert (found[59], found[60], found[79], found[80]) == (1.0, 0.1, 0.1, 0.1**2)


def test_unit_epoch_ends_each_piece_behind_its_last_epoch() -> None:
    pieces = [{"name": "cosine", "epochs": 4}, {"name": "linear", "epochs": 6, "lrf": 0.0}]
    found = all_factors(plan_of(pieces, unit="epoch"))
    wanted = factors(Cosine(), 4, total=5) + factors(Linear(lrf=0.0), 6, total=7)
    assert_close(found[::10], wanted)
    assert all(found[epoch * 10] == found[epoch * 10 + 9] for epoch in range(10))


def test_a_piece_moves_the_momentum_and_leaves_it_as_it_was() -> None:
    pieces = [{"name": "onecycle", "epochs": 6}, {"name": "cosine", "epochs": 4}]
    plan = plan_of(pieces, warmup=None)
    found = [plan.momentum(step) for step in range(100)]
    assert found[:60] == [OneCycle().momentum(step, 60) for step in range(60)]
    assert set(found[60:]) == {0.9}


def test_a_first_piece_with_its_own_warmup_takes_no_other() -> None:
    pieces = [{"name": "onecycle", "epochs": 6}, {"name": "cosine"}]
    assert plan_of(pieces, warmup=None).warmup_steps == 0
    schedule = {"name": "sequence", "curves": pieces, "warmup": {"epochs": 1}}
    ((keys, message),) = curve_problems(ScheduleSettings.model_validate(schedule))
    assert keys == ("warmup",)
    assert "warms up by itself" in message


@pytest.mark.parametrize(
    ("epochs", "words"), [((3, 4), "last 70 steps"), ((3, 9), "last 120 steps")]
)
def test_lengths_that_do_not_fit_the_run_are_told(epochs: tuple[int, int], words: str) -> None:
    plan = plan_of(
        [{"name": "constant", "epochs": epochs[0]}, {"name": "cosine", "epochs": epochs[1]}]
    )
    assert words in plan.notes[0]
    assert plan.factor(30) == 1.0
    assert plan.factor(99) == 0.01


def test_a_curve_behind_the_run_is_told() -> None:
    plan = plan_of([{"name": "constant", "epochs": 12}, {"name": "cosine"}])
    assert any("curve 2 of the sequence lies behind the run" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("curves", "keys", "words"),
    [
        ([], ("curves",), "a list of"),
        ("cosine", ("curves",), "a list of"),
        (["cosine"], ("curves", 0), "{name, epochs, parameters}"),
        ([{"name": "cosin"}], ("curves", 0, "name"), "did you mean 'cosine'?"),
        ([{"name": "cosine"}, {"name": "linear"}], ("curves", 0), "only the last curve may"),
        ([{"name": "cosine", "epochs": 1, "steps": 3}], ("curves", 0), "give either"),
        ([{"name": "cosine", "epochs": -1}], ("curves", 0, "epochs"), "at least 0"),
        ([{"name": "cosine", "peak": 2}], ("curves", 0, "peak"), "at most 1, not 2"),
        ([{"name": "cosine", "lfr": 2}], ("curves", 0, "lfr"), "did you mean 'lrf'?"),
        ([{"name": "cosine", "warmup": {}}], ("curves", 0, "warmup"), "the whole schedule"),
        ([{"name": "plateau"}], ("curves", 0, "name"), "follows the run"),
    ],
)
def test_a_wrong_piece_is_named(curves: Any, keys: tuple[str | int, ...], words: str) -> None:
    schedule = {"name": "sequence", "curves": curves}
    ((found, message),) = curve_problems(ScheduleSettings.model_validate(schedule))
    assert found == keys
    assert words in message
