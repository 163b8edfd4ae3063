"""Time whole training steps of ours beside those of Ultralytics' one-stream nano detector.

    python benchmarks/peer_step.py                       # 320 px, batch 8, two threads, 3 rounds
    python benchmarks/peer_step.py --threads 1 --rounds 5
    python benchmarks/peer_step.py --only-ours           # installs nothing

A step is all of it: data, forward, loss, backward, optimizer and weight average, from the end of
one step to the end of the next. Both sides train on the synthetic pairs with their own default
augmentation, AdamW, every batch a step, decoded images in memory; the first epoch, which fills
that memory, is not counted. Variants take turns in fresh processes; medians and ratios pair by
pair, so that a slow spell of the machine meets all alike.

Ultralytics runs in fp32, which is what it has on a CPU, once as shipped and once with our thread
count and with the memory settings that ours makes for itself. It is installed on first use into
benchmarks/.env, an environment of its own, and runs offline.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from measuring.other_load import OtherLoad
from measuring.peer_environment import peer_python
from measuring.tables import table_text

from fusetrain.data.demo import write_demo

MEASURING = Path(__file__).parent / "measuring"
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1099511627776"}
# Either side's own default, or what is asked for, shall hold.
DROPPED_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
PEER_YAML = "path: {path}\ntrain: images/train\nval: images/val\nnames: [{names}]\n"
HEADER = (
    "per image or pair",
    "threads",
    "params M",
    "GFLOP",
    "step ms",
    "images/s",
    "speed (range)",
    "CPU s",
    "by CPU",
)


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


@dataclass(frozen=True)
class Timing:
    """The steps of one turn.

    Attributes:
        seconds: Median of a step.
        cpu_seconds: Median of a step, over all threads.
        other_load: Cores that other programs kept busy meanwhile.
        answer: What the script said.
    """

    seconds: float
    cpu_seconds: float
    other_load: float
    answer: Mapping[str, Any]


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name:
        folder = Path(name)
        own_data, peer_data = write_data(folder, args)
        variants = own_variants(own_data, args)
        if not args.only_ours:
            variants += peer_variants(peer_data, args, home=folder / "home")
        turns = take_turns(variants, rounds=args.rounds, folder=folder)
    reference = variants[-1].name
    rows = [row(variant.name, turns, reference=reference, args=args) for variant in variants]
    print(f"{args.imgsz} px, batch {args.batch}, {args.rounds} rounds; GFLOP of a forward pass;")
    print(f"speed and CPU time as ratios to {reference!r}, round by round, median\n")
    print(table_text(HEADER, rows, markdown=args.markdown))
    print()
    for variant in variants:
        print(f"{variant.name}: {turns[variant.name][0].answer['about']}")
    load = max(turn.other_load for mine in turns.values() for turn in mine)
    print(f"other programs kept up to {load:.1f} cores busy during a turn")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imgsz", type=int, default=320, help="px, a multiple of 32")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="counted, of each turn")
    parser.add_argument("--model", default="yolo11n.yaml", help="of the peer, by its own name")
    parser.add_argument("--only-ours", action="store_true", help="leave the peer out")
    parser.add_argument("--pip-args", default="", help="to install the peer with")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    args = parser.parse_args()
    if args.imgsz % 32:
        parser.error(f"--imgsz {args.imgsz} is not a multiple of 32")
    return args


def write_data(folder: Path, args: argparse.Namespace) -> tuple[Path, Path]:
    """Write the pairs, and their visible half again for the peer; return both data YAMLs.

    An epoch has one step more than half of those that are counted in a turn: a turn has two
    epochs that count, and the first step of an epoch does not.
    """
    train_pairs = args.batch * (-(-args.steps // 2) + 1)
    num_pairs = train_pairs * 5 // 4
    write_demo(folder / "demo", num_pairs=num_pairs)
    for part in ("images", "labels"):
        shutil.copytree(folder / "demo" / part, folder / "peer" / part)
    names = (folder / "demo" / "data.yaml").read_text(encoding="utf-8").split("names: [")[1]
    peer = folder / "peer" / "data.yaml"
    text = PEER_YAML.format(path=folder / "peer", names=names.partition("]")[0])
    peer.write_text(text, encoding="utf-8")
    return folder / "demo" / "data.yaml", peer


def own_variants(data: Path, args: argparse.Namespace) -> list[Variant]:
    """Return ours: both streams, one stream, and one stream in the precision of the peer."""
    command = (sys.executable, str(MEASURING / "own_steps.py"))
    common = _request(data, args, threads=args.threads)
    asked: dict[str, dict[str, Any]] = {
        "fusetrain mid, pairs": {"kind": "mid", "amp": "auto"},
        "fusetrain rgb": {"kind": "rgb", "amp": "auto"},
        "fusetrain rgb, fp32": {"kind": "rgb", "amp": False},
    }
    return [Variant(name, command, {**common, **more}) for name, more in asked.items()]


def peer_variants(data: Path, args: argparse.Namespace, *, home: Path) -> list[Variant]:
    """Return the peer as shipped and, last, with our thread count and memory settings."""
    command = (str(peer_python(args.pip_args)), str(MEASURING / "peer_steps.py"))
    home.mkdir()
    offline = {
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(home),
        "MPLCONFIGDIR": str(home),
        "WANDB_MODE": "disabled",
    }
    name = args.model.removesuffix(".yaml")
    shipped = {**_request(data, args, threads=None), "model": args.model}
    tuned = {**shipped, "threads": args.threads}
    return [
        Variant(f"{name} as shipped", command, shipped, offline),
        Variant(f"{name}, same threads", command, tuned, offline | KEEP_FREED_MEMORY),
    ]


def _request(data: Path, args: argparse.Namespace, *, threads: int | None) -> dict[str, Any]:
    return {
        "data": str(data),
        "imgsz": args.imgsz,
        "batch": args.batch,
        "threads": threads,
        "epochs": 3,
    }


def take_turns(
    variants: Sequence[Variant], *, rounds: int, folder: Path
) -> dict[str, list[Timing]]:
    """Run every variant once a round; return the turns of each by its name."""
    turns: dict[str, list[Timing]] = {variant.name: [] for variant in variants}
    for number in range(rounds):
        for variant in variants:
            timing = run_turn(variant, folder=folder)
            turns[variant.name].append(timing)
            print(
                f"round {number + 1}: {variant.name}: {1000 * timing.seconds:.0f} ms a step, "
                f"{timing.other_load:.1f} cores busy with other programs",
                file=sys.stderr,
            )
    return turns


def run_turn(variant: Variant, *, folder: Path) -> Timing:
    """Run one variant in a fresh process."""
    environment = {key: value for key, value in os.environ.items() if key not in DROPPED_VARIABLES}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        answer_file = Path(name) / "answer.json"
        request = {**variant.request, "folder": name, "answer": str(answer_file)}
        load = OtherLoad()
        ended = subprocess.run(
            [*variant.command, json.dumps(request)],
            cwd=name,
            env={**environment, **variant.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        other_load = load.cores()
        if not answer_file.is_file():
            tail = "\n".join(ended.stdout.splitlines()[-20:])
            raise SystemExit(f"{variant.name}: exit code {ended.returncode}:\n{tail}")
        answer = json.loads(answer_file.read_text(encoding="utf-8"))
    wall, cpu = zip(*step_lengths(answer["ends"]), strict=True)
    return Timing(statistics.median(wall), statistics.median(cpu), other_load, answer)


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


def row(
    name: str,
    turns: Mapping[str, Sequence[Timing]],
    *,
    reference: str,
    args: argparse.Namespace,
) -> list[str]:
    """Return the row of one variant: medians over rounds, ratios round by round."""
    mine = turns[name]
    pairs = list(zip(turns[reference], mine, strict=True))
    speeds = [other.seconds / turn.seconds for other, turn in pairs]
    by_cpu = [other.cpu_seconds / turn.cpu_seconds for other, turn in pairs]
    seconds = statistics.median(turn.seconds for turn in mine)
    cpu_seconds = statistics.median(turn.cpu_seconds for turn in mine)
    answer = mine[0].answer
    return [
        name,
        str(answer["threads"]),
        f"{answer['parameters'] / 1e6:.2f}",
        f"{answer['gflops']:.2f}",
        f"{1000 * seconds:.0f}",
        f"{args.batch / seconds:.1f}",
        f"{statistics.median(speeds):.2f}x ({min(speeds):.2f}-{max(speeds):.2f})",
        f"{cpu_seconds / args.batch:.3f}",
        f"{statistics.median(by_cpu):.2f}x",
    ]


if __name__ == "__main__":
    main()
