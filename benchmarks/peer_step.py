"""Time whole training steps of ours beside those of Ultralytics' nano detector.

    python benchmarks/peer_step.py                            # 320 px, batch 8, two threads
    python benchmarks/peer_step.py --imgsz 320 640 --threads 1
    python benchmarks/peer_step.py --only-ours                # installs nothing

A step is all of it: data, forward, loss, backward, optimizer and weight average, from the end of
one step to the end of the next. Both sides train on the synthetic pairs with their own default
augmentation, AdamW, every batch a step, decoded images in memory; the first epoch, which fills
that memory, is not counted. Variants take turns in fresh processes; medians and ratios turn by
turn, so that a slow spell of the machine meets all alike.

The peer sees pairs as images of 4 channels, or trains one detector on visible and one on infrared
images, after each other. It runs in fp32, which is what it has on a CPU, once as shipped and
otherwise with our thread count and with the memory settings that ours makes for itself. It is
installed on first use into benchmarks/.env, an environment of its own, and runs offline.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring.peer_data import NUM_CHANNELS, write_four_channels, write_one_modality
from measuring.peer_environment import KEEP_FREED_MEMORY, offline, peer_python
from measuring.step_tables import COSTS, RATIOS, cost_row, promise_lines, ratio_rows
from measuring.tables import table_text
from measuring.turns import MEASURING, Turn, Variant, after_each_other, take_turns

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.data.demo import write_demo

EPOCHS = 3  # of a turn; the first one is not counted
OURS: dict[str, dict[str, Any]] = {
    "mid": {"kind": "mid", "amp": "auto"},
    "early": {"kind": "early", "amp": "auto"},
    "rgb": {"kind": "rgb", "amp": "auto"},
    "rgb, fp32": {"kind": "rgb", "amp": False},
}
SHIPPED = "peer, 4 channels, as shipped"
FOUR_CHANNELS = "peer, 4 channels"
RGB, IR = "peer, rgb", "peer, ir"
TWO = "peer twice, rgb and ir"


def main() -> None:
    args = arguments()
    for imgsz in args.imgsz:
        with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name:
            folder = Path(name)
            variants = all_variants(folder, imgsz, args)
            turns = take_turns(variants, rounds=args.rounds, folder=folder)
        if not args.only_ours:
            pairs = zip(turns[RGB], turns[IR], strict=True)
            turns[TWO] = [after_each_other(*both) for both in pairs]
        report(turns, imgsz, args)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--imgsz", type=int, nargs="+", default=[320], help="px, a multiple of 32; one or more"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="counted, of each turn")
    parser.add_argument("--model", default="yolo11n.yaml", help="of the peer, by its own name")
    parser.add_argument("--only-ours", action="store_true", help="leave the peer out")
    parser.add_argument("--pip-args", default="", help="to install the peer with")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    args = parser.parse_args()
    for imgsz in args.imgsz:
        if imgsz % 32:
            parser.error(f"--imgsz {imgsz} is not a multiple of 32")
    return args


def all_variants(folder: Path, imgsz: int, args: argparse.Namespace) -> list[Variant]:
    """Write the pairs; return ours and, unless it is left out, the peer.

    An epoch has one step more than half of those that are counted in a turn: a turn has two
    epochs that count, and the first step of an epoch does not.
    """
    train_pairs = args.batch * (-(-args.steps // 2) + 1)
    demo = folder / "demo"
    write_demo(demo, num_pairs=train_pairs * 5 // 4)
    common = {"imgsz": imgsz, "batch": args.batch, "epochs": EPOCHS}
    command = (sys.executable, str(MEASURING / "own_steps.py"))
    request = {**common, "data": str(demo / "data.yaml"), "threads": args.threads}
    own = [Variant(name, command, {**request, **more}) for name, more in OURS.items()]
    return own if args.only_ours else own + peer_variants(folder, common, args)


def peer_variants(folder: Path, common: dict[str, Any], args: argparse.Namespace) -> list[Variant]:
    """Return the peer as shipped, and with our thread count and memory settings."""
    command = (str(peer_python(args.pip_args)), str(MEASURING / "peer_steps.py"))
    demo = folder / "demo"
    data = build.open_data(Config.model_validate({"data": str(demo / "data.yaml")}))
    both = write_four_channels(data, folder / "both")
    single = {
        name: write_one_modality(demo, folder / images, images=images, names=data.spec.class_names)
        for name, images in ((RGB, "images"), (IR, "imagesIR"))
    }
    request = {**common, "model": args.model, "plots": False}
    four = {**request, "data": str(both), "channels": NUM_CHANNELS}
    home = offline(folder / "home")
    tuned = {"threads": args.threads}
    return [
        Variant(SHIPPED, command, {**four, "threads": None}, home),
        Variant(FOUR_CHANNELS, command, {**four, **tuned}, home | KEEP_FREED_MEMORY),
        *(
            Variant(
                name,
                command,
                {**request, **tuned, "data": str(path), "channels": 3},
                home | KEEP_FREED_MEMORY,
            )
            for name, path in single.items()
        ),
    ]


def compared(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Return whose turns are set against whose."""
    if args.only_ours:
        return [(name, "rgb, fp32") for name in ("mid", "early", "rgb")]
    return [
        ("mid", FOUR_CHANNELS),
        ("early", FOUR_CHANNELS),
        ("mid", TWO),
        ("mid", RGB),
        ("rgb", RGB),
        ("rgb, fp32", RGB),
        ("mid", SHIPPED),
        ("early", SHIPPED),
    ]


def report(turns: dict[str, list[Turn]], imgsz: int, args: argparse.Namespace) -> None:
    """Print what a size came to: costs, ratios, and beside the peer what is wanted of them."""
    peer = "" if args.only_ours else f"; the peer is {args.model.removesuffix('.yaml')}"
    print(f"{imgsz} px, batch {args.batch}, {args.rounds} rounds{peer}; medians")
    print("GFLOP of a forward pass on a pair, or on the image of one modality\n")
    costs = [cost_row(name, mine, batch=args.batch) for name, mine in turns.items()]
    print(table_text(COSTS, costs, markdown=args.markdown))
    print("\nratios round by round, median (range)\n")
    print(table_text(RATIOS, ratio_rows(turns, compared(args)), markdown=args.markdown))
    print()
    if not args.only_ours and args.threads == 1:
        for line in promise_lines(turns, imgsz, peer=FOUR_CHANNELS, twice=TWO):
            print(line)
        print()
    for name in (next(iter(OURS)), *(() if args.only_ours else (FOUR_CHANNELS,))):
        print(f"{name}: {turns[name][0].answer['about']}")
    load = max(turn.other_load for mine in turns.values() for turn in mine)
    print(f"other programs kept up to {load:.1f} cores busy during a turn\n")


if __name__ == "__main__":
    main()
