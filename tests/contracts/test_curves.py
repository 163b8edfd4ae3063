"""What every registered schedule keeps to, whatever the length of the run and its warmup."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.plan import SchedulePlan, make_plan

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
    }
)
SETTINGS = st.fixed_dictionaries({"unit": st.sampled_from(["step", "epoch"]), "warmup": WARMUPS})


def plan_of(name: str, schedule: dict[str, Any], epochs: int, batches: int) -> SchedulePlan:
    return make_plan(
        ScheduleSettings.model_validate({"name": name, **schedule}),
        lr0=1e-3,
        epochs=epochs,
        batches_per_epoch=batches,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={"backbone": 0.1},
    )


@pytest.mark.parametrize("name", SCHEDULES.names())
@settings(max_examples=40, deadline=None)
@given(schedule=SETTINGS, epochs=st.integers(1, 12), batches=st.integers(1, 20), seed=st.integers())
def test_rates_are_finite_positive_and_independent_of_the_order_of_calls(
    name: str, schedule: dict[str, Any], epochs: int, batches: int, seed: int
) -> None:
    plan = plan_of(name, schedule, epochs, batches)
    steps = list(range(plan.total_steps))
    rows = [plan.row(step) for step in steps]
    assert all(math.isfinite(rate) and rate >= 0.0 for row in rows for rate in row)
    assert all(rate > 0.0 for rate in rows[0])
    assert all(row[0] <= plan.lr0 for row in rows)
    resumed = plan_of(name, schedule, epochs, batches)
    random.Random(seed).shuffle(steps)
    assert all(resumed.row(step) == rows[step] for step in steps)


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("batches", [1, 2, 7, 100])
def test_a_schedule_works_from_its_name_alone_and_peaks_at_lr0(name: str, batches: int) -> None:
    plan = plan_of(name, {}, 10, batches)
    assert max(plan.row(step)[0] for step in range(plan.total_steps)) == 1e-3


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("align", ["end", "start"])
def test_the_warmup_reaches_exactly_one_where_it_ends(name: str, align: str) -> None:
    for steps in (1, 3, 10, 72):
        plan = plan_of(
            name, {"warmup": {"steps": steps, "align": align, "compose": "shift"}}, 10, 24
        )
        assert plan.factor(steps) == 1.0
        assert align == "start" or plan.factor(steps - 1) == 1.0
