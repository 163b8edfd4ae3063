"""Fixtures that several folders of tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakePairs = Callable[..., Path]


def _write_pair(root: Path, split: str, stem: str, *, rng: np.random.Generator) -> None:
    """Write one 64 x 48 pair of unrelated textures with a box of class 0 and one of class 1."""
    rgb = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((64, 48))
    ir = Image.fromarray(rng.integers(0, 256, (12, 16), np.uint8)).resize((64, 48))
    for part, image in (("images", rgb), ("imagesIR", ir)):
        (root / part / split).mkdir(parents=True, exist_ok=True)
        image.save(root / part / split / f"{stem}.{'jpg' if part == 'images' else 'png'}")
    (root / "labels" / split).mkdir(parents=True, exist_ok=True)
    lines = "0 0.25 0.5 0.25 0.5\n1 0.75 0.5 0.3 0.6\n"
    (root / "labels" / split / f"{stem}.txt").write_text(lines, encoding="ascii")


@pytest.fixture
def make_pairs(tmp_path: Path) -> MakePairs:
    """Return a function that writes a clean data set and returns its data YAML."""

    def make(name: str = "set", *, train: int = 4, val: int = 2) -> Path:
        root = tmp_path / name
        rng = np.random.Generator(np.random.PCG64(7))
        for split, count in (("train", train), ("val", val)):
            for number in range(count):
                _write_pair(root, split, f"{split}_{number:03d}", rng=rng)
        path = root / "data.yaml"
        text = "path: .\ntrain: images/train\nval: images/val\nnames: [person, car]\n"
        path.write_text(text, encoding="utf-8")
        return path

    return make
