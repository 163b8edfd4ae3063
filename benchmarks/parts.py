"""Time the parts of the work that are no training step, ours and Ultralytics' in turns.

    python benchmarks/parts.py                       # 320 px, batch 8, one thread
    python benchmarks/parts.py --imgsz 640 --rounds 5 --markdown
    python benchmarks/parts.py --only-ours           # installs nothing

Augmented data for training from decoded images in memory and from files, the evaluation of a
split, detecting from arrays to boxes, and the first look at a data set. Each side has a fresh
process every round, on the same synthetic pairs, sizes, batch and thread count and with our memory
settings. The peer trains on images of 4 channels, checks and detects on visible images alone; as
two streams need more operations than one, speed is also given per operation. Detectors are
untrained. Speeds are ratios of processor time, round by round, but of the clock for the checks,
which ours leaves to child processes; medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from inference import write_weights
from measuring.drawn_boxes import draw_boxes
from measuring.part_costs import Part
from measuring.peer_data import write_four_channels, write_one_modality
from measuring.peer_environment import KEEP_FREED_MEMORY, offline, peer_python
from measuring.tables import table_text
from measuring.turns import MEASURING, Ended, Variant, ask

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.data.demo import write_demo
from fusetrain.data.image import read_ir, read_rgb

HEADER = ("part", "ours ms", "CPU ms", "peer ms", "CPU ms", "speed (range)", "per GFLOP")
NUM_CLASSES, BOXES_PER_IMAGE = 6, 10.0
OURS, PEER = "ours", "peer"


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name:
        variants = all_variants(Path(name), args)
        found: dict[str, list[Ended]] = {variant.name: [] for variant in variants}
        for number in range(args.rounds):
            for variant in variants:
                found[variant.name].append(ask(variant, folder=Path(name)))
                print(f"round {number + 1}: {variant.name}", file=sys.stderr)
    print(f"{args.imgsz} px, batch {args.batch}, {args.threads} threads, {args.rounds} rounds\n")
    print(table_text(HEADER, rows(found), markdown=args.markdown))
    print()
    for name, turns in found.items():
        answer = turns[0].answer
        print(f"{name}: {answer['about']}, mAP50-95 {answer['map50_95']:.4f}")
    load = max(turn.other_load for turns in found.values() for turn in turns)
    print(f"other programs kept up to {load:.1f} cores busy during a turn")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imgsz", type=int, default=320, help="px, a multiple of 32")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", default="mid", help="fusion kind of ours that detects")
    parser.add_argument("--pairs", type=int, default=600, help="of the set, train and val together")
    parser.add_argument("--images", type=int, default=5000, help="that are evaluated")
    parser.add_argument("--detections", type=int, default=100, help="an evaluated image")
    parser.add_argument("--calls", type=int, default=20, help="of a detector, a turn")
    parser.add_argument("--model", default="yolo11n.yaml", help="of the peer, by its own name")
    parser.add_argument("--only-ours", action="store_true", help="leave the peer out")
    parser.add_argument("--pip-args", default="", help="to install the peer with")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    return parser.parse_args()


def all_variants(folder: Path, args: argparse.Namespace) -> list[Variant]:
    """Write everything that is worked on; return our process and, unless left out, the peer's."""
    demo = folder / "demo"
    write_demo(demo, num_pairs=args.pairs)
    data = build.open_data(Config.model_validate({"data": str(demo / "data.yaml")}))
    pictures = folder / "pictures.npz"
    np.savez(
        pictures, rgb=read_rgb(data.val.rgb_path(0)), ir=read_ir(data.val.ir_path(0), data.window)
    )
    common = {
        **{name: getattr(args, name) for name in ("imgsz", "batch", "threads", "images", "calls")},
        "boxes": str(write_boxes(folder / "boxes.npz", args)),
        "pictures": str(pictures),
    }
    own: dict[str, Any] = {
        "data": str(demo / "data.yaml"),
        "pairs": len(data.train) + len(data.val),
        "num_classes": NUM_CLASSES,
        "weights": str(write_weights(args.kind, folder, size="n", width=1.0, imgsz=args.imgsz)),
    }
    variants = [Variant(OURS, (sys.executable, str(MEASURING / "own_parts.py")), {**common, **own})]
    if not args.only_ours:
        names = data.spec.class_names
        theirs = {
            "four": str(write_four_channels(data, folder / "four")),
            "rgb": str(write_one_modality(demo, folder / "rgb", images="images", names=names)),
            "model": args.model,
        }
        command = (str(peer_python(args.pip_args)), str(MEASURING / "peer_parts.py"))
        surroundings = offline(folder / "home") | KEEP_FREED_MEMORY
        variants.append(Variant(PEER, command, {**common, **theirs}, surroundings))
    return variants


def write_boxes(path: Path, args: argparse.Namespace) -> Path:
    """Draw true boxes and detections of a split, write them as arrays; return the path."""
    truth, found = draw_boxes(
        args.images,
        args.detections,
        num_classes=NUM_CLASSES,
        boxes_per_image=BOXES_PER_IMAGE,
        seed=0,
    )
    np.savez(
        path,
        image_ids=truth.image_ids,
        boxes=truth.boxes_xyxy_px,
        classes=truth.classes,
        found_ids=found.image_ids,
        found_boxes=found.boxes_xyxy_px,
        found_scores=found.scores,
        found_classes=found.classes,
    )
    return path


def rows(found: dict[str, list[Ended]]) -> list[list[str]]:
    """Return a row for each part: medians, and ratios round by round."""
    table = []
    for part in found[OURS][0].answer["parts"]:
        mine = [turn.answer["parts"][part] for turn in found[OURS]]
        # The peer opens images to check them, and decodes none.
        against = Part.CHECK if part == Part.DEEP_CHECK else part
        theirs = [turn.answer["parts"][against] for turn in found.get(PEER, ())]
        clock = 0 if part in (Part.CHECK, Part.DEEP_CHECK) else 1
        ratios = [slow[clock] / fast[clock] for slow, fast in zip(theirs, mine, strict=False)]
        speed, per_operation = "-", "-"
        if ratios:
            middle = statistics.median(ratios)
            speed = f"{middle:.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"
            if part in (Part.ONE, Part.MANY):
                sides = (found[side][0].answer["gflops"] for side in (OURS, PEER))
                per_operation = f"{middle * next(sides) / next(sides):.2f}x"
        table.append([part, *cells(mine), *cells(theirs), speed, per_operation])
    return table


def cells(costs: Sequence[Sequence[float]]) -> tuple[str, ...]:
    """Return the median milliseconds by the clock and of the processor; dashes for none."""
    if not costs:
        return "-", "-"
    return tuple(f"{1e3 * statistics.median(values):.3g}" for values in zip(*costs, strict=True))


if __name__ == "__main__":
    main()
