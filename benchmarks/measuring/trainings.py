"""Train variants of one config alike, as real processes of the command line.

One training a variant and seed; scores are read from each run's results.csv, so what is compared is
what a user would see. The scripts beside this folder say which data, config and variants.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring.keeping import digest, note
from measuring.learning_curves import read_curve
from measuring.tables import mean_text

from fusetrain.catalogue import entries
from fusetrain.config.load import load_config
from fusetrain.data.spec import load_spec
from fusetrain.errors import FusetrainError
from fusetrain.runs.phases import detector_spec

SCORES = ("mAP50", "mAP50-95")
HEADER = ("variant", "params M", "GFLOPs/pair", *SCORES, "best epoch", "seconds", "CPU s")


@dataclass(frozen=True)
class Training:
    """One training to be run.

    Attributes:
        config: Training config.
        data: Data YAML or data-set folder.
        variant: What this one is called.
        seed: Value of ``train.seed``.
        sets: Its ``key=value`` settings but for the seed.
        folder: Where the run folder and its log are written.
    """

    config: Path
    data: Path
    variant: str
    seed: int
    sets: tuple[str, ...]
    folder: Path

    @property
    def name(self) -> str:
        """Return the name of the run folder."""
        return f"{self.variant}-seed{self.seed}"

    @property
    def done(self) -> Path:
        """Return the file that stands for a training that ended well."""
        return self.folder / f"{self.name}.done"

    @property
    def settings(self) -> tuple[str, ...]:
        """Return all of its ``key=value`` settings that its scores depend on."""
        return (*self.sets, f"train.seed={self.seed}")

    @property
    def made_from(self) -> dict[str, Any]:
        """Return what its scores depend on."""
        return {
            "config": digest(self.config),
            "data": str(self.data.absolute()),
            "settings": list(self.settings),
        }


@dataclass(frozen=True)
class Result:
    """What one training reached on the validation split.

    Attributes:
        variant: That of the training.
        best_epoch: Epoch of the highest mAP50-95, from 1; the earlier one at a tie.
        map50: mAP50 of that epoch.
        map50_95: mAP50-95 of that epoch.
        seconds: Of training, validation included.
        cpu_seconds: Of processor time in the steps, which other work on the machine hardly moves.
    """

    variant: str
    best_epoch: int
    map50: float
    map50_95: float
    seconds: float
    cpu_seconds: float


def add_arguments(parser: argparse.ArgumentParser, *, with_jobs: bool = True) -> None:
    """Add the options that all comparisons share.

    Args:
        parser: Gets them.
        with_jobs: Let several trainings run at a time; else it is one after the other.
    """
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="instead of those of the config")
    parser.add_argument("--imgsz", type=int, help="px, instead of that of the config")
    parser.add_argument("--threads", type=int, help="of each training; default: cores / jobs")
    if with_jobs:
        parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    else:
        parser.set_defaults(jobs=1)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="setting of all trainings"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to keep runs, and go on")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")


@contextmanager
def work_folder(keep: Path | None) -> Iterator[Path]:
    """Yield a temporary folder, or the one that is to be kept: what was done there stays done."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as folder:
            yield Path(folder)
    else:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.absolute()


def settings_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the ``key=value`` settings that the shared options ask for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = args.threads or max(1, (cores or 1) // args.jobs)
    chosen = {"epochs": args.epochs, "imgsz": args.imgsz, "threads": threads}
    return (
        *(f"train.{key}={value}" for key, value in chosen.items() if value is not None),
        *args.set,
    )


def run_all(trainings: Sequence[Training], *, jobs: int) -> list[Result]:
    """Run all trainings, ``jobs`` at a time; each says on stderr how it ended."""
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_run, training) for training in trainings]
        try:
            return [future.result() for future in waiting]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _command(training: Training) -> list[str]:
    """Return the arguments of `fusetrain` that begin a training, or go on with a broken off one."""
    run = training.folder / training.name
    if (run / "weights" / "last.pt").exists():
        return ["resume", str(run)]
    shutil.rmtree(run, ignore_errors=True)
    words = ["train", "--config", str(training.config), "--data", str(training.data)]
    words += ["--name", training.name]
    sets = (*training.settings, f"run.project={training.folder}")
    return [*words, *(word for item in sets for word in ("--set", item))]


def _run(training: Training) -> Result:
    """Run one training in a process of its own, unless it is done."""
    note(training.folder / training.name, training.made_from)
    if not training.done.exists():
        command = [sys.executable, "-m", "fusetrain", *_command(training)]
        log = training.folder / f"{training.name}.log"
        with log.open("a", encoding="utf-8") as file:
            ended = subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, env=os.environ | {"NO_COLOR": "1"}
            )
        if ended.returncode:
            tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
            raise SystemExit(f"{training.name} ended with exit code {ended.returncode}:\n{tail}")
        training.done.touch()
    result = read_result(training.folder / training.name, training.variant)
    print(
        f"{training.name}: mAP50 {result.map50:.3f}, mAP50-95 {result.map50_95:.3f} "
        f"in epoch {result.best_epoch}, {result.seconds:.0f} s",
        file=sys.stderr,
    )
    return result


def read_result(run: Path, variant: str) -> Result:
    """Return the best validated epoch of a run, and what the run cost."""
    curve = read_curve(run)
    best = max(curve, key=lambda point: point.map50_95)
    return Result(
        variant=variant,
        best_epoch=best.epoch,
        map50=best.map50,
        map50_95=best.map50_95,
        seconds=curve[-1].seconds,
        cpu_seconds=curve[-1].cpu_seconds,
    )


def cost_of(training: Training) -> tuple[float, float]:
    """Return a detector's millions of parameters and the GFLOPs of its forward pass on a pair.

    A multiplication and the addition after it count as two, on a square canvas of `train.imgsz`.
    """
    config = load_config(training.config, training.sets).config
    spec = detector_spec(config, len(load_spec(training.data).class_names))
    (cost,) = entries([spec], imgsz=config.train.imgsz)
    return cost.params / 1e6, cost.flops / 1e9


def result_rows(trainings: Sequence[Training], results: Sequence[Result]) -> list[list[str]]:
    """Return one row a variant: mean over its seeds, with the deviation where there are several."""
    rows = []
    for variant in dict.fromkeys(result.variant for result in results):
        params, gflops = cost_of(next(item for item in trainings if item.variant == variant))
        mine = [result for result in results if result.variant == variant]
        rows.append(
            [
                variant,
                f"{params:.2f}",
                f"{gflops:.2f}",
                mean_text([result.map50 for result in mine]),
                mean_text([result.map50_95 for result in mine]),
                mean_text([result.best_epoch for result in mine], digits=0),
                mean_text([result.seconds for result in mine], digits=0),
                mean_text([result.cpu_seconds for result in mine], digits=0),
            ]
        )
    return rows


def planned(
    config: Path,
    data: Path,
    variants: Mapping[str, Sequence[str]],
    *,
    args: argparse.Namespace,
    folder: Path,
) -> list[Training]:
    """Return a training of every variant with every seed, on one budget.

    Args:
        config: Training config.
        data: Data YAML or data-set folder.
        variants: What a variant is called to its own ``key=value`` settings.
        args: The options of `add_arguments`.
        folder: Where run folders and logs are written.

    Raises:
        SystemExit: A setting is wrong, which is told before hours are spent.
    """
    sets = settings_of(args)
    trainings = [
        Training(config, data, variant, seed, (*sets, *own), folder)
        for seed in args.seeds
        for variant, own in variants.items()
    ]
    try:
        for training in trainings:
            cost_of(training)
    except FusetrainError as error:
        raise SystemExit(str(error)) from None
    return trainings


def trained(
    config: Path,
    data: Path,
    variants: Mapping[str, Sequence[str]],
    *,
    args: argparse.Namespace,
    folder: Path,
) -> tuple[list[list[str]], list[Result]]:
    """Run what `planned` returns for the same arguments; return rows for a table, and results."""
    trainings = planned(config, data, variants, args=args, folder=folder)
    results = run_all(trainings, jobs=args.jobs)
    return result_rows(trainings, results), results
