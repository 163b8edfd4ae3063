"""The plan of a run: warmup and curve together, groups, momentum, runs that were extended."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from fusetrain.config.schema import PARTS, PlanChange, ScheduleSettings
from fusetrain.errors import ConfigError
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.following import Decision, rescaled
from fusetrain.schedule.plan import GroupKey, SchedulePlan
from fusetrain.schedule.planning import make_plan, replanned

DECAY, NORM, BIAS = (GroupKey(None, kind) for kind in ("decay", "norm", "bias"))


def plan_of(schedule: dict[str, Any] | None = None, **changes: Any) -> SchedulePlan:
    arguments: dict[str, Any] = {
        "lr0": 1e-3,
        "epochs": 30,
        "batches_per_epoch": 24,
        "accumulate": 1,
        "momentum": 0.9,
        "parts": PARTS,
        "part_scales": {},
    }
    return make_plan(ScheduleSettings.model_validate(schedule or {}), **{**arguments, **changes})


def all_factors(plan: SchedulePlan) -> list[float]:
    return [plan.factor(step) for step in range(plan.total_steps)]


def test_a_trailing_accumulation_group_counts_as_a_step() -> None:
    plan = plan_of(epochs=3, batches_per_epoch=10, accumulate=4)
    assert (plan.steps_per_epoch, plan.total_steps) == (3, 9)
    assert [plan.epoch_of(step) for step in range(9)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [plan.last_step_of(epoch) for epoch in range(3)] == [2, 5, 8]


def test_the_default_warms_up_for_three_epochs_and_ends_at_a_hundredth() -> None:
    plan = plan_of()
    factors = all_factors(plan)
    assert plan.warmup_steps == 72
    assert factors[0] == pytest.approx(0.001 + 0.999 / 72, abs=1e-15)
    assert (factors[71], factors[72], factors[-1]) == (1.0, 1.0, 0.01)
    assert all(early < late for early, late in pairwise(factors[:72]))
    assert all(early > late for early, late in pairwise(factors[72:]))
    assert plan.notes == ()


def test_a_tiny_run_reaches_lr0_and_ends_at_the_floor_exactly() -> None:
    plan = plan_of(epochs=3, batches_per_epoch=4)
    factors = all_factors(plan)
    assert plan.warmup_steps == 10
    assert (factors[9], factors[10], factors[11]) == (1.0, 1.0, 0.01)
    (note,) = plan.notes
    assert "cut from 12 to 10 of 12 steps" in note


OWN_WARMUP = ("yolox", "adaptive")
FLOORS = {
    **dict.fromkeys(("cosine", "cosine_hold", "linear", "polynomial", "exponential"), 0.01),
    **dict.fromkeys(("wsd", "adaptive", "sequence"), 0.01),
    "step": 0.1**2,
    "yolox": 0.05,
    "onecycle": 1 / 25 / 1e4,
}


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("unit", ["step", "epoch"])
def test_every_schedule_reaches_lr0_in_a_tiny_run_and_its_floor_at_the_end(
    name: str, unit: str
) -> None:
    """Three epochs of four batches, the default warmup longer than the run."""
    factors = all_factors(plan_of({"name": name, "unit": unit}, epochs=3, batches_per_epoch=4))
    # One cycle peaks between two steps, as torch's; triangles peak under the warmup. By epochs,
    # what rises by itself is only seen at the start of each epoch.
    if name not in ("onecycle", "cyclic") and (unit == "step" or name not in OWN_WARMUP):
        assert max(factors) == 1.0
    if unit == "step" and name in FLOORS:
        assert factors[-1] == pytest.approx(FLOORS[name], rel=1e-12)


def test_a_warmup_over_a_staircase_is_cut_to_its_first_milestone_and_told() -> None:
    plan = plan_of({"name": "step", "milestones": [2, 4]}, epochs=6, batches_per_epoch=4)
    assert plan.warmup_steps == 8
    assert (plan.factor(7), plan.factor(8)) == (1.0, 0.1)
    (note,) = plan.notes
    assert "cut from 12 to 8 of 24 steps, so that lr0 is reached before the curve falls" in note


@pytest.mark.parametrize(
    ("schedule", "notes"),
    [
        (
            {"name": "cosine", "t_max": 100},
            ["`t_max` names 2400 steps (100 epochs), the run ends after 720 steps (30 epochs)"],
        ),
        ({"name": "cosine_hold", "t_max": {"steps": 721}}, ["`t_max` names 721 steps (30 epochs)"]),
        ({"name": "cosine_restarts", "t0": 31}, ["`t0` names 744 steps (31 epochs), the run ends"]),
        (
            {"name": "step", "milestones": [16, 30, 40]},
            ["`milestones` names 720 steps (30", "`milestones` names 960 steps (40 epochs)"],
        ),
        ({"name": "wsd", "hold": 40}, ["`hold` of 960 steps leaves nothing of 648 steps"]),
        ({"warmup": {"epochs": 50}}, ["the warmup is cut from 1200 to 718 of 720 steps"]),
        (
            {"name": "torch:CosineAnnealingLR", "T_max": 1000},
            ["`T_max` names 1000 steps, the run ends after 720 steps: the floor is never reached"],
        ),
        (
            {"name": "torch:CosineAnnealingLR", "T_max": 20, "unit": "epoch"},
            ["`T_max` names 20 epochs, the run ends after 30 epochs: it climbs again after that"],
        ),
        ({"name": "torch:CosineAnnealingLR", "T_max": 30, "unit": "epoch"}, []),
        (
            {"name": "torch:MultiStepLR", "milestones": [16, 31], "unit": "epoch"},
            ["`milestones` names 31 epochs, the run ends after 30 epochs"],
        ),
        ({"name": "step", "milestones": [16, 29]}, []),
        ({"name": "cosine", "t_max": 30}, []),
    ],
)
def test_times_that_do_not_fit_the_run_are_told_with_their_numbers(
    schedule: dict[str, Any], notes: list[str]
) -> None:
    found = plan_of(schedule).notes
    assert len(found) == len(notes)
    assert all(start in note for start, note in zip(notes, found, strict=True))


@pytest.mark.parametrize(("steps", "wanted"), [(1, [1.0]), (2, [1.0, 0.01])])
def test_runs_of_one_and_two_steps_have_no_warmup(steps: int, wanted: list[float]) -> None:
    plan = plan_of(epochs=1, batches_per_epoch=steps)
    assert all_factors(plan) == wanted
    assert plan.warmup_steps == 0


def test_every_short_run_reaches_lr0_and_the_floor() -> None:
    for total in range(2, 40):
        factors = all_factors(plan_of(epochs=1, batches_per_epoch=total))
        assert max(factors) == 1.0
        assert factors[-1] == 0.01


def test_eta_min_is_the_rate_of_the_last_step() -> None:
    plan = plan_of({"eta_min": 1e-6})
    assert plan.lr(DECAY, plan.total_steps - 1) == pytest.approx(1e-6, rel=1e-15)


def test_unit_epoch_holds_the_classic_form_for_an_epoch() -> None:
    plan = plan_of({"unit": "epoch", "warmup": {"steps": 0}})
    for step in range(plan.total_steps):
        epoch = step // 24
        wanted = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * epoch / 30))
        assert plan.factor(step) == pytest.approx(wanted, abs=1e-15)


def test_step_counts_milestones_from_the_start_of_the_run_with_either_composition() -> None:
    for compose in ("shift", "overlap"):
        schedule = {"name": "step", "milestones": [16, {"steps": 530}], "warmup": {}}
        schedule["warmup"] = {"compose": compose}
        factors = all_factors(plan_of(schedule))
        assert factors[16 * 24 - 1] == 1.0
        assert factors[16 * 24] == factors[529] == 0.1
        assert factors[530] == pytest.approx(0.01, abs=1e-15)


def test_step_has_its_milestones_at_two_thirds_and_eight_ninths() -> None:
    for unit, second in (("step", 8 * 720 // 9), ("epoch", 27 * 24)):
        factors = all_factors(plan_of({"name": "step", "unit": unit}))
        drops = [s for s in range(1, 720) if factors[s] < factors[s - 1]]
        assert drops == [480, second]


def test_step_with_overlapping_warmup_equals_the_torchvision_reference() -> None:
    """LinearLR per step inside epoch 0, MultiStepLR [16, 22] per epoch, 26 epochs."""
    batches, epochs = 40, 26
    warm = min(1000, batches - 1)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.02)
    main = lr_scheduler.MultiStepLR(optimizer, milestones=[16, 22], gamma=0.1)
    plan = plan_of(
        {
            "name": "step",
            "milestones": [16, 22],
            "warmup": {"steps": warm, "align": "start", "start": 0.001},
        },
        lr0=0.02,
        epochs=epochs,
        batches_per_epoch=batches,
    )
    for epoch in range(epochs):
        warmup = (
            lr_scheduler.LinearLR(optimizer, start_factor=0.001, total_iters=warm)
            if epoch == 0
            else None
        )
        for batch in range(batches):
            rate = float(optimizer.param_groups[0]["lr"])
            assert plan.lr(DECAY, epoch * batches + batch) == pytest.approx(rate, abs=1e-12)
            optimizer.step()
            if warmup:
                warmup.step()
        main.step()


def test_overlapping_warmup_equals_the_interpolation_of_the_field() -> None:
    """Each step interpolates from 0, or the bias rate, to the epoch's rate; momentum likewise."""
    epochs, batches, lr0 = 10, 50, 0.01
    warm = 3 * batches
    plan = plan_of(
        {
            "name": "linear",
            "unit": "epoch",
            "warmup": {
                "start": 0,
                "align": "start",
                "compose": "overlap",
                "bias_lr": 0.1,
                "momentum": 0.8,
            },
        },
        lr0=lr0,
        epochs=epochs,
        batches_per_epoch=batches,
        momentum=0.937,
    )
    for step in range(plan.total_steps):
        target = lr0 * ((1 - step // batches / epochs) * 0.99 + 0.01)
        x = min(1.0, step / warm)
        assert plan.lr(DECAY, step) == pytest.approx(x * target, abs=1e-12)
        assert plan.lr(BIAS, step) == pytest.approx(0.1 + (target - 0.1) * x, abs=1e-12)
        assert plan.momentum(step) == pytest.approx(0.8 + 0.137 * x, abs=1e-12)


def test_bias_rate_and_momentum_are_off_unless_asked_for() -> None:
    plan = plan_of()
    assert all(plan.lr(BIAS, step) == plan.lr(DECAY, step) for step in range(plan.total_steps))
    assert plan.momentum(0) is None


def test_bias_rate_and_momentum_arrive_exactly_at_the_end_of_the_warmup() -> None:
    plan = plan_of({"warmup": {"bias_lr": 0.1, "momentum": 0.8}}, lr0=0.01, momentum=0.937)
    assert plan.lr(BIAS, 0) == pytest.approx(0.1 + (0.01 - 0.1) / 72, abs=1e-15)
    assert plan.lr(BIAS, 71) == 0.01
    assert (plan.momentum(71), plan.momentum(719)) == (0.937, 0.937)
    assert [plan.lr(BIAS, s) for s in (100, 719)] == [plan.lr(DECAY, s) for s in (100, 719)]


def test_constant_warmup_holds_its_start() -> None:
    plan = plan_of({"warmup": {"curve": "constant", "start": 0.2, "steps": 5}})
    assert all_factors(plan)[:6] == [0.2] * 5 + [1.0]


def test_equal_parts_share_three_groups() -> None:
    plan = plan_of(part_scales={part: 0.5 for part in PARTS})
    assert plan.groups == (DECAY, NORM, BIAS)
    assert plan.columns == ("lr0", "lr/pg0", "lr/pg1", "lr/pg2")
    assert plan.row(72) == (1e-3, 5e-4, 5e-4, 5e-4)


def test_parts_that_differ_repeat_the_three_groups_in_the_order_of_the_parts() -> None:
    plan = plan_of(parts=tuple(reversed(PARTS)), part_scales={"neck": 0.1})
    assert [group.part for group in plan.groups] == [part for part in PARTS for _ in range(3)]
    assert [group.kind for group in plan.groups[:3]] == ["decay", "norm", "bias"]
    assert plan.lr(GroupKey("neck", "norm"), 72) == 1e-3 * 0.1
    assert plan.row(72)[0] == plan.lr(GroupKey("head", "decay"), 72) == 1e-3


def test_a_part_has_a_warmup_of_its_own() -> None:
    plan = plan_of({"warmup": {"epochs": 1, "parts": {"backbone": {"epochs": 5}}}})
    slow, quick = GroupKey("backbone", "decay"), GroupKey("head", "decay")
    assert plan.lr(quick, 23) == plan.lr(slow, 119) == 1e-3
    assert plan.lr(slow, 23) < 0.25e-3
    assert plan.lr(slow, 719) == plan.lr(quick, 719) == 1e-5
    assert plan.factor(23) == 1.0


def test_parts_that_all_have_the_same_warmup_of_their_own_still_get_it() -> None:
    parts = {part: {"steps": 10} for part in PARTS}
    plan = plan_of({"warmup": {"steps": 100, "parts": parts}})
    assert {plan.lr(group, 9) for group in plan.groups} == {1e-3}


def test_a_part_with_scale_zero_stays_still_whatever_the_bias_rate() -> None:
    plan = plan_of({"warmup": {"bias_lr": 0.1}}, part_scales={"backbone": 0.0})
    assert {plan.lr(GroupKey("backbone", "bias"), step) for step in range(720)} == {0.0}


def test_settings_of_parts_that_the_model_lacks_are_named() -> None:
    schedule = {"warmup": {"parts": {"fusion": {"steps": 3}}}}
    plan = plan_of(schedule, parts=("backbone", "neck", "head"), part_scales={"backbone_ir": 0.1})
    assert plan.groups == (DECAY, NORM, BIAS)
    assert [note.split(":")[0] for note in plan.notes] == [
        "the model has no part fusion",
        "the model has no part backbone_ir",
    ]


def test_an_extended_run_follows_the_old_plan_and_then_the_new_one() -> None:
    old, new = plan_of(epochs=10), plan_of(epochs=20)
    plans = replanned([], from_step=240, old_epochs=10, new_epochs=20)
    schedule = {"plans": [change.model_dump() for change in plans]}
    plan = plan_of(schedule, epochs=20)
    assert plan.total_steps == 480
    assert all_factors(plan) == all_factors(old) + all_factors(new)[240:]
    again = replanned(plans, from_step=480, old_epochs=20, new_epochs=25)
    assert [(change.from_step, change.epochs) for change in again] == [
        (0, 10),
        (240, 20),
        (480, 25),
    ]


def test_a_run_may_be_replanned_twice_before_its_next_step() -> None:
    plans = [(0, 10), (240, 20), (240, 15)]
    changes = [{"from_step": step, "epochs": epochs} for step, epochs in plans]
    plan = plan_of({"plans": changes}, epochs=15)
    assert all_factors(plan)[240:] == all_factors(plan_of(epochs=15))[240:]


@pytest.mark.parametrize(
    ("plans", "reason"),
    [
        ([(5, 30)], "begin with from_step 0"),
        ([(0, 10), (100, 20), (50, 30)], "ascend"),
        ([(0, 10), (240, 20)], "train.epochs is 30"),
        ([(0, 10), (300, 30)], "lies behind the 10 epochs"),
    ],
)
def test_plans_that_contradict_the_run_are_refused(
    plans: list[tuple[int, int]], reason: str
) -> None:
    changes = [{"from_step": step, "epochs": epochs} for step, epochs in plans]
    with pytest.raises(ConfigError, match=reason):
        plan_of({"plans": changes})


def test_all_problems_are_reported_at_once_with_their_keys() -> None:
    plans = [PlanChange(from_step=0, epochs=3).model_dump()]
    with pytest.raises(ConfigError) as caught:
        plan_of({"lrf": 2, "warmpu": 1, "plans": plans})
    places = {problem.where for problem in caught.value.problems}
    assert places == {"schedule.lrf", "schedule.warmpu", "schedule.plans"}


def test_an_eta_min_above_lr0_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"eta_min.*at most lr0 \(0\.001\)"):
        plan_of({"eta_min": 0.01})


def test_a_length_that_rounds_to_no_step_is_refused_where_one_is_needed() -> None:
    with pytest.raises(ConfigError, match="t_max"):
        plan_of({"t_max": 0.1}, batches_per_epoch=2)


def test_a_warmup_in_epochs_holds_its_rate_for_an_epoch() -> None:
    plan = plan_of({"warmup": {"epochs": 3, "unit": "epoch", "start": 0}})
    factors = all_factors(plan)
    assert [set(factors[24 * epoch : 24 * epoch + 24]) for epoch in range(3)] == [
        {1 / 3},
        {2 / 3},
        {1.0},
    ]
    late = plan_of({"warmup": {"epochs": 2, "unit": "epoch", "align": "start", "start": 0.1}})
    assert [late.factor(step) for step in (0, 23, 24, 47, 48)] == [0.1, 0.1, 0.55, 0.55, 1.0]


def test_a_warmup_within_the_first_epoch_is_cut_to_it_and_told() -> None:
    plan = plan_of({"warmup": {"steps": 1000, "within_epoch": True}})
    assert plan.warmup_steps == 23
    (note,) = plan.notes
    assert "cut from 1000 to 23 of 720 steps, so that it ends within an epoch" in note
    assert plan_of({"warmup": {"steps": 20, "within_epoch": True}}).notes == ()


def test_each_restart_is_warmed_up_as_the_run_is() -> None:
    schedule = {
        "name": "cosine_restarts",
        "t0": 10,
        "rewarm": 2,
        "warmup": {"epochs": 5, "start": 0.1, "curve": "cosine", "bias_lr": 0.01},
    }
    plan = plan_of(schedule)
    first = [plan.factor(step) for step in range(120, 120 + 240)]
    second = [plan.factor(step) for step in range(360, 360 + 240)]
    assert plan.restarts == (360, 600)
    assert first[0] == 1.0
    wanted = [0.1 + 0.9 * (1 - math.cos(math.pi * (step + 1) / 48)) / 2 for step in range(48)]
    assert second[:48] == pytest.approx(wanted, abs=1e-15)
    assert second[47] == second[48] == 1.0
    assert all(early >= late for early, late in pairwise(second[48:]))
    assert {plan.lr(BIAS, step) == plan.lr(DECAY, step) for step in range(119, 720)} == {True}


def test_a_curve_that_moves_the_momentum_says_so_and_meets_the_warmup() -> None:
    plan = plan_of({"name": "cyclic", "step_size_up": 3, "warmup": {"momentum": 0.5}})
    assert "optim.momentum (0.9) is not used" in plan.notes[0]
    assert plan.momentum(0) == pytest.approx(0.5 + (0.9 - 0.5) / 72)
    assert [plan.momentum(step) for step in (72, 144, 216)] == [0.8, 0.9, 0.8]


def test_a_curve_with_its_own_warmup_names_its_length() -> None:
    assert plan_of({"name": "yolox", "warm": 4}).warmup_steps == 96
    assert plan_of({"name": "adaptive", "warm": 4}).warmup_steps == 96
    pieces = [{"name": "yolox", "warm": 2, "epochs": 20}, {"name": "cosine"}]
    assert plan_of({"name": "sequence", "curves": pieces}).warmup_steps == 48


def test_the_inverse_square_root_takes_its_scale_from_the_warmup() -> None:
    plan = plan_of({"name": "inverse_sqrt", "warmup": {"epochs": 5, "align": "start", "start": 0}})
    wanted = [min(step / 120, math.sqrt(120 / max(step, 1))) for step in range(720)]
    assert all_factors(plan) == pytest.approx(wanted, abs=1e-12)
    alone = plan_of({"name": "inverse_sqrt", "warmup": {"steps": 0}})
    assert alone.factor(3 * 24) == 0.5


def test_an_extended_run_keeps_its_restarts_up_to_the_change() -> None:
    plans = replanned([], from_step=480, old_epochs=20, new_epochs=40)
    schedule = {"name": "cosine_restarts", "warmup": {"steps": 0}}
    schedule["plans"] = [change.model_dump() for change in plans]  # type: ignore[assignment]
    assert plan_of(schedule, epochs=40).restarts == (7 * 24, 14 * 24, 28 * 24)


def test_what_is_decided_holds_from_its_step_on_for_every_part() -> None:
    plan = plan_of({"name": "plateau", "warmup": {"steps": 0}}, part_scales={"neck": 0.1})
    known = plan.decided([Decision(240, "lower", 0.5), Decision(480, "lower", 0.25)])
    assert [known.factor(step) for step in (239, 240, 479, 480, 719)] == [1, 0.5, 0.5, 0.25, 0.25]
    assert known.lr(GroupKey("neck", "bias"), 240) == 1e-3 * 0.1 * 0.5
    assert plan.factor(480) == 1.0
    assert plan_of().observer() is None
    assert plan_of().extremes() == {}


def test_saved_decisions_move_with_the_length_of_an_epoch() -> None:
    made = [Decision(240, "lower", 0.5), Decision(400, "lower", 0.25)]
    state = {"observer": {"best": 0.5}, "decisions": [decision.to_json() for decision in made]}
    assert rescaled(state, 1.5, slot=360) == {
        "observer": {"best": 0.5},
        "decisions": [Decision(360, "lower", 0.5).to_json()],
    }
    assert rescaled({}, 1.5, slot=0) == {}
