"""Train fusion, visible alone and infrared alone on the synthetic pairs, on one budget.

    python benchmarks/demo.py                                # the config that the demo comes with
    python benchmarks/demo.py --seeds 0 1 2 --markdown
    python benchmarks/demo.py --epochs 2 --pairs 40 --imgsz 128

The data set is written to a temporary folder. Every training is a process of the command line and
differs from the others in `model.fusion` and `train.seed` alone. Scores are those of the best
epoch on the validation split.
"""

from __future__ import annotations

import argparse

from measuring.kinds import add_kinds, compare_kinds
from measuring.trainings import add_arguments, work_folder

from fusetrain.data.demo import write_demo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    add_kinds(parser, "mid", "rgb", "ir")
    parser.add_argument("--pairs", type=int, default=240, help="train and val together")
    args = parser.parse_args()
    with work_folder(args.keep) as folder:
        data = folder / "demo"
        if not (data / "data.yaml").exists():
            print(f"demo: {write_demo(data, num_pairs=args.pairs)}", flush=True)
        print(f"seeds {args.seeds}\n", flush=True)
        compare_kinds(data / "train.yaml", data / "data.yaml", args=args, folder=folder)


if __name__ == "__main__":
    main()
