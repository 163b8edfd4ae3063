"""The scheduler writes what the plan says into real optimizers, before the step it is meant for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.planning import make_plan
from fusetrain.schedule.scheduler import Scheduler


def plan_of(schedule: dict[str, Any], **scales: float) -> SchedulePlan:
    return make_plan(
        ScheduleSettings.model_validate(schedule),
        lr0=0.01,
        epochs=4,
        batches_per_epoch=5,
        accumulate=1,
        momentum=0.937,
        parts=PARTS,
        part_scales=scales,
    )


def optimizer_for(plan: SchedulePlan, name: str) -> torch.optim.Optimizer:
    groups = [
        {"params": [torch.ones(2, requires_grad=True)], "part": group.part, "kind": group.kind}
        for group in plan.groups
    ]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=0.5)
    return torch.optim.AdamW(groups, lr=1.0, betas=(0.5, 0.99))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_every_group_gets_its_planned_rate_and_momentum(name: str) -> None:
    plan = plan_of({"warmup": {"bias_lr": 0.1, "momentum": 0.8}}, backbone=0.1)
    optimizer = optimizer_for(plan, name)
    scheduler = Scheduler(plan, optimizer)
    for step in range(plan.total_steps):
        written = scheduler.set(step)
        assert written == list(plan.row(step)[1:])
        assert [group["lr"] for group in optimizer.param_groups] == written
        for group in optimizer.param_groups:
            found = group["momentum"] if name == "sgd" else group["betas"][0]
            assert found == plan.momentum(step)
    assert name == "sgd" or optimizer.param_groups[0]["betas"][1] == 0.99


def test_momentum_is_left_alone_unless_it_warms_up() -> None:
    plan = plan_of({})
    optimizer = optimizer_for(plan, "sgd")
    Scheduler(plan, optimizer).set(0)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.5}


def test_a_rollback_scales_all_rates_until_it_is_taken_back() -> None:
    plan = plan_of({})
    scheduler = Scheduler(plan, optimizer_for(plan, "sgd"), lr_scale=0.5)
    assert scheduler.set(15) == [0.01 * plan.factor(15) * 0.5] * 3
    scheduler.lr_scale = 1.0
    assert scheduler.set(15) == [0.01 * plan.factor(15)] * 3


def test_an_outside_write_lasts_one_step() -> None:
    plan = plan_of({})
    optimizer = optimizer_for(plan, "sgd")
    scheduler = Scheduler(plan, optimizer)
    scheduler.set(3)
    optimizer.param_groups[0]["lr"] = 123.0
    assert scheduler.set(4)[0] == plan.lr(plan.groups[0], 4)


def test_a_resumed_scheduler_needs_only_the_step() -> None:
    plan = plan_of({"warmup": {"momentum": 0.8}})
    through = Scheduler(plan, optimizer_for(plan, "sgd"))
    history = [through.set(step) for step in range(plan.total_steps)]
    for start in range(plan.total_steps):
        resumed = Scheduler(plan_of({"warmup": {"momentum": 0.8}}), optimizer_for(plan, "sgd"))
        assert resumed.set(start) == history[start]


def test_the_step_is_made_with_the_rate_of_its_own_slot() -> None:
    plan = plan_of({"warmup": {"steps": 4, "start": 0.0}})
    weight = torch.zeros(1, requires_grad=True)
    groups = [{"params": [weight], "part": None, "kind": "decay"}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    scheduler = Scheduler(plan, optimizer)
    for step in range(4):
        before = weight.item()
        weight.grad = torch.ones(1)
        scheduler.set(step)
        optimizer.step()
        assert before - weight.item() == pytest.approx(0.01 * (step + 1) / 4, rel=1e-5)
