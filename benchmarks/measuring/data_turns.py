"""Augmented pairs by one thread: from memory, from the disk cache, from files, and two limits.

Each turn does all pairs of a set once and tells how many; `take_turns` times them. What the columns
mean stands in `data_path.py`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.config.schema import AugmentSettings
from fusetrain.data.cache import PairStore, cache_for
from fusetrain.data.dataset import TrainDataset
from fusetrain.data.disk_build import open_or_build
from fusetrain.data.index import scan_split
from fusetrain.data.loader import train_batches
from fusetrain.data.reader import stored_long_side
from fusetrain.data.spec import load_spec
from fusetrain.data.thermal import thermal_window
from fusetrain.runs.batches import augmentation_of
from fusetrain.sample import Batch

BATCH = 8
PAIRS_OF_A_MOSAIC = 4
Turn = Callable[[], int]


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


def batches_of(dataset: TrainDataset, *, batch: int = BATCH) -> Turn:
    """Return what makes all pairs of an epoch, each time those of the next one."""

    def epochs() -> Generator[Batch, None, None]:
        epoch = 0
        while True:
            yield from train_batches(dataset, batch=batch, epoch=epoch)
            epoch += 1

    source = epochs()
    count = -(-len(dataset) // batch)
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
