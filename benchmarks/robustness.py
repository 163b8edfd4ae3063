"""What a missing or moved camera costs a detector, trained with and without `augment.drop_*`.

    python benchmarks/robustness.py --seeds 0 1 2
    python benchmarks/robustness.py --data ROADSCENE --seeds 0 1 2

Two trainings of `mid` differ in the dropout alone; each is then measured as it is, with one camera
blank, and with infrared moved (`fusetrain val --blank` and `--shift`). The cost of a blank camera
is a difference in mAP50. `rgb`, trained for the visible camera alone, says what can be found
without infrared at all: what only infrared shows is lost to every detector. Without `--data` the
pairs are the synthetic ones, with the demo's config and twice its epochs; with it the config is
configs/roadscene.yaml.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring.tables import mean_text, table_text
from measuring.trainings import Training, add_arguments, planned, run_all, work_folder

from fusetrain.data.demo import write_demo

ROADSCENE = Path(__file__).parents[1] / "configs" / "roadscene.yaml"
DEMO_EPOCHS = 24
WITHOUT, WITH, ALONE = "mid", "mid-dropout", "rgb"
DROPOUT = (0.3, 0.3)
HEADER = ("training", "as it is", "rgb blank", "ir blank", "ir moved", "cost of ir blank")


@dataclass(frozen=True)
class Measured:
    """mAP50 of one detector under the conditions of a column each."""

    whole: float
    rgb_blank: float
    ir_blank: float
    ir_moved: float

    @property
    def cost(self) -> float:
        """Return what a blank infrared camera costs."""
        return self.whole - self.ir_blank

    def cells(self) -> tuple[float, ...]:
        """Return the cells of HEADER behind the name."""
        return self.whole, self.rgb_blank, self.ir_blank, self.ir_moved, self.cost


def main() -> None:
    args = arguments()
    with work_folder(args.keep) as folder:
        config, data = args.config, args.data
        if data is None:
            write_demo(folder / "demo", num_pairs=args.pairs)
            config, data = folder / "demo" / "train.yaml", folder / "demo" / "data.yaml"
            args.epochs = args.epochs or DEMO_EPOCHS
        trainings = planned(config, data, variants(args.dropout), args=args, folder=folder)
        alone = [
            result.map50 for result in run_all(trainings, jobs=args.jobs) if result.variant == ALONE
        ]
        found = {
            variant: [
                measure(training, args.shift)
                for training in trainings
                if training.variant == variant
            ]
            for variant in (WITHOUT, WITH)
        }
    rows = [row(variant, [one.cells() for one in mine]) for variant, mine in found.items()]
    rows.append([f"{ALONE} alone", mean_text(alone), *("-" for _ in HEADER[2:])])
    print(table_text(HEADER, rows, markdown=args.markdown))
    print()
    print(verdict(found[WITHOUT], found[WITH], alone))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--data", type=Path, help="data YAML or data-set folder")
    parser.add_argument("--config", type=Path, default=ROADSCENE, help="with --data")
    parser.add_argument("--pairs", type=int, default=240, help="synthetic, train and val together")
    parser.add_argument(
        "--dropout",
        type=float,
        nargs=2,
        default=DROPOUT,
        metavar=("RGB", "IR"),
        help="share of the samples without it",
    )
    parser.add_argument("--shift", type=float, default=8.0, help="px of the visible image")
    return parser.parse_args()


def variants(dropout: tuple[float, float]) -> dict[str, Sequence[str]]:
    """Return the settings in which the trainings differ."""
    return {
        WITHOUT: (*dropping(0.0, 0.0), "model.fusion=mid"),
        WITH: (*dropping(*dropout), "model.fusion=mid"),
        ALONE: (*dropping(0.0, 0.0), "model.fusion=rgb"),
    }


def dropping(rgb: float, ir: float) -> tuple[str, str]:
    """Return the settings that take either image from so many samples."""
    return f"augment.drop_rgb={rgb}", f"augment.drop_ir={ir}"


def measure(training: Training, shift: float) -> Measured:
    """Return what a trained detector finds as it is, without either modality, and moved."""
    rows: dict[str, float] = {}
    for words in (("--blank", "rgb"), ("--blank", "ir", "--shift", str(shift))):
        report = validated(training.folder / training.name, *words)
        rows |= {row["name"]: row["mAP50"] for row in report["conditions"]}
    moved = next(value for name, value in rows.items() if "mean" in name)
    return Measured(rows["as it is"], rows["rgb blank"], rows["ir blank"], moved)


def validated(run: Path, *words: str) -> dict[str, Any]:
    """Return what `fusetrain val` tells of a run."""
    command = [sys.executable, "-m", "fusetrain", "val", str(run), "--json", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def row(name: str, cells: Sequence[Sequence[float]]) -> list[str]:
    """Return a row of means over the seeds."""
    return [name, *(mean_text(list(column)) for column in zip(*cells, strict=True))]


def verdict(
    without: Sequence[Measured], dropped: Sequence[Measured], alone: Sequence[float]
) -> str:
    """Return how the costs compare, and how far a detector for the visible camera is ahead then.

    What that one does not find either is a cost that no training avoids.
    """
    cost, less = (statistics.fmean(one.cost for one in mine) for mine in (without, dropped))
    share = f"{less / cost:.2f} of it" if cost > 0 else "no share of nothing"
    own = statistics.fmean(alone)
    behind, ahead = (
        own - statistics.fmean(one.ir_blank for one in mine) for mine in (without, dropped)
    )
    return (
        f"a blank infrared camera costs {cost:.3f} without dropout, {less:.3f} with it, {share};\n"
        f"then {ALONE} alone is ahead by {behind:+.3f} of what was trained without dropout, by "
        f"{ahead:+.3f} of what was trained with it"
    )


if __name__ == "__main__":
    main()
