"""Run trainings as real processes that are killed and resumed, and write down every step's rates.

    python run_trainings.py JOBS.json

A job is {config, ranks, kills, extend}: the config is trained by so many ranks, killed at the given
optimizer steps with SIGKILL and resumed each time, and at last resumed with more epochs. Where
`ranks` is a list, each part of the training has its own number. The processes are forked from this
one, so that torch is imported once. Each rank leaves beside the config `rates_RANK.csv`: step, rate
of each group, momentum, as the optimizer had them; `pairs_PART_RANK.csv`: step, pairs it was made
of; and `notes_PART_RANK.txt`: what it was told.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
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
from fusetrain.sample import Batch


class Recorder(RunReporter):
    """Writes down what the optimizer stepped with, and kills this process after a given step."""

    def __init__(self, folder: Path, *, part: int, rank: int, kill_at: int | None) -> None:
        self.rates = folder / f"rates_{rank}.csv"
        self.pairs = folder / f"pairs_{part}_{rank}.csv"
        self.notes = folder / f"notes_{part}_{rank}.txt"
        self.kill_at = kill_at
        self.groups: list[dict[str, Any]] = []

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        self.groups = session.runner.optimizer.param_groups
        make = session.runner.step

        def step(batches: Sequence[Batch], *, updates: int) -> Any:
            rows = [row for batch in batches for row in batch.sample_ids.tolist()]
            append(self.pairs, [state.slot, *rows])
            return make(batches, updates=updates)

        session.runner.step = step  # type: ignore[method-assign]

    def on_note(self, text: str) -> None:
        append(self.notes, [text])

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        first = self.groups[0]
        momentum = first["betas"][0] if "betas" in first else first["momentum"]
        append(self.rates, [state.slot - 1, *(group["lr"] for group in self.groups), momentum])
        if state.slot == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch(self, *about: Any) -> None:
        pass


def append(path: Path, cells: Sequence[object]) -> None:
    with path.open("a") as file:
        file.write(",".join(map(repr, cells)) + "\n")


def run_rank(job: dict[str, Any], recorder: Recorder, words: list[str]) -> None:
    """Train or resume on one rank."""
    config = Path(job["config"])
    folder = config.parent / "runs" / "exp"
    if folder.is_dir() and (folder / "weights" / "last.pt").exists():
        wanted = load_config(folder / "config.yaml", words, checks=[config_checks])
        resume(RunDir.open(folder), wanted, reporter=recorder)
    else:
        settings = load_config(config, checks=[config_checks]).placed(None)
        train(settings, build.open_data(settings), reporter=recorder)


def run_ranks(
    job: dict[str, Any], *, part: int, kill_at: int | None = None, words: Sequence[str] = ()
) -> None:
    """Run all ranks to their end; a killed main rank takes the others with it."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port.getsockname()[1])}
    ranks = job["ranks"] if isinstance(job["ranks"], int) else job["ranks"][part]
    folder = Path(job["config"]).parent
    children = []
    for rank in range(ranks):
        child = os.fork()
        if not child:
            os.environ |= address | {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            code = 1
            try:
                recorder = Recorder(folder, part=part, rank=rank, kill_at=kill_at)
                run_rank(job, recorder, list(words))
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
        parts = [*job["kills"], None]
        for part, kill_at in enumerate(parts):
            run_ranks(job, part=part, kill_at=kill_at)
        run = Path(job["config"]).parent / "runs" / "exp"
        shutil.copy(run / "results.csv", run.parent / "before.csv")
        if job["extend"]:
            run_ranks(job, part=len(parts), words=[f"train.epochs={job['extend']}"])


if __name__ == "__main__":
    main()
