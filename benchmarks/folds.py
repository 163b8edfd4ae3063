"""Compare settings on folds of the training pairs, so that none is chosen on the validation split.

    python benchmarks/folds.py --data ROADSCENE --markdown
    python benchmarks/folds.py --data ROADSCENE --variant recipe --variant "P3: model.finest=p3"

The training pairs are cut by name into blocks of equal length, so that neighbours of a sequence
stay together; each block in turn is validated on, and the others are trained on. A variant is a
name and the settings in which it departs from the config; the first one is what the others are
held against, fold by fold. Without any, the recipe of configs/roadscene.yaml is taken apart.
`prepare split` writes the sets of the folds to the work folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from measuring.tables import mean_text, table_text
from measuring.trainings import Result, Training, add_arguments, planned, run_all, work_folder

from fusetrain.commands.data import prepare_split
from fusetrain.data.index import scan_split
from fusetrain.data.spec import load_spec
from fusetrain.prepare.split import Wish

CONFIG = Path(__file__).parents[1] / "configs" / "roadscene.yaml"
ABLATION = (
    "recipe",
    "mosaic alone, closed at the end: augment.mixup=0 augment.copy_paste=0 augment.close_mosaic=10",
    "without P2: model.finest=p3",
    "without Muon: optim.name=adamw optim.lr0=1e-3",
    "batch 8: train.batch=8",
    "half width: model.width=0.505",
)
NO_TEST = (0.5, 0.5, 0.0)  # shares of what no list names; here the lists name all
HEADER = ("variant", "mAP50", "mAP50-95", "mAP50 gained", "mAP50-95 gained", "CPU s")


def main() -> None:
    args = arguments()
    variants = dict(map(parse_variant, args.variant or ABLATION))
    with work_folder(args.keep) as folder:
        trainings: list[Training] = []
        for number, data in enumerate(write_folds(args.data, args.folds, folder)):
            own = folder / f"fold{number}"
            trainings += planned(args.config, data, variants, args=args, folder=own)
        results = run_all(trainings, jobs=args.jobs)
    print(table_text(HEADER, rows(results, list(variants)), markdown=args.markdown))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DATA", help="data YAML or data-set folder"
    )
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument(
        "--variant",
        action="append",
        metavar="'NAME: KEY=VALUE …'",
        help="repeatable; the first is what others are held against",
    )
    return parser.parse_args()


def parse_variant(text: str) -> tuple[str, Sequence[str]]:
    """Return the name of a variant and its ``key=value`` settings."""
    name, _, settings = text.partition(":")
    return name.strip(), tuple(settings.split())


def write_folds(data: Path, count: int, folder: Path) -> list[Path]:
    """Write the sets of the folds, unless they are there; return their folders.

    Args:
        data: Data YAML or data-set folder; only its split `train` is looked at.
        count: Number of folds.
        folder: Where they are written.
    """
    index = scan_split(load_spec(data), "train").index
    blocks = [list(map(str, block)) for block in np.array_split(sorted(index.rgb_paths), count)]
    written = []
    for number, held_out in enumerate(blocks):
        own = folder / f"fold{number}"
        target = own / "set"
        if not target.exists():
            own.mkdir(parents=True, exist_ok=True)
            others = [path for block in blocks if block is not held_out for path in block]
            lists = own / "train.txt", own / "val.txt"
            for file, paths in zip(lists, (others, held_out), strict=True):
                file.write_text("\n".join(paths) + "\n", encoding="utf-8")
            prepare_split(data, target, Wish(NO_TEST, lists=lists, looks_at_pixels=False))
        written.append(target)
    return written


def rows(results: Sequence[Result], names: Sequence[str]) -> list[list[str]]:
    """Return a row a variant: means over folds and seeds, and what it gains on the first one."""
    of: Mapping[str, list[Result]] = {
        name: [result for result in results if result.variant == name] for name in names
    }
    first = of[names[0]]
    table = []
    for name in names:
        pairs = list(zip(of[name], first, strict=True))
        gains = (
            [mine.map50 - theirs.map50 for mine, theirs in pairs],
            [mine.map50_95 - theirs.map50_95 for mine, theirs in pairs],
        )
        table.append(
            [
                name,
                mean_text([mine.map50 for mine in of[name]]),
                mean_text([mine.map50_95 for mine in of[name]]),
                *(
                    ["-", "-"]
                    if name == names[0]
                    else [mean_text(gain, sign="+") for gain in gains]
                ),
                mean_text([mine.cpu_seconds for mine in of[name]], digits=0),
            ]
        )
    return table


if __name__ == "__main__":
    main()
