"""Time variants of a training in turns: each turn is a fresh process, all have one in every round.

A script trains and says when each step ended; here it is started, watched and its answer read. What
the variants are and what is made of their turns is up to the scripts beside this folder.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from measuring.other_load import OtherLoad
from measuring.processes import PeakMemory

MEASURING = Path(__file__).parent
# Either side's own default, or what is asked for, shall hold.
DROPPED_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Variant:
    """One way to train that takes its turn in every round.

    Attributes:
        name: As printed.
        command: Program and script.
        request: What the script is asked, without the place of its answer.
        environment: Variables on top of those of this process.
    """

    name: str
    command: tuple[str, ...]
    request: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)

    def surroundings(self) -> dict[str, str]:
        """Return all variables with which its processes run."""
        kept = {key: value for key, value in os.environ.items() if key not in DROPPED_VARIABLES}
        return {**kept, **self.environment}


@dataclass(frozen=True)
class Turn:
    """What one turn cost.

    Attributes:
        seconds: Median of a step.
        cpu_seconds: Median of a step, over all threads.
        peak_mib: The most memory that its processes held, MiB; 0 where the system does not tell.
        other_load: Cores that other programs kept busy meanwhile.
        answer: What the script said.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    other_load: float
    answer: Mapping[str, Any]

    @property
    def gflops(self) -> float:
        """Return the operations of a forward pass on one image or pair, in 10^9."""
        return float(self.answer["gflops"])

    @property
    def training_mib(self) -> float:
        """Return the memory that training took beyond what was held before its first step, MiB."""
        return self.peak_mib - float(self.answer["start_mib"])


@dataclass(frozen=True)
class Ended:
    """A script that has ended well.

    Attributes:
        answer: What it said.
        began: When it was started, on the clock of `time.perf_counter`.
        peak_mib: As in `Turn`.
        other_load: As in `Turn`.
    """

    answer: Mapping[str, Any]
    began: float
    peak_mib: float
    other_load: float


def take_turns(variants: Sequence[Variant], *, rounds: int, folder: Path) -> dict[str, list[Turn]]:
    """Run every variant once a round; return the turns of each by its name."""
    turns: dict[str, list[Turn]] = {variant.name: [] for variant in variants}
    for number in range(rounds):
        for variant in variants:
            turn = run_turn(variant, folder=folder)
            turns[variant.name].append(turn)
            print(
                f"round {number + 1}: {variant.name}: {1000 * turn.seconds:.0f} ms a step, "
                f"{turn.peak_mib:.0f} MiB, {turn.other_load:.1f} cores busy with other programs",
                file=sys.stderr,
            )
    return turns


def run_turn(variant: Variant, *, folder: Path) -> Turn:
    """Run one variant in a fresh process."""
    ended = ask(variant, folder=folder)
    wall, cpu = zip(*step_lengths(ended.answer["ends"]), strict=True)
    return Turn(
        statistics.median(wall),
        statistics.median(cpu),
        ended.peak_mib,
        ended.other_load,
        ended.answer,
    )


def ask(variant: Variant, *, folder: Path) -> Ended:
    """Run the script of a variant in a fresh process and in a folder of its own.

    Raises:
        SystemExit: It gave no answer; the message has the last lines that it printed.
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        answer, log = Path(name) / "answer.json", Path(name) / "log.txt"
        request = {**variant.request, "folder": name, "answer": str(answer)}
        others, began = OtherLoad(), time.perf_counter()
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                [*variant.command, json.dumps(request)],
                cwd=name,
                env=variant.surroundings(),
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            try:
                with PeakMemory(process.pid) as memory:
                    process.wait()
            finally:  # where we are ended, so is the training
                process.kill()
                process.wait()
        other_load = others.cores()
        if not answer.is_file():
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            tail = "\n".join(lines[-20:])
            raise SystemExit(f"{variant.name}: exit code {process.returncode}:\n{tail}")
        told = json.loads(answer.read_text(encoding="utf-8"))
    return Ended(told, began, memory.mib, other_load)


def step_lengths(ends: Sequence[tuple[int, float, float]]) -> list[tuple[float, float]]:
    """Return seconds and CPU seconds of the steps that count.

    These run from the end of a step to the end of the next one of the same epoch, and the first
    epoch is left out.

    Args:
        ends: Epoch from 0, seconds on the clock and seconds of CPU time at the end of each step.
    """
    return [
        (end - start, cpu_end - cpu_start)
        for (epoch, start, cpu_start), (same, end, cpu_end) in pairwise(ends)
        if epoch == same > 0
    ]


def after_each_other(first: Turn, second: Turn) -> Turn:
    """Return what it costs to train two detectors, one after the other, each on its modality.

    Times, parameters and operations add up; memory is that of the one that needs more.
    """
    larger = max(first, second, key=lambda turn: turn.peak_mib)
    return Turn(
        seconds=first.seconds + second.seconds,
        cpu_seconds=first.cpu_seconds + second.cpu_seconds,
        peak_mib=larger.peak_mib,
        other_load=max(first.other_load, second.other_load),
        answer={
            **larger.answer,
            **{key: first.answer[key] + second.answer[key] for key in ("parameters", "gflops")},
        },
    )
