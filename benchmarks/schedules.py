"""Train the synthetic pairs with one schedule after another, on one budget.

    python benchmarks/schedules.py --seeds 0 1 2 3 4
    python benchmarks/schedules.py --schedules cosine step --epochs 6 --pairs 80

The data set is written to a temporary folder. Every training is a process of the command line and
differs from the others in `schedule.name` and `train.seed` alone: warmup, lr0 and epochs are those
of the demo's config. Scores are those of the best epoch on the validation split.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from measuring.tables import mean_text, table_text
from measuring.trainings import HEADER, Result, add_arguments, trained, work_folder

from fusetrain.data.demo import write_demo

SCHEDULES = ("cosine", "step", "constant", "linear")


def lead_lines(results: Sequence[Result], first: str) -> list[str]:
    """Return how far the first schedule is ahead of each of the others, seed by seed."""
    scores: dict[str, list[Result]] = {}
    for result in results:
        scores.setdefault(result.variant, []).append(result)
    lines = []
    for other in list(scores)[1:]:
        pairs = list(zip(scores[first], scores[other], strict=True))
        lead50 = mean_text([own.map50 - theirs.map50 for own, theirs in pairs], sign="+")
        lead = mean_text([own.map50_95 - theirs.map50_95 for own, theirs in pairs], sign="+")
        lines.append(f"{first} against {other}: mAP50 {lead50}, mAP50-95 {lead}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--schedules", nargs="+", default=list(SCHEDULES), help="schedule.name")
    parser.add_argument("--pairs", type=int, default=240, help="train and val together")
    args = parser.parse_args()
    variants = {name: (f"schedule.name={name}",) for name in args.schedules}
    with work_folder(args.keep) as folder:
        data = folder / "demo"
        summary = write_demo(data, num_pairs=args.pairs)
        print(f"demo: {summary}; seeds {args.seeds}\n", flush=True)
        rows, results = trained(
            data / "train.yaml", data / "data.yaml", variants, args=args, folder=folder
        )
        print(table_text(HEADER, rows, markdown=args.markdown))
        print()
        for line in lead_lines(results, args.schedules[0]):
            print(line)


if __name__ == "__main__":
    main()
