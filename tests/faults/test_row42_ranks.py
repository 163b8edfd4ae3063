"""A rank dies under torchrun, or one rank alone gets a signal: nobody hangs, the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from fusetrain.data.demo import write_demo
from fusetrain.engine.checkpoint import read_newest

pytestmark = [pytest.mark.slow, pytest.mark.fault(42), pytest.mark.timeout(1200)]
CONFIG = """\
data: {home}/set/data.yaml
model: {{width: 0.25}}
train: {{epochs: 2, batch: 4, imgsz: 64, threads: 1, device: cpu, patience: 0,
        save_every: {{steps: 1, epochs: 1}}}}
schedule: {{warmup: {{epochs: 1}}}}
run: {{project: {home}/runs}}
"""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
LEAVE_SECONDS = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, a config, and the run `through` of two ranks left in peace."""
    folder = tmp_path_factory.mktemp("row42")
    write_demo(folder / "set", num_pairs=20)
    (folder / "train.yaml").write_text(CONFIG.format(home=folder))
    done = start(folder, "through")
    assert done.wait(timeout=600) == 0
    return folder


def start(home: Path, name: str, *more: str, under: tuple[str, ...] = TORCHRUN) -> Any:
    """Start a training on two ranks."""
    words = ("train", "--config", str(home / "train.yaml"), "--name", name, *more)
    command = [sys.executable, *under, "-m", "fusetrain", *words]
    return subprocess.Popen(command, env=os.environ | {"COLUMNS": "200"}, stderr=subprocess.DEVNULL)


def second_rank(process: Any) -> int:
    """Return the process of rank 1."""
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes():
            return int(child)
    raise AssertionError("no second rank")


def after_some_steps(home: Path, name: str, process: Any) -> None:
    deadline = time.monotonic() + 400
    while not (home / "runs" / name / "weights" / "last.prev.pt").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(home: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    content, _, _ = read_newest(home / "runs" / name / "weights")
    return content["model"], content["state"]


def assert_as_if_undisturbed(home: Path, name: str) -> None:
    (model, found), (expected_model, expected) = state(home, name), state(home, "through")
    assert found["slot"] == expected["slot"]
    assert model.keys() == expected_model.keys()
    assert all(torch.equal(model[key], expected_model[key]) for key in model)
    for row, other in zip(found["history"], expected["history"], strict=True):
        assert row | {"time": 0} == other | {"time": 0}


def resume(home: Path, name: str) -> int:
    words = ("resume", str(home / "runs" / name), "--devices", "2")
    done = subprocess.run(
        [sys.executable, "-m", "fusetrain", *words], capture_output=True, timeout=600, check=False
    )
    return done.returncode


def test_rank_dies_and_the_others_leave_in_time_and_the_run_is_exact(home: Path) -> None:
    process = start(home, "died")
    after_some_steps(home, "died", process)
    os.kill(second_rank(process), signal.SIGKILL)
    assert process.wait(timeout=LEAVE_SECONDS) != 0
    assert resume(home, "died") == 0
    assert_as_if_undisturbed(home, "died")


def test_rank_dies_and_the_launcher_goes_on_by_itself(home: Path) -> None:
    more = ("--devices", "2", "--max-restarts", "2")
    process = start(home, "again", *more, under=())
    after_some_steps(home, "again", process)
    os.kill(second_rank(process), signal.SIGKILL)
    assert process.wait(timeout=900) == 0
    assert_as_if_undisturbed(home, "again")


def test_one_rank_gets_a_signal_and_all_agree(home: Path) -> None:
    process = start(home, "told", "--devices", "2", under=())
    after_some_steps(home, "told", process)
    os.kill(second_rank(process), signal.SIGTERM)
    assert process.wait(timeout=LEAVE_SECONDS) == 75
    assert resume(home, "told") == 0
    assert_as_if_undisturbed(home, "told")
