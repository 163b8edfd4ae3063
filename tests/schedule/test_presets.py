"""The presets of configs/presets at every step, against formulas that share no code with ours."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.optim import lr_scheduler

from fusetrain.build import plan_from_config
from fusetrain.config.load import load_config
from fusetrain.rules import config_checks
from fusetrain.schedule.plan import GroupKey, SchedulePlan

FOLDER = Path(__file__).parents[2] / "configs" / "presets"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
RUNS = [(1, 1), (7, 1), (10, 10), (100, 100)]  # epochs, steps of an epoch: 1 to 10 000 steps
DECAY, BIAS = GroupKey(None, "decay"), GroupKey(None, "bias")
BATCHES = 40


def planned(
    tmp_path: Path, name: str, *sets: str, epochs: int | None = None, batches: int = BATCHES
) -> SchedulePlan:
    """Plan a config that extends a preset."""
    base = os.path.relpath(FOLDER / f"{name}.yaml", tmp_path)
    path = tmp_path / "train.yaml"
    path.write_text(f"extends: {base}\n" + (f"train: {{epochs: {epochs}}}\n" if epochs else ""))
    config = load_config(path, sets, checks=[config_checks]).config
    return plan_from_config(config, steps_per_epoch=batches)


def assert_rates(plan: SchedulePlan, wanted: Callable[[int], float]) -> None:
    for step in range(plan.total_steps):
        assert abs(plan.lr(DECAY, step) - wanted(step)) <= 1e-12, step


def test_there_is_a_test_for_every_preset() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(text.count(f'"{name}"') for name in NAMES)
    assert len(NAMES) == 5


@pytest.mark.parametrize(("name", "epochs"), [("torchvision-detection", 26), ("yolox", 300)])
def test_a_preset_names_its_epochs(tmp_path: Path, name: str, epochs: int) -> None:
    assert planned(tmp_path, name).epochs == epochs


@pytest.mark.parametrize("curve", ["linear", "cosine"])
@pytest.mark.parametrize(("epochs", "batches"), [*RUNS, (12, BATCHES)])
def test_ultralytics(tmp_path: Path, curve: str, epochs: int, batches: int) -> None:
    lr0, lrf = 0.01, 0.01
    plan = planned(
        tmp_path, "ultralytics", f"schedule.name={curve}", epochs=epochs, batches=batches
    )
    warm = min(3 * batches, max(0, epochs * batches - 2))

    def per_epoch(step: int) -> float:
        e = step // batches
        if curve == "linear":
            return lr0 * ((1 - e / epochs) * (1 - lrf) + lrf)
        return lr0 * ((1 - math.cos(math.pi * e / epochs)) / 2 * (lrf - 1) + 1)

    def between(step: int, start: float, end: float) -> float:
        return start + (end - start) * (min(1.0, step / warm) if warm else 1.0)

    assert_rates(plan, lambda step: between(step, 0.0, per_epoch(step)))
    assert plan.lr(DECAY, 0) == (0.0 if warm else lr0)
    for step in range(plan.total_steps):
        assert abs(plan.lr(BIAS, step) - between(step, 0.1, per_epoch(step))) <= 1e-12
        momentum = plan.momentum(step)
        assert momentum is not None
        assert abs(momentum - between(step, 0.8, 0.937)) <= 1e-12


@pytest.mark.parametrize(("epochs", "batches"), [*RUNS, (26, 40), (26, 1001), (26, 1500)])
def test_torchvision_detection(tmp_path: Path, epochs: int, batches: int) -> None:
    plan = planned(tmp_path, "torchvision-detection", epochs=epochs, batches=batches)
    warm = min(1000, batches - 1)
    assert plan.warmup_steps == warm
    assert len(plan.notes) == (batches < 1001) + (epochs <= 16) + (epochs <= 22)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.02)
    ramp = lr_scheduler.LinearLR(optimizer, start_factor=0.001, total_iters=warm) if warm else None
    first = []
    for _ in range(batches):
        first.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if ramp:
            ramp.step()

    def wanted(step: int) -> float:
        epoch = step // batches
        return first[step] if epoch == 0 else 0.02 * 0.1 ** ((epoch >= 16) + (epoch >= 22))

    assert_rates(plan, wanted)


@pytest.mark.parametrize(("epochs", "batches"), [*RUNS, (300, 4)])
def test_yolox(tmp_path: Path, epochs: int, batches: int) -> None:
    plan = planned(tmp_path, "yolox", epochs=epochs, batches=batches)
    total, last = epochs * batches, 15 * batches
    warm = min(5 * batches, max(0, total - 2))

    def wanted(t: int) -> float:
        if t <= warm:
            return 0.01 * ((t / warm) ** 2 if warm else 1.0)
        if t >= total - last:
            return 0.01 * 0.05
        share = (t - warm) / (total - warm - last)
        return 0.0005 + 0.5 * (0.01 - 0.0005) * (1.0 + math.cos(math.pi * share))

    assert_rates(plan, wanted)


@pytest.mark.parametrize(("name", "base"), [("yolofuse-adamw", 1e-3), ("yolofuse-adam", 1e-2)])
@pytest.mark.parametrize(("epochs", "batches"), [*RUNS, (20, BATCHES)])
def test_yolofuse(tmp_path: Path, name: str, base: float, epochs: int, batches: int) -> None:
    plan = planned(tmp_path, name, epochs=epochs, batches=batches)

    def wanted(step: int) -> float:
        e = step // batches
        if epochs == 1:  # no room for a warmup
            return base
        if e < 3:
            return base * (e + 1) / 3
        share = (e - 3) / (epochs - 3)
        return 1e-6 + (base - 1e-6) * (1 + math.cos(math.pi * share)) / 2

    assert_rates(plan, wanted)
