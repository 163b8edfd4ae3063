"""Run trainings as real processes that are killed and resumed, and write down every step's rates.

    python run_trainings.py JOBS.json

A job is {config, ranks, kills, extend}: the config is trained by so many ranks, killed at the given
optimizer steps with SIGKILL and resumed each time, and at last resumed with more epochs. The
processes are forked from this one, so that torch is imported once. Each rank leaves
`rates_RANK.csv` beside the config: step, rate of each group, momentum, as the optimizer had them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from fusetrain import build
from fusetrain.config.load import load_config
from fusetrain.engine.checkpoint import TrainState
from fusetrain.results.figure_style import save_figure
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import config_checks
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.resuming import resume
from fusetrain.runs.session import Session
from fusetrain.runs.training import train


class Recorder(RunReporter):
    """Writes down what the optimizer stepped with, and kills this process after a given step."""

    def __init__(self, path: Path, kill_at: int | None) -> None:
        self.path = path
        self.kill_at = kill_at
        self.groups: list[dict[str, Any]] = []

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        self.groups = session.runner.optimizer.param_groups

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        first = self.groups[0]
        momentum = first["betas"][0] if "betas" in first else first["momentum"]
        cells = [state.slot - 1, *(group["lr"] for group in self.groups), momentum]
        with self.path.open("a") as file:
            file.write(",".join(map(repr, cells)) + "\n")
        if state.slot == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch(self, *about: Any) -> None:
        pass


def run_rank(job: dict[str, Any], rank: int, *, kill_at: int | None, words: list[str]) -> None:
    """Train or resume on one rank."""
    config = Path(job["config"])
    recorder = Recorder(config.parent / f"rates_{rank}.csv", kill_at)
    folder = config.parent / "runs" / "exp"
    if folder.is_dir() and (folder / "weights" / "last.pt").exists():
        wanted = load_config(folder / "config.yaml", words, checks=[config_checks])
        resume(RunDir.open(folder), wanted, reporter=recorder)
    else:
        settings = load_config(config, checks=[config_checks]).placed(None)
        train(settings, build.open_data(settings), reporter=recorder)


def run_ranks(job: dict[str, Any], *, kill_at: int | None, words: list[str]) -> None:
    """Run all ranks to their end; a killed main rank takes the others with it."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port.getsockname()[1])}
    ranks = job["ranks"]
    children = []
    for rank in range(ranks):
        child = os.fork()
        if not child:
            os.environ |= address | {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            code = 1
            try:
                run_rank(job, rank, kill_at=kill_at, words=words)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    main_end = os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1])
    for child in children[1:]:
        if main_end:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    expected = 0 if kill_at is None else -signal.SIGKILL
    if main_end != expected:
        sys.exit(f"{job['config']}: ended with {main_end} instead of {expected}")


def main() -> None:
    jobs = Path(sys.argv[1])
    # What the first figure loads is loaded once, here.
    save_figure(jobs.with_suffix(".png"), lambda figure: None, size_inches=(1.0, 1.0))
    for job in json.loads(jobs.read_text()):
        for kill_at in (*job["kills"], None):
            run_ranks(job, kill_at=kill_at, words=[])
        run = Path(job["config"]).parent / "runs" / "exp"
        shutil.copy(run / "results.csv", run.parent / "before.csv")
        if job["extend"]:
            run_ranks(job, kill_at=None, words=[f"train.epochs={job['extend']}"])


if __name__ == "__main__":
    main()
