"""How long training takes until it detects as well as Ultralytics' early fusion does in the end.

    python benchmarks/time_to_accuracy.py --seeds 0 1 2 --keep FOLDER
    python benchmarks/time_to_accuracy.py --data ROADSCENE --seeds 0 1 2 --keep FOLDER
    python benchmarks/time_to_accuracy.py --budgets 12 24 --keep FOLDER  # two of each of ours
    python benchmarks/time_to_accuracy.py --epochs 2 --peer-epochs 2 --pairs 24    # does it work?

Ours trains `mid` and `early` from scratch by its own recipe: on the synthetic pairs that of the
config that they come with, on other pairs configs/roadscene.yaml. The peer trains its nano detector
from scratch on the same pairs as images of 4 channels, by its own recipe: 100 epochs, its defaults,
every batch an optimizer step. Both have the same size of images, batch, number of threads and
memory settings, decoded images in memory, and validate after each epoch, which is on the clock.

One evaluator, ours, judges what either detects on the validation split after every epoch, with
scores from 0.001 on. The score to be reached is the mAP50 of the peer's last epoch, seed by seed.
The time until then is compared with that of the peer's whole training, and with its own until the
first epoch which had as much. With `--keep` what is done stays done: started again, the script goes
on.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from measuring.keeping import note
from measuring.kinds import add_kinds
from measuring.learning_curves import Curve, Point, first_reaching, latest_by, read_curve
from measuring.peer_data import write_four_channels
from measuring.peer_runs import Judge, PeerRun
from measuring.tables import mean_text, promise, table_text
from measuring.trainings import Training, add_arguments, planned, run_all, work_folder

from fusetrain import build
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config
from fusetrain.data.demo import write_demo

ROADSCENE = Path(__file__).parents[1] / "configs" / "roadscene.yaml"
PEER = "peer, 4 channels"
MOST_TIME = 0.25  # of the peer's training, until its final mAP50 is reached
HEADER = (
    "training",
    "epochs",
    "final mAP50",
    "final mAP50-95",
    "seconds",
    "CPU s",
    "s to reach",
    "CPU s to reach",
    "of peer's training",
    "by CPU",
    "of peer's way there",
    "by CPU",
)
PARTS_OF_PEER = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)

Curves = Mapping[str, Sequence[Curve]]


def main() -> None:
    args = arguments()
    with work_folder(args.keep) as folder:
        config, data = recipe(args, folder)
        trainings = planned(config, data, variants_of(args), args=args, folder=folder)
        settings = load_config(config, trainings[0].sets).placed(data)
        curves = all_curves(trainings, settings, args, folder)
    print(f"seeds {args.seeds}, {settings.train.imgsz} px, batch {settings.train.batch}", end=", ")
    print(f"{settings.train.threads} threads; the peer is {args.model.removesuffix('.yaml')}\n")
    report(curves, markdown=args.markdown)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, with_jobs=False)
    add_kinds(parser, "mid", "early")
    parser.add_argument("--data", type=Path, metavar="DATA", help="instead of synthetic pairs")
    parser.add_argument("--config", type=Path, help="of ours, instead of the one for the data")
    parser.add_argument(
        "--budgets",
        nargs="+",
        type=int,
        metavar="EPOCHS",
        help="train each kind of ours once with each, instead of --epochs",
    )
    parser.add_argument("--peer-epochs", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=240, help="synthetic, train and val together")
    parser.add_argument("--model", default="yolo11n.yaml", help="of the peer, by its own name")
    parser.add_argument("--pip-args", default="", help="to install the peer with")
    return parser.parse_args()


def variants_of(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Return the settings of each training of ours by its name: all kinds, with all budgets."""
    if not args.budgets:
        return {kind: (f"model.fusion={kind}",) for kind in args.kinds}
    return {
        f"{kind}-{epochs}": (f"model.fusion={kind}", f"train.epochs={epochs}")
        for kind in args.kinds
        for epochs in args.budgets
    }


def recipe(args: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """Return config and data of ours; write the synthetic pairs, if these are wanted."""
    if args.data is not None:
        return args.config or ROADSCENE, args.data
    demo = folder / "demo"
    note(demo, {"pairs": args.pairs})
    if not (demo / "data.yaml").exists():
        print(f"demo: {write_demo(demo, num_pairs=args.pairs)}", flush=True)
    return args.config or demo / "train.yaml", demo / "data.yaml"


def all_curves(
    trainings: Sequence[Training], settings: Config, args: argparse.Namespace, folder: Path
) -> dict[str, list[Curve]]:
    """Train all, seed by seed, and return the curves of each by its name, one a seed."""
    data = build.open_data(settings)
    copies = folder / "peer-data"
    peer_yaml = copies / "data.yaml"
    note(copies, {"data": str(Path(str(settings.data)).absolute())})
    if not peer_yaml.exists():  # it is written last
        peer_yaml = write_four_channels(data, copies)
    judge = Judge(data.val)
    request = {
        "data": str(peer_yaml),
        "val": str(copies / "images" / "val"),
        "model": args.model,
        "epochs": args.peer_epochs,
        "imgsz": settings.train.imgsz,
        "batch": build.batch_size(settings),
        "threads": settings.train.threads,
    }
    names = dict.fromkeys(training.variant for training in trainings)
    curves: dict[str, list[Curve]] = {name: [] for name in (*names, PEER)}
    for seed in args.seeds:
        for training in (item for item in trainings if item.seed == seed):
            run_all([training], jobs=1)
            curves[training.variant].append(read_curve(training.folder / training.name))
        run = PeerRun(f"peer-seed{seed}", {**request, "seed": seed}, folder, args.pip_args)
        curves[PEER].append(run.curve(judge))
        last = curves[PEER][-1][-1]
        print(f"{run.name}: mAP50 {last.map50:.3f}, {last.seconds:.0f} s", file=sys.stderr)
    return curves


def report(curves: Curves, *, markdown: bool) -> None:
    """Print the table, how the scores grow, and whether ours is there in time."""
    rows = [row(mine, name, curves[PEER]) for name, mine in curves.items()]
    print(table_text(HEADER, rows, markdown=markdown))
    whole = statistics.fmean(curve[-1].seconds for curve in curves[PEER])
    header = ("mAP50 after", *(f"{part * whole:.0f} s" for part in PARTS_OF_PEER))
    growth = [
        [name, *(score_by(mine, part * whole) for part in PARTS_OF_PEER)]
        for name, mine in curves.items()
    ]
    print(f"\n{table_text(header, growth, markdown=markdown)}\n")
    for name in curves:
        if name != PEER:
            print(verdict(name, curves[name], curves[PEER]))


def reached_by(mine: Sequence[Curve], peer: Sequence[Curve]) -> list[Point | None]:
    """Return where each curve gets to the final mAP50 of the peer with the same seed."""
    pairs = zip(mine, peer, strict=True)
    return [first_reaching(own, theirs[-1].map50) for own, theirs in pairs]


def row(mine: Sequence[Curve], name: str, peer: Sequence[Curve]) -> list[str]:
    """Return the row of one variant: means over the seeds, with their deviation."""
    last, reached = [curve[-1] for curve in mine], reached_by(mine, peer)
    there = [point for point in reached if point is not None]
    missing = f" ({len(there)} of {len(mine)})" if len(there) < len(mine) else ""
    shares = [
        share
        for other in ([curve[-1] for curve in peer], reached_by(peer, peer))
        for share in time_ratios(reached, other)
    ]
    return [
        name,
        mean_text([point.epoch for point in last], digits=0),
        mean_text([point.map50 for point in last]),
        mean_text([point.map50_95 for point in last]),
        mean_text([point.seconds for point in last], digits=0),
        mean_text([point.cpu_seconds for point in last], digits=0),
        (mean_text([point.seconds for point in there], digits=0) if there else "never") + missing,
        mean_text([point.cpu_seconds for point in there], digits=0) if there else "never",
        *(f"{statistics.median(share):.2f}x" if share else "-" for share in shares),
    ]


def time_ratios(
    mine: Sequence[Point | None], peer: Sequence[Point | None]
) -> tuple[list[float], list[float]]:
    """Return the time to a point as a share of the peer's, seed by seed: clock, then CPU."""
    both = [(own, its) for own, its in zip(mine, peer, strict=True) if own and its]
    return (
        [own.seconds / its.seconds for own, its in both],
        [own.cpu_seconds / its.cpu_seconds for own, its in both],
    )


def score_by(curves: Sequence[Curve], seconds: float) -> str:
    """Return the mean mAP50 after so many seconds; a dash before all seeds have an epoch."""
    points = [latest_by(curve, seconds) for curve in curves]
    there = [point.map50 for point in points if point is not None]
    return mean_text(there) if len(there) == len(points) else "-"


def verdict(name: str, mine: Sequence[Curve], peer: Sequence[Curve]) -> str:
    """Return a line that says whether ours is as good in time, with every seed."""
    reached = reached_by(mine, peer)
    never = sum(point is None for point in reached)
    if never:
        return f"{name}: the final mAP50 of the peer is not reached with {never} seeds: missed"
    times, _ = time_ratios(reached, [curve[-1] for curve in peer])
    what = f"{name}: time to the final mAP50 of the peer, of its whole training,"
    return promise(what, statistics.median(times), most=MOST_TIME)


if __name__ == "__main__":
    main()
