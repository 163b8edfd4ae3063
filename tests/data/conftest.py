"""Small painted data sets: every object is a bright rectangle that fills its label box exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.spec import load_spec

PaintedSet = Callable[..., DatasetIndex]


@pytest.fixture
def painted_set(tmp_path: Path) -> PaintedSet:
    """Return a function that writes pairs of the sizes given and returns their index."""

    def write(*sizes_hw: tuple[int, int], ir_share: float = 1.0) -> DatasetIndex:
        rng = np.random.default_rng(7)
        for folder in ("images/train", "imagesIR/train", "labels/train"):
            (tmp_path / folder).mkdir(parents=True)
        for number, (height, width) in enumerate(sizes_hw):
            # Even numbers, so that infrared of half the size shows the same rectangle.
            left, top = (2 * int(rng.integers(side // 4)) for side in (width, height))
            right, bottom = left + width // 6 * 2, top + height // 6 * 2
            rgb = np.full((height, width, 3), 20 + 5 * number, np.uint8)
            rgb[top:bottom, left:right] = (250, 240, 230)
            ir = np.full((height, width), 10, np.uint8)
            ir[top:bottom, left:right] = 255
            Image.fromarray(rgb).save(tmp_path / f"images/train/{number:03}.png")
            ir_size = (round(width * ir_share), round(height * ir_share))
            image = Image.fromarray(ir).resize(ir_size, Image.Resampling.NEAREST)
            image.save(tmp_path / f"imagesIR/train/{number:03}.png")
            box = (
                (left + right) / 2 / width,
                (top + bottom) / 2 / height,
                (right - left) / width,
                (bottom - top) / height,
            )
            line = " ".join([str(number % 3), *(f"{value:.8f}" for value in box)])
            (tmp_path / f"labels/train/{number:03}.txt").write_text(line + "\n")
        (tmp_path / "data.yaml").write_text(
            "path: .\ntrain: images/train\nnames: [person, car, dog]\n"
        )
        return scan_split(load_spec(tmp_path / "data.yaml"), "train").index

    return write
