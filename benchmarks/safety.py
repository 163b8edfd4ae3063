"""Measure what it costs never to lose a run: saving, verifying, locking, resuming.

    python benchmarks/safety.py
    python benchmarks/safety.py --imgsz 320 --batch 8 --rounds 1      # steps of the demo

CPU seconds are those of a whole process, the background included; they say more than the clock
where other programs keep the machine busy. What is compared takes turns: steps with and without a
save in one training, fresh starts and resumes one after another. Every start is a fresh process.
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
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from measuring.tables import table_text

from fusetrain import build
from fusetrain.config.load import load_config
from fusetrain.data.demo import write_demo
from fusetrain.engine.checkpoint import LAST, TrainState, read_newest
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.records import keeper_of
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.resuming import resume
from fusetrain.runs.session import Session
from fusetrain.runs.training import train

Cost = tuple[float, float]  # seconds on the clock, seconds of CPU time
MOST_SHARE, MOST_RATIO = 0.02, 1.2  # what is promised
WARM_STEPS = 2  # the first steps take memory that later ones find there
LONG_STEPS = 8  # of an epoch of the long run, one pair each


class Reached(Exception):
    """The step that was waited for is done."""


class UntilStep(RunReporter):
    """Notes the time when a run is put together and after each step; ends it after the last."""

    session: Session
    run: RunDir
    state: TrainState

    def __init__(self, last: int) -> None:
        self.times: list[Cost] = []
        self._last = last

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        """Keep what was put together, and note the time."""
        self.session, self.run, self.state = session, run, state
        self.times.append(now())

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        """Note the time."""
        self.times.append(now())
        if state.slot == self._last:
            raise Reached


def now() -> Cost:
    """Return the seconds since 1970, and the CPU seconds of this process."""
    return time.time(), time.process_time()


def cost_of(call: Callable[[], object], *, times: int = 5) -> Cost:
    """Return the median cost of some calls."""
    costs = []
    for _ in range(times):
        before = now()
        call()
        costs.append(between(before, now()))
    return median(costs)


def between(before: Cost, after: Cost) -> Cost:
    return after[0] - before[0], after[1] - before[1]


def median(costs: Sequence[Cost]) -> Cost:
    clocks, cpus = zip(*costs, strict=True)
    return statistics.median(clocks), statistics.median(cpus)


def in_child(asked: Mapping[str, Any]) -> None:
    """Train or resume until a step is done; print the times of all steps as JSON.

    Args:
        asked: ``last`` step; ``run`` to resume, or the ``config`` and ``sets`` of a new one;
            ``saves``: save at the end, too, and say what that costs.
    """
    reporter = UntilStep(asked["last"])
    with contextlib.suppress(Reached):
        if asked.get("run"):
            folder = RunDir.open(Path(asked["run"]))
            resume(folder, load_config(folder.config), reporter=reporter)
        else:
            settings = load_config(Path(asked["config"]), asked["sets"]).placed()
            train(settings, build.open_data(settings), reporter=reporter)
    print(json.dumps({"times": reporter.times, **(saves(reporter) if asked.get("saves") else {})}))


def saves(reporter: UntilStep) -> dict[str, Any]:
    """Save what a run has come to some times; return what that costs."""
    run, session = reporter.run, reporter.session
    keeper = keeper_of(session, run, print)

    def save() -> None:
        keeper.save(reporter.state, new_best=True, good=True)
        keeper.wait()

    def hold() -> None:
        with run.lock():
            pass

    found = {
        "save": cost_of(save),
        "load": cost_of(lambda: read_newest(run.weights)),
        "lock": cost_of(hold),
        "megabytes": (run.weights / LAST).stat().st_size / 1e6,
        "steps_per_epoch": session.plan.steps_per_epoch,
    }
    keeper.close()
    return found


def child(**asked: Any) -> dict[str, Any]:
    """Run `in_child` in a fresh process; its times are told from its start on."""
    began = time.time()
    ended = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(asked)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    found["times"] = [(clock - began, cpu) for clock, cpu in found["times"]]
    return found


def measure_saves(config: Path, sets: Sequence[str], *, count: int) -> dict[str, Any]:
    """Train with a save after every other step; return what steps and saves cost."""
    last = WARM_STEPS + 2 * count + 2
    settings = [*sets, "run.name=saves", "train.save_every={steps: 2}"]
    found = child(config=str(config), sets=settings, last=last, saves=True)
    # The interval after an even step has its save in it.
    steps = [between(*pair) for pair in pairwise(found["times"][1:])][WARM_STEPS:]
    plain, saving = steps[::2], steps[1::2]
    added = [
        (own[0] - (before[0] + after[0]) / 2, own[1] - (before[1] + after[1]) / 2)
        for before, own, after in zip(plain[:-1], saving, plain[1:], strict=True)
    ]
    return found | {"step": median(plain), "added": median(added)}


def measure_starts(
    config: Path, sets: Sequence[str], *, epochs: int, rounds: int
) -> dict[str, list[tuple[Cost, Cost]]]:
    """Start afresh, and resume early and late in a long run, in turns.

    Returns:
        By kind of start, for each round: until the run is put together, until its first step.
    """
    total = epochs * LONG_STEPS
    long = [*sets, "train.batch=1", f"train.epochs={epochs}", f"train.val_every={epochs}"]
    saved = {"early": 1, "late": total - 2}
    project = next(words.split("=")[1] for words in sets if words.startswith("run.project="))
    for name, step in saved.items():
        settings = [*long, f"run.name={name}", f"train.save_every={{steps: {step}}}"]
        child(config=str(config), sets=settings, last=step + 1)
    found: dict[str, list[tuple[Cost, Cost]]] = {"fresh": [], "early": [], "late": []}
    for _ in range(rounds):
        for name, costs in found.items():
            step = saved.get(name, 0)
            where = {"run": str(Path(project) / name)} if step else {}
            times = child(config=str(config), sets=long, last=step + 1, **where)["times"]
            costs.append((times[0], times[1]))
    return found


def report_saves(found: Mapping[str, Any]) -> None:
    """Print what saves cost, and the share that is promised."""
    steps = found["steps_per_epoch"]
    rows = [
        ("a step", found["step"]),
        ("added to the step that a save falls into", found["added"]),
        ("a save by itself, best weights and table too", found["save"]),
        ("reading and verifying a checkpoint", found["load"]),
        ("taking and leaving the lock", found["lock"]),
    ]
    print(f"checkpoint: {found['megabytes']:.1f} MB; {steps} steps an epoch, a save an epoch\n")
    print_costs(rows)
    share = max(found["added"][1], found["save"][1]) / (steps * found["step"][1])
    print(f"\nsaving: {share:.2%} of the CPU time of steps (promised: {MOST_SHARE:.0%} at most)")
    print(f"a step waits for a save: {found['added'][0] / found['step'][0]:.2f} steps\n")


def report_starts(found: Mapping[str, list[tuple[Cost, Cost]]], *, epochs: int) -> None:
    """Print what starts cost, and the ratio that is promised."""
    told = {
        "fresh": "a fresh start",
        "early": "a resume after the first step",
        "late": f"a resume late in epoch {epochs}",
    }
    rows = []
    for name, costs in found.items():
        ready, stepped = zip(*costs, strict=True)
        rows.append((f"{told[name]}: the run is put together", median(ready)))
        rows.append((f"{told[name]}: its first step is done", median(stepped)))
    print_costs(rows)
    print(f"\nCPU time of a resume / of a fresh start (promised: {MOST_RATIO} at most)")
    for name in ("early", "late"):
        ratios = [
            [own[place][1] / fresh[place][1] for place in (0, 1)]
            for own, fresh in zip(found[name], found["fresh"], strict=True)
        ]
        ready, stepped = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(f"{told[name]}: {stepped:.2f} to its first step, {ready:.2f} until put together")


def print_costs(rows: Sequence[tuple[str, Cost]]) -> None:
    cells = [(name, f"{clock * 1e3:.1f}", f"{cpu * 1e3:.1f}") for name, (clock, cpu) in rows]
    print(table_text(("what", "ms", "CPU ms"), cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=240, help="train and val together")
    parser.add_argument("--imgsz", type=int, default=640, help="of the steps beside saves")
    parser.add_argument("--batch", type=int, default=16, help="of the steps beside saves")
    parser.add_argument("--threads", type=int, default=1, help="waiting ones count as busy")
    parser.add_argument("--saves", type=int, default=6, help="saves among the steps")
    parser.add_argument("--rounds", type=int, default=3, help="starts of either kind")
    parser.add_argument("--epochs", type=int, default=100, help="epochs of the long run")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        in_child(args.child)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = [
            *(f"run.project={folder / 'runs'}", "train.device=cpu"),
            f"train.threads={args.threads}",
        ]
        for pairs, kind in ((args.pairs, "demo"), (LONG_STEPS + 2, "long")):
            write_demo(folder / kind, num_pairs=pairs)
        short = [*sets, f"train.imgsz={args.imgsz}", f"train.batch={args.batch}"]
        report_saves(measure_saves(folder / "demo" / "train.yaml", short, count=args.saves))
        found = measure_starts(
            folder / "long" / "train.yaml",
            [*sets, "train.imgsz=64"],
            epochs=args.epochs,
            rounds=args.rounds,
        )
        report_starts(found, epochs=args.epochs)


if __name__ == "__main__":
    main()
