"""Compare the rate at which `check-data` decodes and measures pairs with that of Pillow alone.

    python benchmarks/check_rate.py --data ROADSCENE [MORE ...] [--pairs 2000] [--rounds 7]
    python benchmarks/check_rate.py --images VISIBLE --infrared INFRARED

Both sides use the same pool, one process a core, on the same files: `Image.open(path).load()` for
both images of a pair against everything that `check-data` measures on them. The pairs of a set are
gone through again and again until there are as many as asked for, so that starting the processes
does not count. Rounds alternate, and each gives a ratio; the median counts. By the clock it wants a
machine without other work; by processor time (all processes) it holds on a busy one as well.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from measuring.raw_decoding import Cost, begin_check, crashed, decode_pair, end_check

from fusetrain.checks.flow.facts import FactsTable
from fusetrain.checks.flow.measuring import PIXELS
from fusetrain.checks.flow.pool import default_workers, run_contained
from fusetrain.checks.flow.pool_child import TwoSteps
from fusetrain.checks.flow.tasks import all_tasks, list_pairs
from fusetrain.checks.images import PairFacts, PairTask
from fusetrain.data.spec import load_spec


def tasks_of_set(path: Path) -> list[PairTask]:
    spec = load_spec(path)
    return list(all_tasks([list_pairs(spec, split) for split in spec.splits]))


def tasks_of_folders(rgb: Path, ir: Path) -> list[PairTask]:
    names = sorted({path.name for path in rgb.iterdir()} & {path.name for path in ir.iterdir()})
    return [
        PairTask("/", "train", row, str(rgb.resolve() / name), str(ir.resolve() / name))
        for row, name in enumerate(names)
    ]


def run(
    function: Callable[[PairTask], Cost], tasks: Sequence[PairTask], *, workers: int
) -> tuple[float, float]:
    """Return the seconds that all tasks take, by the clock and of all processors."""
    clock, own = time.perf_counter(), time.process_time()
    costs = list(
        run_contained(function, tasks, crashed=crashed, workers=workers, chunk=PIXELS.chunk)
    )
    FactsTable.gather(PairFacts, (cost.facts for cost in costs if cost.facts is not None))
    in_children = sum(cost.cpu_s for cost in costs)
    return time.perf_counter() - clock, in_children + time.process_time() - own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", help="data YAMLs or data-set folders")
    parser.add_argument("--images", type=Path, help="instead of it: a folder of visible images")
    parser.add_argument("--infrared", type=Path, help="and one of infrared images, same names")
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=default_workers())
    args = parser.parse_args()
    found = [task for path in args.data or () for task in tasks_of_set(path)]
    if not args.data:
        found = tasks_of_folders(args.images, args.infrared)
    tasks = (found * (args.pairs // len(found) + 1))[: args.pairs]

    rounds = []
    for _ in range(args.rounds):
        raw = run(decode_pair, tasks, workers=args.workers)
        ours = run(TwoSteps(begin_check, end_check), tasks, workers=args.workers)
        rounds.append((*raw, *ours))
        print(f"raw {len(tasks) / raw[0]:8.0f} pairs/s   check-data {len(tasks) / ours[0]:8.0f}")
    ratios = [(raw_s / ours_s, raw_cpu / cpu) for raw_s, raw_cpu, ours_s, cpu in rounds]
    clock, processor = map(statistics.median, zip(*ratios, strict=True))
    print(
        f"ratio {clock:.3f} by the clock, {processor:.3f} by processor time (medians of rounds), "
        f"on {len(found)} pairs, {args.workers} processes"
    )


if __name__ == "__main__":
    main()
