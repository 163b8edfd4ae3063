"""Kinds of defects in the images of one pair: files, names, pictures."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring.corpus import Kind, Planter, Set
from numpy.typing import NDArray
from PIL import Image, ImageFilter

# Colour maps as corners at equal distances, from cold to hot.
MAPS = {
    "iron": ((0, 0, 0), (72, 0, 130), (196, 32, 96), (248, 140, 16), (255, 220, 80), (255,) * 3),
    "rainbow": ((0, 0, 96), (0, 96, 255), (0, 255, 160), (255, 255, 0), (255, 64, 0), (255,) * 3),
    "jet": ((0, 0, 128), (0, 0, 255), (0, 255, 255), (255, 255, 0), (255, 0, 0), (128, 0, 0)),
    "arctic": ((0, 0, 64), (0, 128, 255), (192, 192, 192), (255, 160, 0), (255, 255, 160)),
}
Pixels = NDArray[np.uint8]


def colour_map(name: str) -> NDArray[np.uint8]:
    """Return (256, 3) colours."""
    corners = np.array(MAPS[name], np.float64)
    places = np.linspace(0, 255, len(corners))
    curve = [np.interp(np.arange(256), places, corners[:, channel]) for channel in range(3)]
    return np.stack(curve, axis=1).astype(np.uint8)


def store(path: Path, image: Image.Image, suffix: str, **options: Any) -> Path:
    """Replace an image by one of another format; the stem stays."""
    path.unlink()
    image.save(path.with_suffix(suffix), **options)
    return path.with_suffix(suffix)


def on_ir(change: Callable[[Pixels, random.Random], NDArray[Any]], suffix: str = ".png") -> Planter:
    """Return a planter that changes the levels of an infrared image."""

    def plant(data: Set) -> Path:
        pair = data.take()
        levels = np.array(pair.image("ir").convert("L"))
        options = {"quality": data.rng.randint(80, 95)} if suffix == ".jpg" else {}
        return store(pair.ir, Image.fromarray(change(levels, data.rng)), suffix, **options)

    return plant


def copy_of_rgb(change: Callable[[Image.Image, random.Random], Image.Image]) -> Planter:
    """Return a planter that stores the visible image as infrared."""

    def plant(data: Set) -> Path:
        pair = data.take()
        grey = change(pair.image("rgb").convert("L"), data.rng)
        return store(pair.ir, grey, ".jpg", quality=data.rng.randint(30, 95))

    return plant


def stretched(data: Set) -> Path:
    pair = data.take()
    image = pair.image("ir")
    factor = data.rng.choice((data.rng.uniform(1.03, 1.5), 1 / data.rng.uniform(1.03, 1.5)))
    return store(pair.ir, image.resize((image.width, round(image.height * factor))), ".png")


def swapped_pair(data: Set) -> Path:
    pair = data.take()
    rgb, ir = pair.image("rgb"), pair.image("ir")
    store(pair.rgb, ir.convert("RGB"), ".png")
    return store(pair.ir, rgb, ".png")


def painted(name: str, suffix: str) -> Planter:
    return on_ir(lambda levels, rng: colour_map(name)[levels], suffix)


def colour_bar(levels: Pixels, rng: random.Random) -> Pixels:
    """A grey picture with a scale in colour at one side."""
    picture = np.repeat(levels[:, :, None], 3, axis=2)
    height, width = levels.shape
    high, wide = (
        round(height * rng.uniform(0.4, 0.9)),
        max(6, round(width * rng.uniform(0.02, 0.05))),
    )
    top, left = (height - high) // 2, rng.choice((4, width - wide - 4))
    scale = colour_map(rng.choice(list(MAPS)))[np.linspace(255, 0, high).astype(int)]
    picture[top : top + high, left : left + wide] = scale[:, None]
    return picture


def dead_lines(axis: int, number: int) -> Callable[[Pixels, random.Random], Pixels]:
    def change(levels: Pixels, rng: random.Random) -> Pixels:
        place = rng.randint(20, levels.shape[axis] - 20 - number)
        lines = levels if axis == 0 else levels.T
        # In a black sky black lines are no loss.
        values = [v for v in (0, 255) if abs(float(np.median(lines[place])) - v) > 40]
        lines[place : place + number] = rng.choice(values)
        return levels

    return change


def column_stripes(levels: Pixels, rng: random.Random) -> Pixels:
    """Every column has an offset of its own, as of a camera without correction."""
    noise = np.random.default_rng(rng.randrange(2**32)).normal(
        0, rng.uniform(4, 8), levels.shape[1]
    )
    return np.clip(levels + noise, 0, 255).astype(np.uint8)


def noise_only(levels: Pixels, rng: random.Random) -> Pixels:
    noise = np.random.default_rng(rng.randrange(2**32)).normal(
        rng.uniform(20, 200), 0.6, levels.shape
    )
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


def upper_bits(levels: Pixels, rng: random.Random) -> Pixels:
    """Counts of 16 bits of which the upper byte alone was kept."""
    counts = rng.uniform(5000, 9000) + levels.astype(np.float64) * rng.uniform(6, 12)
    return (counts / 256).astype(np.uint8)


def saturated(levels: Pixels, rng: random.Random) -> Pixels:
    """A window of counts that ends below a good part of the scene."""
    top = np.percentile(levels, rng.uniform(50, 70))
    return np.clip(levels.astype(np.float64) * 255 / max(top, 1), 0, 255).astype(np.uint8)


def tiny(data: Set) -> Path:
    pair = data.take()
    for path in (pair.rgb, pair.ir):
        with Image.open(path) as image:
            small = image.resize((40, data.rng.randint(4, 31)))
        small.save(path)
    return pair.rgb


def repeated(change: Callable[[Image.Image], tuple[Image.Image, str]] | None) -> Planter:
    """Return a planter that puts the visible picture of another pair in the place of one."""

    def plant(data: Set) -> Path:
        first, second = sorted((data.take(), data.take()), key=lambda pair: pair.rgb.name)
        if change is None:
            shutil.copyfile(first.rgb, second.rgb)
            return second.rgb
        image, suffix = change(first.image("rgb"))
        return store(second.rgb, image, suffix)

    return plant


def on_rgb(change: Callable[[Image.Image], Image.Image]) -> Planter:
    def plant(data: Set) -> Path:
        pair = data.take()
        return store(pair.rgb, change(pair.image("rgb")), ".png")

    return plant


def huge(data: Set) -> Path:
    pair = data.take()
    return store(pair.rgb, Image.new("1", (9000, 7000)), ".png")


IMAGE_KINDS = (
    Kind("aspect ratio off by 3 % or more", ("P04",), "error", stretched),
    Kind("one pair swapped", ("P05",), "error", swapped_pair),
    Kind("infrared is visible, recompressed", ("P06",), "error", copy_of_rgb(lambda i, _: i)),
    Kind(
        "infrared is visible, resized",
        ("P06",),
        "error",
        copy_of_rgb(lambda i, rng: i.resize([round(s * rng.uniform(0.4, 0.9)) for s in i.size])),
    ),
    Kind(
        "infrared is visible, gamma and gain",
        ("P06",),
        "error",
        copy_of_rgb(lambda i, rng: i.point([255 * (v / 255) ** 1.3 * 0.9 for v in range(256)])),
    ),
    *(Kind(f"colour map {n}", ("P10",), "warn", painted(n, ".png")) for n in MAPS),
    Kind("colour map iron as JPEG", ("P10",), "warn", painted("iron", ".jpg")),
    Kind("grey with a colour bar", ("P10",), "warn", on_ir(colour_bar)),
    Kind("constant infrared", ("P11",), "warn", on_ir(lambda v, rng: v * 0 + rng.randint(0, 255))),
    Kind("infrared of noise alone", ("P11",), "warn", on_ir(noise_only)),
    Kind("one dead row", ("P13",), "warn", on_ir(dead_lines(0, 1))),
    Kind("three dead rows", ("P13",), "warn", on_ir(dead_lines(0, 3))),
    Kind("one dead column", ("P13",), "warn", on_ir(dead_lines(1, 1))),
    Kind("column stripes", ("P13",), "warn", on_ir(column_stripes)),
    Kind(
        "one image of 16 bits",
        ("P14",),
        "error",
        on_ir(lambda v, rng: v.astype(np.uint16) * np.uint16(20) + np.uint16(7000)),
    ),
    Kind("upper byte of 16 bits", ("P14", "P11"), "warn", on_ir(upper_bits)),
    Kind("infrared saturated", ("P14",), "warn", on_ir(saturated)),
    Kind("63 megapixels", ("I03",), "error", huge),
    Kind("under 32 px", ("I05",), "error", tiny),
    Kind("night without light", ("I06",), "info", on_rgb(lambda i: i.point(lambda v: v // 16))),
    Kind(
        "over-exposed",
        ("I07",),
        "info",
        on_rgb(lambda i: i.point(lambda v: min(255, v // 10 + 245))),
    ),
    Kind("out of focus", ("I08",), "info", on_rgb(lambda i: i.filter(ImageFilter.GaussianBlur(9)))),
    Kind("fog", ("I09",), "info", on_rgb(lambda i: i.point(lambda v: v // 40 + 120))),
    Kind("the same file twice", ("D01",), "warn", repeated(None)),
    Kind("the same picture as PNG", ("D02",), "warn", repeated(lambda i: (i, ".png"))),
    Kind(
        "nearly the same picture",
        ("D03",),
        "info",
        repeated(lambda i: (i.point(lambda v: min(255, v + 8)), ".jpg")),
    ),
)
