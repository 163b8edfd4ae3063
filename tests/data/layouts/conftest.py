"""Tiny real trees of the public layouts: images are painted, labels say where the rectangle is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# One bright rectangle in every image; left, top, right, bottom in px of 64 x 48.
SIZE = (64, 48)
BOX = (16, 12, 40, 36)
BOX_UNIT = (28 / 64, 24 / 48, 24 / 64, 24 / 48)
YOLO = "0 " + " ".join(f"{value:.6f}" for value in BOX_UNIT) + "\n"

WritePair = Callable[..., None]


def voc(name: str = "person", box: tuple[int, ...] = BOX, size: tuple[int, int] = (64, 48)) -> str:
    left, top, right, bottom = box
    return (
        f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth>"
        f"</size><object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{left}</xmin>"
        f"<ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        "</annotation>"
    )


def polygon(name: str, corners: tuple[int, ...], size: tuple[int, int]) -> str:
    points = "".join(
        f"<{axis}{number}>{corners[2 * (number - 1) + (axis == 'y')]}</{axis}{number}>"
        for number in range(1, 5)
        for axis in "xy"
    )
    return (
        f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>"
        f"<object><name>{name}</name><polygon>{points}</polygon></object></annotation>"
    )


def bbgt(name: str = "person") -> str:
    left, top, right, bottom = BOX
    return f"% bbGt version=3\n{name} {left} {top} {right - left} {bottom - top} 0 0 0 0 0 0 0\n"


class Tree:
    """Writes files below a folder, and knows what the labels of its pictures are."""

    box = BOX
    box_unit = BOX_UNIT
    yolo = YOLO
    bbgt = staticmethod(bbgt)
    voc = staticmethod(voc)
    polygon = staticmethod(polygon)

    def __init__(self, root: Path) -> None:
        self.root = root
        self._pictures = painted()

    def text(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def pair(self, rgb: str, ir: str, *, border: int = 0, size: tuple[int, int] = SIZE) -> None:
        visible, infrared = next(self._pictures)
        for path, image in ((rgb, visible), (ir, infrared)):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            framed(image.resize(size), border).save(self.root / path)

    def painted(self) -> tuple[Image.Image, Image.Image]:
        return next(self._pictures)

    def image(self, path: str, image: Image.Image, **options: object) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(self.root / path, **options)


def painted() -> Iterator[tuple[Image.Image, Image.Image]]:
    """Yield visible and infrared pictures with the rectangle, no two of them alike."""
    rng = np.random.default_rng(5)
    left, top, right, bottom = BOX
    while True:
        rgb = rng.integers(20, 90, (48, 64, 3), np.uint8)
        ir = rng.integers(5, 60, (48, 64), np.uint8)
        rgb[top:bottom, left:right] = (230, 200, 190)
        ir[top:bottom, left:right] = 220
        yield Image.fromarray(rgb), Image.fromarray(ir)


def framed(image: Image.Image, border: int) -> Image.Image:
    if not border:
        return image
    white = 255 if image.mode == "L" else (255, 255, 255)
    canvas = Image.new(image.mode, (image.width + 2 * border, image.height + 2 * border), white)
    canvas.paste(image, (border, border))
    return canvas


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "set").mkdir()
    return Tree(tmp_path / "set")
