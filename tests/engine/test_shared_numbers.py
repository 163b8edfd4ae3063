"""Numbers that a schedule decides by: the same on every rank, to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fusetrain
from fusetrain.engine.step import shared_numbers

# Each rank sees other losses; what both decide is written down, with the rates of every step.
ON_A_RANK = """
import json, os, random, sys
import torch
from fusetrain import distributed
from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.engine.step import shared_numbers
from fusetrain.schedule.planning import make_plan
from fusetrain.schedule.scheduler import Scheduler

class Groups:
    param_groups = [{"part": None, "kind": kind} for kind in ("decay", "norm", "bias")]

plan = make_plan(
    ScheduleSettings(name="adaptive", warm={"steps": 20}, restart={"steps": 15}),
    lr0=1e-3, epochs=10, batches_per_epoch=10, accumulate=1, momentum=0.9, parts=PARTS,
    part_scales={},
)
with distributed.process_group(torch.device("cpu")):
    rank = distributed.rank()
    draw = random.Random(rank)
    scheduler = Scheduler(plan, Groups())
    rates = []
    for step in range(plan.total_steps):
        rates.append(scheduler.set(step))
        pairs = 2 if rank else 3
        sums = torch.tensor([draw.uniform(0, 9) for _ in range(3)] + [pairs], dtype=torch.float64)
        loss, norm = shared_numbers(sums, torch.tensor(draw.uniform(1, 5)))
        scheduler.observe(step, loss=loss, grad_norm=norm)
with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
    json.dump([rates, scheduler.state_dict()], file)
"""


def test_two_ranks_decide_alike(tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(ON_A_RANK, encoding="utf-8")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *command, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(fusetrain.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    one, other = ((tmp_path / f"{rank}.json").read_text(encoding="utf-8") for rank in (0, 1))
    assert one == other
    assert one.count('"what"') >= 3


def test_loss_is_that_of_a_pair_and_nothing_is_known_of_a_skipped_step() -> None:
    sums = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    assert shared_numbers(sums, torch.tensor(7.0)) == (1.5, 7.0)
    for skipped in (torch.zeros(4, dtype=torch.float64), sums):
        norm = torch.tensor(float("nan") if skipped is sums else 7.0)
        assert shared_numbers(skipped, norm) == (None, None)


def test_norm_keeps_its_digits() -> None:
    norm = torch.tensor(1.2345678, dtype=torch.float32)
    _, found = shared_numbers(torch.ones(4, dtype=torch.float64), norm)
    assert found == pytest.approx(norm.item(), rel=0)
