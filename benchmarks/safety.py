"""Measure what it costs never to lose a run: saving, verifying, locking, resuming.

    python benchmarks/safety.py
    python benchmarks/safety.py --pairs 24 --imgsz 64 --rounds 1 --steps 2

A short training on synthetic pairs at default settings. CPU seconds are those of the whole process,
the background included; they say more than the clock where other programs keep the machine busy.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from measuring.tables import table_text

from fusetrain import build
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config
from fusetrain.data.demo import write_demo
from fusetrain.engine.checkpoint import TrainState, read_newest
from fusetrain.engine.infer import Validation
from fusetrain.engine.keeper import RunKeeper
from fusetrain.engine.signals import StopFlag
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.resuming import resume
from fusetrain.runs.session import assemble, choose_machine, make_trainer
from fusetrain.runs.training import train

Cost = tuple[float, float]  # seconds on the clock, seconds of CPU time


class Reached(Exception):
    """The step that was waited for is done."""


class UntilStep(RunReporter):
    """Notes the time at the end of each step, and ends the run after the last one wanted."""

    def __init__(self, last: int) -> None:
        self.ends: list[Cost] = []
        self._last = last

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        """Note the time."""
        self.ends.append((time.perf_counter(), time.process_time()))
        if len(self.ends) == self._last:
            raise Reached

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        """Let an epoch go by."""


def cost_of(call: Callable[[], object], *, times: int) -> Cost:
    """Return the median cost of some calls."""
    costs = []
    for _ in range(times):
        clock, cpu = time.perf_counter(), time.process_time()
        call()
        costs.append((time.perf_counter() - clock, time.process_time() - cpu))
    return _median(costs)


def measure(config: Config, folder: Path, *, steps: int) -> dict[str, Any]:
    """Train some steps, then save what there is some times; return what each costs."""
    machine = choose_machine(config)
    machine.apply()
    config = build.resolved(config, machine)
    data = build.open_data(config)
    session = assemble(config, data, machine)
    run = RunDir.create(folder, "measured")
    keeper = RunKeeper(run, session.detector, session.runner, context={}, description={})
    reporter, state = UntilStep(steps + 1), TrainState()
    source = BatchSource(config, data, machine)
    trainer = make_trainer(session, source, keeper, state, reporter=reporter, stop=StopFlag())
    with contextlib.suppress(Reached):
        trainer.run()
    ends = reporter.ends
    step = _median([(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(ends)])

    def save() -> None:
        keeper.save(state, new_best=True)
        keeper.wait()

    def stall() -> None:
        keeper.save(state, new_best=True)

    whole = cost_of(save, times=5)
    stalls = []
    for _ in range(5):
        stalls.append(cost_of(stall, times=1))
        keeper.wait()
    verify = cost_of(lambda: read_newest(run.weights), times=3)

    def hold() -> None:
        with run.lock():
            pass

    lock = cost_of(hold, times=5)
    keeper.close()
    return {
        "steps_per_epoch": session.plan.steps_per_epoch,
        "megabytes": (run.weights / "last.pt").stat().st_size / 1e6,
        "step": step,
        "stall": _median(stalls),
        "save": whole,
        "load": verify,
        "lock": lock,
    }


def _median(costs: Sequence[Cost]) -> Cost:
    clocks, cpus = zip(*costs, strict=True)
    return statistics.median(clocks), statistics.median(cpus)


def first_step(config: Path, run: Path | None) -> None:
    """Train or resume until the first step is done; print the cost since the process began."""
    began = time.perf_counter() - time.process_time()
    reporter = UntilStep(1)
    with contextlib.suppress(Reached):
        if run is None:
            settings = load_config(config).placed()
            train(settings, build.open_data(settings), reporter=reporter)
        else:
            folder = RunDir.open(run)
            resume(folder, load_config(folder.config), reporter=reporter)
    clock, cpu = reporter.ends[0]
    print(json.dumps([clock - began, cpu]))


def time_to_first_step(config: Path, run: Path | None) -> Cost:
    """Return the cost of a fresh process until its first step is done."""
    words = ["--first-step", str(config), *([] if run is None else ["--run", str(run)])]
    ended = subprocess.run(
        [sys.executable, __file__, *words], capture_output=True, text=True, check=True
    )
    clock, cpu = json.loads(ended.stdout.splitlines()[-1])
    return clock, cpu


def report(found: dict[str, Any], fresh: Cost, resumed: Cost) -> None:
    """Print what was measured, and the shares that are promised."""
    epoch = tuple(found["steps_per_epoch"] * value for value in found["step"])
    rows = [
        (name, f"{cost[0] * 1e3:.1f}", f"{cost[1] * 1e3:.1f}")
        for name, cost in (
            ("a step", found["step"]),
            ("what a step waits for a save", found["stall"]),
            ("a save in all, best weights and table too", found["save"]),
            ("reading and verifying a checkpoint", found["load"]),
            ("taking and leaving the lock", found["lock"]),
            ("fresh start to the first step", fresh),
            ("resume to the first step", resumed),
        )
    ]
    print(f"checkpoint: {found['megabytes']:.1f} MB; {found['steps_per_epoch']} steps an epoch\n")
    print(table_text(("what", "ms", "CPU ms"), rows))
    print(
        f"\na save an epoch: {found['stall'][0] / epoch[0]:.2%} of its steps waiting, "
        f"{found['save'][1] / epoch[1]:.2%} of their CPU time in all"
    )
    print(f"a save stalls {found['stall'][0] / found['step'][0]:.2f} steps")
    print(f"resume / fresh start: {resumed[1] / fresh[1]:.2f} by CPU time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=240, help="train and val together")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3, help="starts of either kind")
    parser.add_argument("--first-step", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.first_step:
        first_step(args.first_step, args.run)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_demo(folder / "demo", num_pairs=args.pairs)
        config = folder / "demo" / "train.yaml"
        sets = [f"train.imgsz={args.imgsz}", f"run.project={folder / 'runs'}", "train.device=cpu"]
        settings = load_config(config, sets).placed()
        found = measure(settings, folder, steps=args.steps)
        text = config.read_text(encoding="utf-8").replace("imgsz: 320", f"imgsz: {args.imgsz}")
        config.write_text(f"{text}run: {{project: {folder / 'runs'}}}\n", encoding="utf-8")
        stop = ["--set", "train.save_every={steps: 1}", "--set", "train.device=cpu"]
        _save_one_step(config, stop, folder)
        costs: tuple[list[Cost], list[Cost]] = ([], [])
        for _ in range(args.rounds):
            costs[0].append(time_to_first_step(config, None))
            costs[1].append(time_to_first_step(config, folder / "runs" / "exp"))
        report(found, _median(costs[0]), _median(costs[1]))


def _save_one_step(config: Path, sets: Sequence[str], folder: Path) -> None:
    """Train with the command line until something is saved, then stop it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fusetrain", "train", "--config", str(config), *sets],
        stderr=subprocess.DEVNULL,
    )
    while not (folder / "runs" / "exp" / "weights" / "last.pt").exists():
        time.sleep(0.1)
    process.terminate()
    process.wait()


if __name__ == "__main__":
    main()
