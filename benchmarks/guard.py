"""Tell whether a training step has become slower, on whatever machine of a kind, busy or not.

    python benchmarks/guard.py             # exit code 1 where it is 15 % slower than recorded
    python benchmarks/guard.py --record    # write the ratio of this machine down

What is compared is no time but a ratio: the steps that the time of 100 reference convolutions
would pay for. Both are timed in turns, in seconds of the processor and by one thread, so that a
slow spell or a busy machine meets them alike; the median of the rounds counts. Another processor's
instruction set, or another precision, has a ratio of its own in `guard.json`; where none is
recorded there is nothing to compare with, which is said and is no failure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from measuring.split_steps import SplitSteps, precision_of

RECORD = Path(__file__).with_name("guard.json")
CONVOLUTIONS = 100
TURN = 4  # convolutions before and after each step
TOLERANCE = 0.15


def main() -> int:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="fusetrain-guard-") as name:
        steps = SplitSteps(Path(name) / "set", imgsz=args.imgsz, batch=args.batch)
        ratios = [ratio_of_round(steps) for _ in range(args.rounds)]
    kind = f"{precision_of(steps.yardstick.dtype)}, {torch.backends.cpu.get_cpu_capability()}"
    kind += f", {args.imgsz} px, batch {args.batch}"
    ratio = statistics.median(ratios)
    print(f"{kind}: {ratio:.3f} steps in the time of {CONVOLUTIONS} convolutions", end="")
    print(f" ({min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} rounds)")
    recorded = json.loads(args.against.read_text(encoding="utf-8")) if args.against.exists() else {}
    if args.record:
        text = json.dumps(recorded | {kind: round(ratio, 4)}, indent=2, sort_keys=True)
        args.against.write_text(text + "\n", encoding="utf-8")
        return 0
    return verdict(ratio, recorded.get(kind), kind)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--imgsz", type=int, default=320, help="px")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--record", action="store_true", help="write the ratio down")
    parser.add_argument("--against", type=Path, default=RECORD, help="file with recorded ratios")
    return parser.parse_args()


def ratio_of_round(steps: SplitSteps) -> float:
    """Return how many steps CONVOLUTIONS would pay for, both timed side by side."""
    before = [steps.yardstick.seconds() for _ in range(TURN)]
    step_s = sum(steps.step().values())
    after = [steps.yardstick.seconds() for _ in range(TURN)]
    return CONVOLUTIONS * statistics.median(before + after) / step_s


def verdict(ratio: float, recorded: float | None, kind: str) -> int:
    """Say how a ratio compares with the recorded one; return the exit code."""
    if recorded is None:
        print(f"nothing is recorded for {kind}; `python benchmarks/guard.py --record` does it")
        return 0
    change = ratio / recorded - 1
    print(f"recorded {recorded:.3f}: {change:+.1%}", end="")
    if change < -TOLERANCE:
        print(f", more than {TOLERANCE:.0%} slower; `benchmarks/step_split.py` shows where")
        return 1
    print("")
    return 0


if __name__ == "__main__":
    sys.exit(main())
