"""An adapter training that is killed in both of its phases, and between them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Command, environment
from .test_train_resume import assert_same_run, checkpoint, rows

EVERY_STEP = ("--set", "train.save_every={steps: 1, epochs: 1}")


def kill_once(is_time: Callable[[], bool], *words: object) -> None:
    """Start the command line and kill it as soon as it is time."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fusetrain", *map(str, words)],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 400
    while not is_time():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def has_base(run: Path) -> bool:
    return '"base", "base"' in (run / "events.jsonl").read_text()


@pytest.mark.slow
def test_run_killed_in_both_phases_and_between_equals_one_never_killed(
    tiny_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    text = tiny_config.read_text().replace("{width:", "{fusion: adapter, width:")
    tiny_config.write_text(text.replace("epochs: 3,", "epochs: 4, amp: false,"))
    done = fusetrain("train", "--config", tiny_config, "--name", "whole", timeout=600)
    assert done.returncode == 0, done.stderr
    run, whole = tmp_path / "runs" / "exp", tmp_path / "runs" / "whole"
    weights = run / "weights"
    kill_once((weights / "last.prev.pt").exists, "train", "--config", tiny_config, *EVERY_STEP)
    assert checkpoint(run)["context"]["weights"]["detector"]["kind"] == "decision"
    every_epoch = ("--set", "train.save_every={epochs: 1}")
    kill_once(lambda: has_base(run), "resume", run, *every_epoch)
    (weights / "last.pt").unlink()  # as if it had been killed before the adapter was saved
    assert checkpoint(run)["context"]["weights"]["detector"]["kind"] == "decision"
    assert checkpoint(run)["state"]["epoch"] == 2
    kill_once(lambda: len(rows(run)) == 3, "resume", run, *EVERY_STEP)
    assert checkpoint(run)["context"]["weights"]["detector"]["kind"] == "adapter"
    done = fusetrain("resume", run, timeout=600)
    assert done.returncode == 0, done.stderr
    assert_same_run(whole, run)
