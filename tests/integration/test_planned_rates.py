"""What `plot-lr --csv` plans is what trainings step with and log, to the last digit.

The trainings are real, with a trailing accumulation group, killed twice and resumed, and extended;
their optimizers are asked for the rates of every step. `run_trainings.py` runs them.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fusetrain.cli.app import run
from fusetrain.config.schema import ScheduleSettings
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.options import warms_up_itself

from .conftest import environment

EPOCHS, STEPS, MORE_EPOCHS = 4, 2, 6  # three batches an epoch, two of them accumulated
KILLS = [4, 7]
CONFIG = """\
data: {data}
model: {{fusion: ir, width: 0.25}}
train:
  {{epochs: {epochs}, batch: 2, accumulate: 2, imgsz: 64, threads: 1, workers: 0, device: cpu,
    amp: false, ema: false, patience: 0, val_every: 9, save_every: {{steps: 1, epochs: 1}}}}
optim: {{name: {optimizer}, lr0: 0.003, groups: {{backbone_ir: 0.1}}}}
schedule: {schedule}
run: {{project: {project}, name: exp}}
"""
WARMUP = {"epochs": 1, "bias_lr": 0.01, "momentum": 0.8}
FOLLOWING: dict[str, dict[str, Any]] = {
    "plateau": {"metric": "train_loss", "patience": 0, "gamma": 0.5, "threshold": 0.9},
    "adaptive": {"warm": {"steps": 2}, "restart": {"steps": 2}, "tolerance": 0.0},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "cosine_restarts": {"t0": 1, "t_mult": 2, "rewarm": {"steps": 1}},
    "cyclic": {"step_size_up": 1, "mode": "triangular2"},
    "torch:CosineAnnealingWarmRestarts": {"T_0": 3, "unit": "epoch"},
    "torch:OneCycleLR": {"max_lr": 0.003, "total_steps": 100},
}
CLOSED_FORMS = [*(name for name in SCHEDULES.names() if name not in FOLLOWING), *OPTIONS]
CLOSED_FORMS = list(dict.fromkeys(CLOSED_FORMS))
Train = Callable[..., dict[str, Path]]


@pytest.fixture
def train_all(make_pairs: Callable[..., Path], tmp_path: Path) -> Train:
    """Return a function that trains schedules one after another and returns their folders."""
    data = make_pairs(train=6, val=1)

    def train(names: Sequence[str], **job: Any) -> dict[str, Path]:
        folders = {name: tmp_path / f"run{number}" for number, name in enumerate(names)}
        for number, (name, folder) in enumerate(folders.items()):
            folder.mkdir()
            schedule = {"name": name, **OPTIONS.get(name, {}), **FOLLOWING.get(name, {})}
            if not warms_up_itself(ScheduleSettings.model_validate(schedule)):
                schedule["warmup"] = WARMUP
            text = CONFIG.format(
                data=data,
                epochs=EPOCHS,
                optimizer=("sgd", "adamw")[number % 2],
                schedule=json.dumps(schedule),
                project=folder / "runs",
            )
            (folder / "train.yaml").write_text(text, encoding="utf-8")
        jobs = [{"config": str(folder / "train.yaml"), **job} for folder in folders.values()]
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps(jobs), encoding="utf-8")
        script = Path(__file__).with_name("run_trainings.py")
        command = [sys.executable, str(script), str(path)]
        home = str(script.parents[2])
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment() | {"PYTHONPATH": home}
        )
        assert done.returncode == 0, done.stderr
        return folders

    return train


def cells_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def planned(*words: object, out: Path) -> dict[int, dict[str, str]]:
    """Return the rows that `plot-lr --csv` writes, by step."""
    assert run(["plot-lr", *map(str, words), "--csv", str(out), "--no-terminal"]) == 0
    return {int(row.pop("step")): row for row in cells_of(out)}


def assert_logged_as_planned(table: Path, plan: dict[int, dict[str, str]], epochs: int) -> None:
    """Assert that the columns of the rates in a results.csv are those of the plan, as text."""
    rows = cells_of(table)
    assert [row["epoch"] for row in rows] == [str(epoch + 1) for epoch in range(epochs)]
    for number, row in enumerate(rows):
        wanted = plan[(number + 1) * STEPS - 1]
        rates = {name: cell for name, cell in row.items() if name.startswith("lr")}
        assert rates == {name: cell for name, cell in wanted.items() if name.startswith("lr")}


def assert_stepped_as_planned(path: Path, plan: dict[int, dict[str, str]]) -> list[int]:
    """Assert that each step was made with its planned rates and momentum; returns the steps."""
    steps = []
    for line in path.read_text(encoding="utf-8").splitlines():
        step, *rates, momentum = line.split(",")
        wanted = plan[int(step)]
        assert rates == [cell for name, cell in wanted.items() if name.startswith("lr/pg")]
        assert momentum == wanted.get("momentum", momentum)
        steps.append(int(step))
    assert set(steps) == set(plan)
    return steps


def assert_was_resumed(run_folder: Path, times: int) -> None:
    events = map(json.loads, (run_folder / "events.jsonl").read_text().splitlines())
    slots = [event["slot"] for event in events if event["event"] == "start"]
    assert slots[0] == 0
    assert len([slot for slot in slots if slot]) == times


def check(folder: Path, *, ranks: int) -> None:
    """Hold a training that was killed, resumed and extended against its plans."""
    exp = folder / "runs" / "exp"
    first = planned("--config", folder / "train.yaml", out=folder / "plan.csv")
    assert len(first) == EPOCHS * STEPS
    assert_logged_as_planned(folder / "runs" / "before.csv", first, EPOCHS)
    whole = planned("--config", exp / "config.yaml", exp, out=folder / "whole.csv")
    assert [whole[step] for step in first] == list(first.values())
    assert_logged_as_planned(exp / "results.csv", whole, MORE_EPOCHS)
    for rank in range(ranks):
        steps = assert_stepped_as_planned(folder / f"rates_{rank}.csv", whole)
        assert len(steps) > len(set(steps)), "no step was made anew after a kill"
    assert_was_resumed(exp, len(KILLS) + 1)
    assert run(["plot-lr", "--config", str(folder / "train.yaml"), str(exp)]) == 8


def test_a_run_killed_twice_and_extended_steps_as_planned(train_all: Train) -> None:
    (folder,) = train_all(["cosine_restarts"], ranks=1, kills=KILLS, extend=MORE_EPOCHS).values()
    check(folder, ranks=1)


@pytest.mark.slow
@pytest.mark.parametrize("names", [CLOSED_FORMS[at::6] for at in range(6)], ids=" ".join)
def test_two_ranks_killed_twice_and_extended_step_as_planned(
    train_all: Train, names: list[str]
) -> None:
    for folder in train_all(names, ranks=2, kills=KILLS, extend=MORE_EPOCHS).values():
        check(folder, ranks=2)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_what_killed_runs_decided_is_replayed_from_their_events(
    train_all: Train, ranks: int
) -> None:
    moved = []
    for folder in train_all(list(FOLLOWING), ranks=ranks, kills=KILLS, extend=None).values():
        exp = folder / "runs" / "exp"
        undecided = planned("--config", folder / "train.yaml", out=folder / "plan.csv")
        decided = planned("--config", folder / "train.yaml", exp, out=folder / "decided.csv")
        moved.append(decided != undecided)
        assert planned(exp, out=folder / "alone.csv") == decided
        assert_logged_as_planned(exp / "results.csv", decided, EPOCHS)
        for rank in range(ranks):
            assert_stepped_as_planned(folder / f"rates_{rank}.csv", decided)
        assert_was_resumed(exp, len(KILLS))
    assert any(moved)  # in eight steps a decision may be what was planned
