"""How long a user waits: for help, for an error in a config, and for the first step of a training.

    python benchmarks/startup.py
    python benchmarks/startup.py --rounds 9 --markdown
    python benchmarks/startup.py --only-ours              # installs nothing

Every start is a fresh process; ours and Ultralytics take turns. A training is started on the
synthetic pairs with the config that they come with, and counts from the start of its process to the
end of its first optimizer step: imports, the check of the data, figures of the labels and all. The
peer trains its nano detector on the same pairs, as images of 4 channels, with the same batch and
size, the same number of threads and our memory settings. The first round is not counted, so that
all files are in memory. Beside our times stands what had been imported of the modules that are slow
to import; training shall not need torchvision.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring.other_load import OtherLoad
from measuring.peer_data import write_four_channels
from measuring.peer_environment import KEEP_FREED_MEMORY, offline, peer_python
from measuring.tables import table_text
from measuring.turns import MEASURING, Variant, ask

from fusetrain import build
from fusetrain.config.load import load_config
from fusetrain.data.demo import write_demo

HEADER = ("start", "ours s (range)", "CPU s", "peer s (range)", "CPU s", "speed", "ours imported")
SLOW_MODULES = ("torch", "torchvision")
HELP, WRONG_KEY, TRAINING = "help", "error in a config", "training, to its first step"
MOST_SECONDS = 8.0  # of a training to its first step

Cost = tuple[float, float]  # seconds on the clock, seconds of CPU time


@dataclass(frozen=True)
class Start:
    """Something that is started by ours and by the peer.

    Attributes:
        name: As printed.
        ours: Starts ours once.
        peer: Starts the peer once; None where it is left out.
        imported: Which of the slow modules ours had imported.
    """

    name: str
    ours: Callable[[], Cost]
    peer: Callable[[], Cost] | None
    imported: Sequence[str]


def main() -> None:
    args = arguments()
    others = OtherLoad()
    with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name:
        starts = all_starts(Path(name), args)
        found = in_turns(starts, rounds=args.rounds)
    load = others.cores()
    print(f"fresh processes, {args.rounds} rounds, {args.threads} threads; medians\n")
    print(table_text(HEADER, [row(start, found) for start in starts], markdown=args.markdown))
    print()
    for line in verdicts(starts, found):
        print(line)
    print(f"other programs kept {load:.1f} cores busy meanwhile")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of a training")
    parser.add_argument("--pairs", type=int, default=240, help="train and val together")
    parser.add_argument("--model", default="yolo11n.yaml", help="of the peer, by its own name")
    parser.add_argument("--only-ours", action="store_true", help="leave the peer out")
    parser.add_argument("--pip-args", default="", help="to install the peer with")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    return parser.parse_args()


def all_starts(folder: Path, args: argparse.Namespace) -> list[Start]:
    """Write the pairs, and say what is started and how."""
    demo = folder / "demo"
    write_demo(demo, num_pairs=args.pairs)
    wrong = folder / "wrong.yaml"
    wrong.write_text(f"data: {demo / 'data.yaml'}\ntrain: {{imgszz: 320}}\n", encoding="utf-8")
    training = ["--config", str(demo / "train.yaml"), "--set", f"run.project={folder / 'runs'}"]
    own = {
        HELP: ["--help"],
        WRONG_KEY: ["train", "--config", str(wrong)],
        TRAINING: ["train", *training, "--set", f"train.threads={args.threads}"],
    }
    peer = {} if args.only_ours else peer_starts(demo / "train.yaml", folder, args)
    starts = []
    for name, words in own.items():
        asked = own_start(name, words)
        if name == TRAINING:
            ours = to_first_step(asked, folder)
        else:
            command = [sys.executable, "-m", "fusetrain", *words]
            ours = to_the_end(Variant(name, tuple(command), {}), folder)
        imported = ask(asked, folder=folder).answer["imported"]
        starts.append(Start(name, ours, peer.get(name), imported))
    return starts


def own_start(name: str, words: Sequence[str]) -> Variant:
    """Return the script that runs a command of ours and says what it imported."""
    request = {
        "arguments": words,
        "is_training": name == TRAINING,
        "modules": SLOW_MODULES,
    }
    return Variant(name, (sys.executable, str(MEASURING / "own_start.py")), request)


def peer_starts(
    config_path: Path, folder: Path, args: argparse.Namespace
) -> dict[str, Callable[[], Cost]]:
    """Return how the peer is started in the same ways."""
    python = peer_python(args.pip_args)
    environment = offline(folder / "home")
    yolo = str(python.with_name("yolo"))
    wrong = (yolo, "detect", "train", "imgszz=320")
    config = load_config(config_path).placed()
    request = {
        "data": str(write_four_channels(build.open_data(config), folder / "peer")),
        "model": args.model,
        "imgsz": config.train.imgsz,
        "batch": config.train.batch,
        "threads": args.threads,
        "epochs": 1,
        "steps": 1,
        "plots": True,
    }
    variant = Variant(
        "peer",
        (str(python), str(MEASURING / "peer_steps.py")),
        request,
        environment | KEEP_FREED_MEMORY,
    )
    return {
        HELP: to_the_end(Variant(HELP, (yolo, "help"), {}, environment), folder),
        WRONG_KEY: to_the_end(Variant(WRONG_KEY, wrong, {}, environment), folder),
        TRAINING: to_first_step(variant, folder),
    }


def to_the_end(variant: Variant, folder: Path) -> Callable[[], Cost]:
    """Return what runs a command to its end and returns its cost.

    The command of a wrong key shall fail, any other shall not.
    """

    def start() -> Cost:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        ended = subprocess.run(
            variant.command,
            cwd=folder,
            env=variant.surroundings(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if bool(ended.returncode) != (variant.name == WRONG_KEY):
            words = " ".join(variant.command)
            raise SystemExit(f"{variant.name}: {words}: exit code {ended.returncode}")
        return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return start


def to_first_step(variant: Variant, folder: Path) -> Callable[[], Cost]:
    """Return what trains to the end of the first step and returns the cost until then."""

    def start() -> Cost:
        ended = ask(variant, folder=folder)
        (_, at, cpu_seconds), *_ = ended.answer["ends"]
        return at - ended.began, cpu_seconds

    return start


def in_turns(starts: Sequence[Start], *, rounds: int) -> dict[tuple[str, str], list[Cost]]:
    """Start everything once a round; the first round is not counted.

    Returns:
        By what is started, and ``ours`` or ``peer``, the costs of the rounds.
    """
    found: dict[tuple[str, str], list[Cost]] = {}
    for number in range(rounds + 1):
        for start in starts:
            for side, run in (("ours", start.ours), ("peer", start.peer)):
                if run is None:
                    continue
                cost = run()
                if number:
                    found.setdefault((start.name, side), []).append(cost)
                    text = f"round {number}: {side}, {start.name}: {cost[0]:.2f} s"
                    print(text, file=sys.stderr)
    return found


def row(start: Start, found: Mapping[tuple[str, str], Sequence[Cost]]) -> list[str]:
    """Return the row of one start: medians, and the median of the ratios round by round."""
    ours, peer = found[start.name, "ours"], found.get((start.name, "peer"), ())
    ratios = [theirs[0] / mine[0] for mine, theirs in zip(ours, peer, strict=False)]
    speed = f"{statistics.median(ratios):.1f}x" if ratios else "-"
    return [start.name, *cells(ours), *cells(peer), speed, ", ".join(start.imported) or "neither"]


def cells(costs: Sequence[Cost]) -> tuple[str, str]:
    """Return seconds with their range, and CPU seconds; dashes for none."""
    if not costs:
        return "-", "-"
    clocks, cpus = zip(*costs, strict=True)
    text = f"{statistics.median(clocks):.2f} ({min(clocks):.2f}-{max(clocks):.2f})"
    return text, f"{statistics.median(cpus):.2f}"


def verdicts(starts: Sequence[Start], found: Mapping[tuple[str, str], Sequence[Cost]]) -> list[str]:
    """Return a line for each thing that is wanted."""
    clocks, cpus = zip(*found[TRAINING, "ours"], strict=True)
    seconds = statistics.median(clocks)
    imported = any("torchvision" in start.imported for start in starts)
    return [
        f"{TRAINING}: {seconds:.1f} s, {statistics.median(cpus):.1f} s of the processor; "
        f"wanted less than {MOST_SECONDS:g} s: "
        f"{'reached' if seconds < MOST_SECONDS else 'missed'}",
        f"torchvision: {'imported; it shall not be' if imported else 'not imported on the way'}",
    ]


if __name__ == "__main__":
    main()
