"""Schedulers of torch by name: the same rates and momenta as the class itself, step by step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

import fusetrain
from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.schedule.options import curve_problems
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.planning import make_plan

EPOCHS, BATCHES = 6, 10
OPTIONS: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 7, "gamma": 0.5},
    "MultiStepLR": {"milestones": [5, 20], "gamma": 0.3},
    "ConstantLR": {"factor": 0.25, "total_iters": 9},
    "LinearLR": {"start_factor": 0.1, "total_iters": 30},
    "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 20, "eta_min": 1e-4},
    "CosineAnnealingWarmRestarts": {"T_0": 7, "T_mult": 2},
    "PolynomialLR": {"total_iters": 50, "power": 2.0},
    "CyclicLR": {"base_lr": 1e-3, "max_lr": 0.02, "step_size_up": 5},
    "OneCycleLR": {"max_lr": 0.05, "total_steps": 60},
}


def plan_of(
    name: str,
    options: dict[str, Any],
    *,
    unit: str = "step",
    epochs: int = EPOCHS,
    batches: int = BATCHES,
) -> SchedulePlan:
    schedule = {"name": f"torch:{name}", "unit": unit, "warmup": {"steps": 0}, **options}
    return make_plan(
        ScheduleSettings.model_validate(schedule),
        lr0=0.01,
        epochs=epochs,
        batches_per_epoch=batches,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={},
    )


def real(name: str, options: dict[str, Any], steps: int) -> list[tuple[float, float]]:
    """Train with the class itself."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01, momentum=0.9)
    scheduler = getattr(lr_scheduler, name)(optimizer, **options)
    group = optimizer.param_groups[0]
    seen = []
    for _ in range(steps):
        seen.append((float(group["lr"]), float(group["momentum"])))
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("unit", ["step", "epoch"])
@pytest.mark.parametrize(("epochs", "batches"), [(1, 1), (7, 1), (6, 10), (10, 10), (100, 100)])
def test_rates_and_momenta_are_those_of_the_class(
    name: str, unit: str, epochs: int, batches: int
) -> None:
    options = dict(OPTIONS[name])
    if "total_steps" in options:
        options["total_steps"] = max(60, epochs * batches)
    plan = plan_of(name, options, unit=unit, epochs=epochs, batches=batches)
    every = batches if unit == "epoch" else 1
    wanted = real(name, options, epochs * batches // every)
    assert plan.sets_momentum == (name in ("CyclicLR", "OneCycleLR"))
    for step in range(plan.total_steps):
        rate, momentum = wanted[step // every]
        assert plan.row(step)[1] == pytest.approx(rate, rel=1e-12, abs=1e-15)
        assert plan.momentum(step) in (None, momentum)


def test_every_class_of_torch_is_tried_or_refused() -> None:
    refused = {"ReduceLROnPlateau", "SequentialLR", "ChainedScheduler", "LRScheduler"}
    callables = {"LambdaLR", "MultiplicativeLR"}
    assert set(lr_scheduler.__all__) == set(OPTIONS) | refused | callables


@pytest.mark.parametrize(
    ("schedule", "key", "words"),
    [
        ({"name": "torch:ReduceLROnPlateau"}, "name", "`plateau` is the same schedule"),
        ({"name": "torch:SequentialLR"}, "name", "`sequence` runs curves"),
        ({"name": "torch:StepRL"}, "name", "did you mean 'torch:StepLR'?"),
        ({"name": "torch:LRScheduler"}, "name", "no scheduler class"),
        ({"name": "torch:math.exp"}, "name", "no scheduler class"),
        ({"name": "torch:warnings"}, "name", "no scheduler class"),
        ({"name": "torch:StepLR"}, "name", "needs `step_size`"),
        ({"name": "torch:StepLR", "step_size": 3, "gama": 1}, "gama", "did you mean 'gamma'?"),
        ({"name": "torch:LambdaLR", "lr_lambda": "lambda s: s"}, "name", "cannot be run"),
        ({"name": "torch:OneCycleLR", "max_lr": 1}, "name", "cannot be run"),
        ({"name": "torch:ConstantLR", "factor": -1}, "name", "cannot be run"),
        (
            {"name": "torch:StepLR", "step_size": "abc"},
            "name",
            "steps with step_size: 'abc'; torch says: TypeError: unsupported",
        ),
        ({"name": "torch:StepLR", "step_size": 0}, "name", "with step_size: 0; torch says: Zero"),
    ],
)
def test_what_cannot_be_used_is_named(schedule: dict[str, Any], key: str, words: str) -> None:
    ((keys, message),) = curve_problems(ScheduleSettings.model_validate(schedule))
    assert keys == (key,)
    assert words in message


def test_a_class_that_ends_before_the_run_is_refused_when_it_is_planned() -> None:
    with pytest.raises(Exception, match="cannot be run for 60 steps"):
        plan_of("OneCycleLR", {"max_lr": 0.1, "total_steps": 50})


def test_torch_is_imported_for_such_a_name_only() -> None:
    text = """
import sys
from fusetrain.config.schema import ScheduleSettings
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.options import curve_problems
for name in SCHEDULES.names():
    assert not curve_problems(ScheduleSettings(name=name)), name
assert "torch" not in sys.modules
assert not curve_problems(ScheduleSettings(name="torch:ExponentialLR", gamma=0.9))
assert "torch" in sys.modules
"""
    home = str(Path(fusetrain.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": home}
    subprocess.run([sys.executable, "-c", text], check=True, env=environment)
