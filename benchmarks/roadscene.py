"""Train fusion, infrared alone and visible alone on the RoadScene pairs, over several seeds.

    python benchmarks/roadscene.py --data ROADSCENE --seeds 0 1 2
    python benchmarks/roadscene.py --data ROADSCENE/data.yaml --peer "other detector, IR=0.41,0.20"

The config is configs/roadscene.yaml. Scores are those of the best epoch on the validation split,
as mean ± sample standard deviation over the seeds. `--peer` adds a row with scores that were
measured elsewhere on the same split: mAP50, then mAP50-95.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring.kinds import add_kinds, compare_kinds
from measuring.trainings import HEADER, add_arguments, work_folder

CONFIG = Path(__file__).parents[1] / "configs" / "roadscene.yaml"


def peer_row(text: str) -> list[str]:
    """Return the row of a peer that is given as ``NAME=mAP50,mAP50-95``."""
    name, _, scores = text.rpartition("=")
    try:
        map50, map50_95 = map(float, scores.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=mAP50,mAP50-95") from None
    unknown = ["-"] * (len(HEADER) - 5)
    return [name, "-", "-", f"{map50:.3f}", f"{map50_95:.3f}", *unknown]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DATA", help="data YAML or data-set folder"
    )
    add_arguments(parser)
    add_kinds(parser, "mid", "ir", "rgb")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        type=peer_row,
        metavar="NAME=MAP50,MAP50-95",
        help="row of scores measured elsewhere",
    )
    parser.add_argument("--config", type=Path, default=CONFIG)
    args = parser.parse_args()
    with work_folder(args.keep) as folder:
        compare_kinds(args.config, args.data, args=args, folder=folder, peers=args.peer)


if __name__ == "__main__":
    main()
