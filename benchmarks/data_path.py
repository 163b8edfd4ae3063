"""How many augmented pairs a second the data path makes, and what limits it.

    python benchmarks/data_path.py                        # drawn pairs of 640 x 512 px
    python benchmarks/data_path.py --data roadscene/data.yaml --imgsz 320

Pairs are made as for a training at default settings (mosaic, zoom, mirror, colours), in batches of
8, by one thread: from decoded pairs in memory, from the disk cache, and from their files. Beside
them stand two limits of the same files: `decoded` is Pillow alone, which has to decode four pairs
for a mosaic that is made from files; `warped` is four affine warps of decoded pairs onto a canvas,
by Pillow and, where it is installed, by OpenCV, with neither colours nor boxes. Everything takes
turns; seconds are of the processor, medians over the rounds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from measuring.data_turns import all_turns, take_turns
from measuring.drawn_pairs import write_pairs
from measuring.tables import table_text

from fusetrain.allocator import keep_freed_memory

NUM_PAIRS = 48


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows = []
    with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name:
        data = args.data
        if data is None:
            data = write_pairs(Path(name) / "set", NUM_PAIRS)
        for imgsz in args.imgsz:
            turns = all_turns(Path(data), imgsz, Path(name) / f"cache{imgsz}")
            rates = take_turns(turns, rounds=args.rounds)
            rows.append([f"{imgsz} px", *(f"{rate:,.0f}" for rate in rates.values())])
            header = ("pairs/s", *rates)
    print(f"augmented pairs a second of one process, processor time, {args.rounds} rounds\n")
    print(table_text(header, rows, markdown=args.markdown))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="data YAML of a set; drawn pairs where none is given")
    parser.add_argument("--imgsz", type=int, nargs="+", default=[320, 640], help="px")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--markdown", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
