"""Tell whether a training step has become slower, on machines of a kind that is known.

    python benchmarks/guard.py             # exit code 1 where it is 15 % slower than recorded
    python benchmarks/guard.py --record    # write the ratio of this machine down

What is compared is no time but a ratio: the steps that the time of 100 reference convolutions
would pay for. Both are timed in turns, in seconds of the processor and by one thread; the fastest
of each counts, which other programs disturb least. A ratio that is too low is measured again, twice
at most, and only the best of them is judged. Where others kept over a fifth of a core busy, only a
ratio that is 30 % lower fails, as they share caches and cores with a step. A ratio holds for one
processor, precision and version of PyTorch (`guard.json`); where none is recorded there is nothing
to compare with, which is said and is no failure.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from measuring.other_load import OtherLoad
from measuring.split_steps import SplitSteps, precision_of

RECORD = Path(__file__).with_name("guard.json")
CPUINFO = Path("/proc/cpuinfo")
CONVOLUTIONS = 100
TURN = 4  # convolutions before and after each step
SERIES = 3
TOLERANCE = 0.15
BUSY_TOLERANCE = 0.3
BUSY_CORES = 0.2


@dataclass(frozen=True)
class Series:
    """What some rounds gave.

    Attributes:
        convolution_s: The fastest of the convolutions, seconds of the processor.
        step_s: The fastest of the steps, likewise.
        other_cores: Cores that other programs kept busy meanwhile.
    """

    convolution_s: float
    step_s: float
    other_cores: float

    @property
    def ratio(self) -> float:
        """Return the steps in the time of CONVOLUTIONS."""
        return CONVOLUTIONS * self.convolution_s / self.step_s

    @property
    def tolerance(self) -> float:
        """Return by how much it may be below what is recorded, as a share of that."""
        return TOLERANCE if self.other_cores <= BUSY_CORES else BUSY_TOLERANCE


def main() -> int:
    args = arguments()
    recorded = json.loads(args.against.read_text(encoding="utf-8")) if args.against.exists() else {}
    with tempfile.TemporaryDirectory(prefix="fusetrain-guard-") as name:
        steps = SplitSteps(Path(name) / "set", imgsz=args.imgsz, batch=args.batch)
        kind = f"{kind_of(steps.yardstick.dtype)}, {args.imgsz} px, batch {args.batch}"
        known = None if args.record else recorded.get(kind)
        best = measured(steps, args.rounds)
        for _ in range(SERIES - 1):
            if known is None or best.ratio >= known * (1 - TOLERANCE):
                break
            best = max(best, measured(steps, args.rounds), key=lambda series: series.ratio)
    print(f"{kind}: {best.ratio:.3f} steps in the time of {CONVOLUTIONS} convolutions")
    print(f"other programs kept {best.other_cores:.1f} cores busy")
    if args.record:
        text = json.dumps(recorded | {kind: round(best.ratio, 4)}, indent=2, sort_keys=True)
        args.against.write_text(text + "\n", encoding="utf-8")
        return 0
    return verdict(best, known, kind)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--imgsz", type=int, default=320, help="px")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--record", action="store_true", help="write the ratio down")
    parser.add_argument("--against", type=Path, default=RECORD, help="file with recorded ratios")
    return parser.parse_args()


def kind_of(dtype: torch.dtype) -> str:
    """Return what a ratio depends on besides the code: precision, processor, version of PyTorch."""
    version = ".".join(torch.__version__.split(".")[:2])
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{precision_of(dtype)}, {capability}, {processor()}, torch {version}"


def processor() -> str:
    """Return name, family and model of the processor; names alone may be cut to the maker's."""
    if not CPUINFO.is_file():
        return platform.processor() or platform.machine()
    lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    told = dict(reversed([line.split(":", 1) for line in lines if ":" in line]))
    facts = {name.strip(): value.strip() for name, value in told.items()}
    wanted = ("model name", "cpu family", "model")
    return " ".join(facts[name] for name in wanted if name in facts) or platform.machine()


def measured(steps: SplitSteps, rounds: int) -> Series:
    """Return the fastest of both in some rounds, in which they take turns."""
    load = OtherLoad()
    convolutions, whole = [], []
    for _ in range(rounds):
        convolutions += [steps.yardstick.seconds() for _ in range(TURN)]
        whole.append(sum(steps.step().values()))
        convolutions += [steps.yardstick.seconds() for _ in range(TURN)]
    return Series(min(convolutions), min(whole), load.cores())


def verdict(series: Series, recorded: float | None, kind: str) -> int:
    """Say how a ratio compares with the recorded one; return the exit code."""
    if recorded is None:
        print(f"nothing is recorded for {kind}; `python benchmarks/guard.py --record` does it")
        return 0
    change = series.ratio / recorded - 1
    print(f"recorded {recorded:.3f}: {change:+.1%}", end="")
    if change < -series.tolerance:
        print(f", more than {series.tolerance:.0%} slower; `benchmarks/step_split.py` shows where")
        return 1
    is_hidden = change < -TOLERANCE
    print(", too busy a machine to tell: measure again on a quiet one" if is_hidden else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
