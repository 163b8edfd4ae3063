"""Data sets of any size for timings: some drawn pairs under many names, or no files at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from fusetrain.data.index import DatasetIndex, PackedPaths

NUM_DRAWN = 20
BOXES_PER_PAIR = 5


def write_pairs(root: Path, count: int, *, size_wh: tuple[int, int] = (640, 512)) -> Path:
    """Write a set whose files are links to NUM_DRAWN drawn pairs; return its data YAML.

    Args:
        root: Folder of the set.
        count: Pairs.
        size_wh: Width and height of every image, px.
    """
    rng = np.random.default_rng(0)
    for part in ("images", "imagesIR", "labels", ".drawn"):
        (root / part / "train").mkdir(parents=True)
    for number in range(NUM_DRAWN):
        for part, shape in (("images", (32, 40, 3)), ("imagesIR", (32, 40))):
            coarse = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
            image = coarse.resize(size_wh, Image.Resampling.BICUBIC)
            image.save(root / ".drawn" / f"{part}{number}.jpg", quality=90)
        boxes = rng.uniform(0.2, 0.4, (BOXES_PER_PAIR, 4))
        lines = (f"0 {' '.join(f'{value:.6f}' for value in box)}\n" for box in boxes)
        (root / ".drawn" / f"labels{number}.txt").write_text("".join(lines), encoding="ascii")
    for row in range(count):
        for part, suffix in (("images", "jpg"), ("imagesIR", "jpg"), ("labels", "txt")):
            source = root / ".drawn" / f"{part}{row % NUM_DRAWN}.{suffix}"
            os.link(source, root / part / "train" / f"sequence{row // 500:05d}_{row:07d}.{suffix}")
    text = "path: .\ntrain: images/train\nnames: [person]\n"
    path = root / "data.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def drawn_index(count: int) -> DatasetIndex:
    """Return an index of pairs that are nowhere."""
    rng = np.random.default_rng(0)
    names = [f"sequence{row // 500:05d}_{row:07d}" for row in range(count)]
    boxes = rng.uniform(0.2, 0.4, (count * BOXES_PER_PAIR, 4)).astype(np.float32)
    return DatasetIndex(
        "train",
        "/nowhere",
        ("person",),
        PackedPaths.pack(names),
        PackedPaths.pack([f"images/train/{name}.jpg" for name in names]),
        PackedPaths.pack([f"imagesIR/train/{name}.jpg" for name in names]),
        np.full(count, 100_000, np.int64),
        np.full(count, 50_000, np.int64),
        np.ones(count, np.bool_),
        np.arange(1, count + 1, dtype=np.int64) * BOXES_PER_PAIR,
        boxes,
        np.zeros(len(boxes), np.int64),
    )
