"""What every registered schedule keeps to, whatever the length of the run and its warmup."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.making import class_of
from fusetrain.schedule.options import curve_problems, warms_up_itself
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.planning import make_plan
from fusetrain.schedule.scheduler import Scheduler

WARMUPS = st.fixed_dictionaries(
    {
        "steps": st.integers(0, 200),
        "curve": st.sampled_from(["linear", "exp", "cosine", "constant"]),
        "start": st.floats(0.0001, 1.0),
        "gamma": st.floats(0.5, 4.0),
        "align": st.sampled_from(["end", "start"]),
        "compose": st.sampled_from([None, "shift", "overlap"]),
        "bias_lr": st.sampled_from([None, 0.0001, 0.1]),
        "momentum": st.sampled_from([None, 0.8]),
        "unit": st.sampled_from(["step", "epoch"]),
        "within_epoch": st.booleans(),
    }
)
SETTINGS = st.fixed_dictionaries({"unit": st.sampled_from(["step", "epoch"]), "warmup": WARMUPS})
# Besides the names alone, settings that lead through every branch of the curves.
VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {} for name in SCHEDULES.names()},
    "cosine_restarts t_mult": {"t0": 1, "t_mult": 2, "decay": 0.5, "rewarm": {"steps": 3}},
    "exponential gamma": {"gamma": 0.9, "eta_min": 1e-6},
    "polynomial power": {"power": 2.5, "lrf": 0},
    "onecycle three": {"three_phase": True, "anneal": "linear", "cycle_momentum": False},
    "cyclic triangular2": {"mode": "triangular2", "step_size_down": {"steps": 2}},
    "cyclic exp_range": {"mode": "exp_range", "cycle_momentum": False},
    "wsd sqrt": {"decay": "sqrt", "hold": 1},
    "wsd cosine": {"decay": "cosine"},
    "plateau loss": {"metric": "train_loss", "patience": 0, "cooldown": 1, "gamma": 0.5},
    "adaptive restarts": {"warm": {"steps": 12}, "restart": {"steps": 5}, "then": {"name": "wsd"}},
    "adaptive step": {"then": {"name": "step", "milestones": [2]}},
    "sequence three": {
        "curves": [
            {"name": "linear", "epochs": 1, "lrf": 0.5},
            {"name": "cosine_restarts", "steps": 7, "peak": 0.5, "t0": {"steps": 3}},
            {"name": "onecycle"},
        ]
    },
}


def settings_of(variant: str, schedule: dict[str, Any]) -> ScheduleSettings:
    name = variant.split()[0]
    given = {"name": name, **VARIANTS[variant], **schedule}
    if warms_up_itself(ScheduleSettings.model_validate(given | {"warmup": None})):
        given.pop("warmup", None)
    return ScheduleSettings.model_validate(given)


def plan_of(variant: str, schedule: dict[str, Any], epochs: int, batches: int) -> SchedulePlan:
    return make_plan(
        settings_of(variant, schedule),
        lr0=1e-3,
        epochs=epochs,
        batches_per_epoch=batches,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={"backbone": 0.1},
    )


class Groups:
    """What a scheduler needs of an optimizer."""

    def __init__(self, plan: SchedulePlan) -> None:
        self.param_groups: list[dict[str, Any]] = [
            {"part": key.part, "kind": key.kind, "momentum": 0.9} for key in plan.groups
        ]


def run_through(
    plan: SchedulePlan, *, begin: int = 0, state: dict[str, Any] | None = None, seed: int = 0
) -> list[tuple[list[float], float, str]]:
    """Train in mind from a step on: rates, momentum and saved state before each step."""
    groups = Groups(plan)
    scheduler = Scheduler(plan, groups, state=state)
    seen = []
    for step in range(begin, plan.total_steps):
        saved = json.dumps(scheduler.state_dict())
        seen.append((scheduler.set(step), groups.param_groups[0]["momentum"], saved))
        draw = random.Random(f"{seed} {step}")
        is_skipped = draw.random() < 0.1
        loss, norm = (None, None) if is_skipped else (draw.uniform(1, 2), draw.uniform(1, 9))
        scheduler.observe(step, loss=loss, grad_norm=norm)
        if (step + 1) % plan.steps_per_epoch == 0:
            names = ("box_loss", "cls_loss", "dfl_loss")
            row = {f"train/{name}": draw.random() for name in names}
            scheduler.observe_epoch(step + 1, metrics={**row, "metrics/mAP50-95(B)": 0.5})
    return seen


def test_every_schedule_has_a_variant() -> None:
    assert {variant.split()[0] for variant in VARIANTS} == set(SCHEDULES.names())
    for variant in VARIANTS:
        assert curve_problems(settings_of(variant, {})) == [], variant


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=25, deadline=None)
@given(schedule=SETTINGS, epochs=st.integers(1, 12), batches=st.integers(1, 20), seed=st.integers())
def test_rates_are_finite_positive_and_independent_of_the_order_of_calls(
    variant: str, schedule: dict[str, Any], epochs: int, batches: int, seed: int
) -> None:
    plan = plan_of(variant, schedule, epochs, batches)
    steps = list(range(plan.total_steps))
    rows = [(plan.row(step), plan.momentum(step)) for step in steps]
    assert all(math.isfinite(rate) and rate >= 0.0 for row, _ in rows for rate in row)
    assert all(rate > 0.0 for rate in rows[0][0])
    assert all(row[0] <= plan.lr0 for row, _ in rows)
    for _, momentum in rows:
        assert (momentum is None) == (not plan.sets_momentum)
        assert momentum is None or 0.0 <= momentum < 1.0
    assert all(0 < step < plan.total_steps for step in plan.restarts)
    resumed = plan_of(variant, schedule, epochs, batches)
    random.Random(seed).shuffle(steps)
    assert all((resumed.row(step), resumed.momentum(step)) == rows[step] for step in steps)


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=8, deadline=None)
@given(schedule=SETTINGS, epochs=st.integers(1, 8), batches=st.integers(1, 9), seed=st.integers())
def test_a_run_resumed_at_any_step_has_the_rates_and_the_state_of_one_never_stopped(
    variant: str, schedule: dict[str, Any], epochs: int, batches: int, seed: int
) -> None:
    plan = plan_of(variant, schedule, epochs, batches)
    through = run_through(plan, seed=seed)
    assert all(math.isfinite(rate) and rate >= 0.0 for rates, _, _ in through for rate in rates)
    step = random.Random(seed).randrange(plan.total_steps)
    state = json.loads(through[step][2])
    again = run_through(
        plan_of(variant, schedule, epochs, batches), begin=step, state=state, seed=seed
    )
    assert again == through[step:]


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("batches", [1, 2, 7, 100])
def test_a_schedule_works_from_its_name_alone_and_peaks_at_lr0(name: str, batches: int) -> None:
    plan = plan_of(name, {}, 10, batches)
    assert max(plan.row(step)[0] for step in range(plan.total_steps)) == 1e-3


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("align", ["end", "start"])
def test_the_warmup_reaches_exactly_one_where_it_ends(name: str, align: str) -> None:
    for steps in (1, 3, 10, 72):
        warmup = {"steps": steps, "align": align, "compose": "shift"}
        plan = plan_of(name, {"warmup": warmup}, 10, 24)
        if getattr(class_of(name), "own_warmup", False):
            continue
        assert plan.warmup_steps == steps
        alone = plan_of(name, {"warmup": {"steps": 0}}, 10, 24).factor(0)
        assert plan.factor(steps) == alone
        assert align == "start" or plan.factor(steps - 1) == alone
