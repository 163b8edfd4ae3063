"""What a missing or moved camera costs a detector, trained with and without `augment.drop_*`.

    python benchmarks/robustness.py --markdown
    python benchmarks/robustness.py --epochs 2 --pairs 40 --imgsz 128

Both trainings use the synthetic pairs and the demo's config and differ in the dropout alone. Each
is then measured as it is, with one modality blank, and with infrared moved (`fusetrain val --blank`
and `--shift`). The costs are differences in mAP50.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from measuring.tables import table_text
from measuring.trainings import work_folder

from fusetrain.data.demo import write_demo

VARIANTS = {
    "without dropout": (),
    "with dropout": ("augment.drop_rgb=0.2", "augment.drop_ir=0.2"),
}
HEAD = ("training", "as it is", "rgb blank", "ir blank", "ir moved", "cost of ir blank")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--pairs", type=int, default=240, help="train and val together")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shift", type=float, default=8.0, help="px of the visible image")
    parser.add_argument("--keep", type=Path, help="folder that keeps data set and runs")
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    with work_folder(args.keep) as folder:
        write_demo(folder / "demo", num_pairs=args.pairs)
        rows = []
        for name, settings in VARIANTS.items():
            run = train(folder, name.replace(" ", "-"), settings, args)
            rows.append((name, *measure(run, args.shift)))
        print(table_text(HEAD, rows, markdown=args.markdown))


def train(folder: Path, name: str, settings: tuple[str, ...], args: argparse.Namespace) -> Path:
    """Train one variant and return its run folder."""
    chosen = (
        f"train.epochs={args.epochs}",
        f"train.imgsz={args.imgsz}",
        f"train.threads={args.threads}",
        f"run.project={folder / 'runs'}",
        *settings,
    )
    words = [word for setting in chosen for word in ("--set", setting)]
    command("train", "--config", str(folder / "demo/train.yaml"), "--name", name, *words)
    return folder / "runs" / name


def measure(run: Path, shift: float) -> tuple[str, ...]:
    """Return mAP50 as it is, without either modality and moved, and the cost of no infrared."""
    rows: dict[str, float] = {}
    for words in (("--blank", "rgb"), ("--blank", "ir", "--shift", str(shift))):
        report: dict[str, Any] = json.loads(command("val", str(run), "--json", *words))
        rows |= {row["name"]: row["mAP50"] for row in report["conditions"]}
    whole, rgb, ir = rows["as it is"], rows["rgb blank"], rows["ir blank"]
    moved = next(value for name, value in rows.items() if "mean" in name)
    return tuple(f"{value:.3f}" for value in (whole, rgb, ir, moved, whole - ir))


def command(*words: str) -> str:
    """Run fusetrain and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "fusetrain", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
