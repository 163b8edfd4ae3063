"""What the planted defects of the demo do to the files of a pair.

Which pair gets which defect, and how it is listed, stands in `demo_defects.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

TINY_PX = (30, 24)
HUGE_PX = (9000, 7200)
# A thermal colour map, black over violet and orange to white, as its corners at equal distances.
IRON = ((0, 0, 0), (72, 0, 130), (196, 32, 96), (248, 140, 16), (255, 220, 80), (255, 255, 255))


@dataclass(frozen=True)
class Pair:
    """Where the files of one pair lie."""

    root: Path
    split: str
    stem: str

    @property
    def rgb(self) -> Path:
        """Return the visible image."""
        return self.root / "images" / self.split / f"{self.stem}.jpg"

    @property
    def ir(self) -> Path:
        """Return the infrared image."""
        return self.root / "imagesIR" / self.split / f"{self.stem}.jpg"

    @property
    def label(self) -> Path:
        """Return the label file."""
        return self.root / "labels" / self.split / f"{self.stem}.txt"


Planter = Callable[[Pair], Path]


def _orphan_rgb(pair: Pair) -> Path:
    pair.ir.unlink()
    return pair.rgb


def _orphan_ir(pair: Pair) -> Path:
    pair.rgb.unlink()
    pair.label.unlink()
    return pair.ir


def _second_rgb(pair: Pair) -> Path:
    """Add a file of the same key and another suffix."""
    with Image.open(pair.rgb) as image:
        image.point([min(255, level + 12) for level in range(256)] * 3).save(
            pair.rgb.with_suffix(".png")
        )
    return pair.rgb


def _other_aspect(pair: Pair) -> Path:
    with Image.open(pair.ir) as image:
        squeezed = image.resize((image.width, image.height * 4 // 5))
    squeezed.save(pair.ir, quality=95)
    return pair.ir


def _ir_is_rgb(pair: Pair) -> Path:
    with Image.open(pair.rgb) as image:
        grey = image.convert("L")
    return _replace(pair.ir, grey)


def _pseudo_colour(pair: Pair) -> Path:
    with Image.open(pair.ir) as image:
        levels = np.asarray(image)
    corners = np.array(IRON, np.float64)
    places = np.linspace(0, 255, len(corners))
    curve = [np.interp(np.arange(256), places, corners[:, channel]) for channel in range(3)]
    return _replace(pair.ir, Image.fromarray(np.stack(curve, axis=1).astype(np.uint8)[levels]))


def _blank_ir(pair: Pair) -> Path:
    with Image.open(pair.ir) as image:
        blank = Image.new("L", image.size, 118)
    blank.save(pair.ir, quality=95)
    return pair.ir


def _deep_ir(pair: Pair) -> Path:
    """Store this one image as radiometric 16-bit counts."""
    with Image.open(pair.ir) as image:
        counts = np.asarray(image).astype(np.uint16) * np.uint16(24) + np.uint16(6000)
    return _replace(pair.ir, Image.fromarray(counts))


def _unreadable(pair: Pair) -> Path:
    pair.rgb.write_bytes(b"this was an image once\n" * 40)
    return pair.rgb


def _truncated(pair: Pair) -> Path:
    data = pair.rgb.read_bytes()
    pair.rgb.write_bytes(data[: len(data) * 3 // 5])
    return pair.rgb


def _huge(pair: Pair) -> Path:
    """Put a file of some kB that unpacks to far more pixels than any camera has."""
    return _replace(pair.rgb, Image.new("1", HUGE_PX))


def _wrong_suffix(pair: Pair) -> Path:
    with Image.open(pair.rgb) as image:
        image.load()
        image.save(pair.rgb, format="PNG")
    return pair.rgb


def _tiny(pair: Pair) -> Path:
    with Image.open(pair.rgb) as image:
        small = image.resize(TINY_PX)
    small.save(pair.rgb, quality=92)
    return pair.rgb


def _dead_row(pair: Pair) -> Path:
    with Image.open(pair.ir) as image:
        levels = np.array(image)
    levels[len(levels) // 3] = 0
    return _replace(pair.ir, Image.fromarray(levels))


def _map_rgb(gain: float, offset: float) -> Planter:
    def plant(pair: Pair) -> Path:
        with Image.open(pair.rgb) as image:
            mapped = image.point([round(level * gain + offset) for level in range(256)] * 3)
        mapped.save(pair.rgb, quality=95)
        return pair.rgb

    return plant


def _blurred(pair: Pair) -> Path:
    with Image.open(pair.rgb) as image:
        blurred = image.filter(ImageFilter.GaussianBlur(8.0))
    blurred.save(pair.rgb, quality=95)
    return pair.rgb


def _missing_label(pair: Pair) -> Path:
    pair.label.unlink()
    return pair.label


def copy_pair(source: Pair, pair: Pair) -> Path:
    """Put the files of one pair in the place of another."""
    for ours, theirs in ((source.rgb, pair.rgb), (source.ir, pair.ir), (source.label, pair.label)):
        shutil.copyfile(ours, theirs)
    return pair.rgb


def recode_pair(source: Pair, pair: Pair) -> Path:
    """Store the pictures of another pair once more, without loss."""
    shutil.copyfile(source.label, pair.label)
    for ours, theirs in ((source.ir, pair.ir), (source.rgb, pair.rgb)):
        with Image.open(ours) as image:
            path = _replace(theirs, image)
    return path


def brighten_pair(source: Pair, pair: Pair) -> Path:
    """Store the visible image of another pair a little brighter, as the next frame may look."""
    copy_pair(source, pair)
    for path, add in ((pair.rgb, 6), (pair.ir, 3)):
        with Image.open(path) as image:
            levels = [min(255, level + add) for level in range(256)]
            brighter = image.point(levels * len(image.getbands()))
        brighter.save(path, quality=95)
    return pair.rgb


def _replace(path: Path, image: Image.Image) -> Path:
    """Store an image without loss instead of the JPEG; the stem, and with it the pair, stays."""
    path.unlink()
    image.save(path.with_suffix(".png"))
    return path.with_suffix(".png")


FILE_PLANTERS: dict[str, Planter] = {
    "P01": _orphan_rgb,
    "P02": _orphan_ir,
    "P03": _second_rgb,
    "P06": _ir_is_rgb,
    "P04": _other_aspect,
    "P10": _pseudo_colour,
    "P11": _blank_ir,
    "P13": _dead_row,
    "P14": _deep_ir,
    "I01": _unreadable,
    "I02": _truncated,
    "I03": _huge,
    "I04": _wrong_suffix,
    "I05": _tiny,
    "I06": _map_rgb(1 / 16, 0.0),
    "I07": _map_rgb(1 / 40, 248.0),
    "I08": _blurred,
    "I09": _map_rgb(1 / 50, 100.0),
    "L09": _missing_label,
}
