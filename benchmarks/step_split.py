"""Where a training step spends its time, and how near it comes to what the processor can do.

    python benchmarks/step_split.py                       # 320 and 640 px, batch 8
    python benchmarks/step_split.py --imgsz 320 --amp false

Each step is split into data (mosaic and augmentation of decoded pairs in memory), forward pass,
loss with assignment, backward pass, and the rest: clipping, optimizer, weight average. One thread;
seconds are of the processor, so that other programs disturb little; medians over the steps. The
limit is a 3x3 convolution with 256 channels, forward and backward, in the same precision, timed
after every step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from measuring.split_steps import PARTS, SplitSteps, precision_of
from measuring.tables import table_text

HEADER = ("px", *PARTS, "step ms", "pairs/s", "GFLOP/s", "limit", "share of it")


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name:
        rows = [row(Path(name) / "set", imgsz, args) for imgsz in args.imgsz]
    print(f"batch {args.batch}, one thread, processor time; in brackets the share of the step\n")
    print(table_text(HEADER, rows, markdown=args.markdown))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imgsz", type=int, nargs="+", default=[320, 640], help="px")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=15, help="that are timed, of each size")
    parser.add_argument("--amp", choices=("auto", "false"), default="auto", help="train.amp")
    parser.add_argument("--markdown", action="store_true")
    return parser.parse_args()


def row(folder: Path, imgsz: int, args: argparse.Namespace) -> list[str]:
    """Return the row of one image size."""
    steps = SplitSteps(folder, imgsz=imgsz, batch=args.batch, amp=args.amp == "auto" and "auto")
    seen, limits = [], []
    for _ in range(args.steps):
        seen.append(steps.step())
        limits.append(steps.yardstick.seconds())
    middle = {part: statistics.median(each[part] for each in seen) for part in PARTS}
    step_s = statistics.median(sum(each.values()) for each in seen)
    rate = steps.gflop / step_s
    limit = steps.yardstick.flop / statistics.median(limits) / 1e9
    return [
        f"{imgsz}, {precision_of(steps.yardstick.dtype)}",
        *(f"{1e3 * value:.1f} ({value / step_s:.1%})" for value in middle.values()),
        f"{1e3 * step_s:.0f}",
        f"{args.batch / step_s:.1f}",
        f"{rate:.0f}",
        f"{limit:.0f}",
        f"{rate / limit:.0%}",
    ]


if __name__ == "__main__":
    main()
