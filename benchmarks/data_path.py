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
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from measuring.drawn_pairs import write_pairs
from measuring.tables import table_text
from numpy.typing import NDArray
from PIL import Image

from fusetrain.config.schema import AugmentSettings
from fusetrain.data.cache import PairStore, cache_for
from fusetrain.data.dataset import TrainDataset
from fusetrain.data.disk_build import open_or_build
from fusetrain.data.image import thermal_window
from fusetrain.data.index import scan_split
from fusetrain.data.loader import train_batches
from fusetrain.data.reader import stored_long_side
from fusetrain.data.spec import load_spec
from fusetrain.engine.machine import keep_freed_memory
from fusetrain.runs.batches import augmentation_of
from fusetrain.sample import Batch

BATCH = 8
NUM_PAIRS = 48
PAIRS_OF_A_MOSAIC = 4
Turn = Callable[[], int]


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


def all_turns(data: Path, imgsz: int, cache_folder: Path) -> dict[str, Turn]:
    """Return what takes turns, by its column; each returns how many pairs it made."""
    spec = load_spec(data)
    index = scan_split(spec, "train").index
    ir_paths = [index.ir_path(row) for row in range(len(index))]
    window = thermal_window(spec.thermal, ir_paths, storage=index.storage)
    augmentation = augmentation_of(AugmentSettings())

    def dataset(cache: PairStore | None = None) -> TrainDataset:
        return TrainDataset(
            index, imgsz=imgsz, augmentation=augmentation, window=window, cache=cache
        )

    stored = stored_long_side(imgsz, augmentation.geometry.scale)
    in_memory = dataset(cache_for(len(index), stored))
    built = open_or_build(dataset().reader, cache_folder)
    assert built is not None
    decoded = [in_memory.reader.read(row)[0] for row in range(len(index))]
    turns = {
        "from memory": batches_of(in_memory),
        "from disk cache": batches_of(dataset(built.cache)),
        "from files": batches_of(dataset()),
        "decoded / 4": lambda: decode_all(in_memory, stored) // PAIRS_OF_A_MOSAIC,
        "warped, Pillow": lambda: warp_all(decoded, imgsz, warp_by_pillow),
    }
    if find_spec("cv2"):
        turns["warped, OpenCV"] = lambda: warp_all(decoded, imgsz, warp_by_opencv)
    return turns


def take_turns(turns: dict[str, Turn], *, rounds: int) -> dict[str, float]:
    """Return the median rate of each, in pairs a second of the processor."""
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name, turn in turns.items():
            started = time.process_time()
            pairs = turn()
            if number:  # the first fills caches
                seconds[name].append((time.process_time() - started) / pairs)
    return {name: 1 / statistics.median(seen) for name, seen in seconds.items()}


def batches_of(dataset: TrainDataset) -> Turn:
    """Return what makes all pairs of an epoch, each time those of the next one."""

    def epochs() -> Generator[Batch, None, None]:
        epoch = 0
        while True:
            yield from train_batches(dataset, batch=BATCH, epoch=epoch)
            epoch += 1

    source = epochs()
    count = -(-len(dataset) // BATCH)
    return lambda: sum(len(next(source)) for _ in range(count))


def decode_all(dataset: TrainDataset, stored: int) -> int:
    """Decode both images of every pair with Pillow, reduced as far as the format can."""
    for row in range(len(dataset)):
        for path in (dataset.index.rgb_path(row), dataset.index.ir_path(row)):
            with Image.open(path) as image:
                share = stored / max(image.size)
                if share <= 0.5:
                    image.draft(image.mode, tuple(round(side * share) for side in image.size))
                np.asarray(image)
    return len(dataset)


def warp_all(
    decoded: list[NDArray[np.uint8]],
    imgsz: int,
    warp: Callable[[NDArray[np.uint8], float, int], NDArray[np.uint8]],
) -> int:
    """Draw mosaics of four quarters, one for each pair."""
    half = imgsz // 2
    for number in range(len(decoded)):
        canvas = np.empty((imgsz, imgsz, 4), np.uint8)
        for tile in range(PAIRS_OF_A_MOSAIC):
            pixels = decoded[(number + 7 * tile) % len(decoded)]
            top, left = half * (tile // 2), half * (tile % 2)
            zoom = imgsz / max(pixels.shape) * (0.7 + 0.2 * tile)
            canvas[top : top + half, left : left + half] = warp(pixels, zoom, half)
    return len(decoded)


def warp_by_pillow(pixels: NDArray[np.uint8], zoom: float, side: int) -> NDArray[np.uint8]:
    image = Image.frombuffer("CMYK", pixels.shape[1::-1], pixels, "raw", "CMYK", 0, 1)
    numbers = (1 / zoom, 0.01, 3.0, 0.01, 1 / zoom, 5.0)
    method, filtering = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    return np.asarray(image.transform((side, side), method, numbers, filtering))


def warp_by_opencv(pixels: NDArray[np.uint8], zoom: float, side: int) -> NDArray[np.uint8]:
    import cv2

    cv2.setNumThreads(1)
    numbers = np.array([[1 / zoom, 0.01, 3.0], [0.01, 1 / zoom, 5.0]])
    warped = cv2.warpAffine(
        pixels, numbers, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return np.asarray(warped, np.uint8)


if __name__ == "__main__":
    main()
