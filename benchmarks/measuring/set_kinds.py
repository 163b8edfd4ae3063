"""Kinds of defects of whole sets: folders, partners, sequences, splits, the YAML."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from measuring.corpus import Kind, Planter, Set
from measuring.image_kinds import store
from PIL import Image

FRAME = (320, 240)


def swap_folders(data: Set) -> None:
    (data.root / "images").rename(data.root / "other")
    (data.root / "imagesIR").rename(data.root / "images")
    (data.root / "other").rename(data.root / "imagesIR")


def off_by_one(data: Set) -> None:
    """From some pair on, each infrared image is that of the next pair."""
    start = data.rng.randint(0, 2)
    for pair, following in pairwise(data.train[start:]):
        shutil.copyfile(following.ir, pair.ir)
    data.train[-1].rgb.unlink()
    data.train[-1].ir.unlink()


def partners_exchanged(data: Set) -> Path:
    """Two pairs of one size get the infrared image of the other."""
    first = data.take()
    size = first.image("ir").size
    second = min(data.train, key=lambda pair: sum(np.abs(np.subtract(pair.image("ir").size, size))))
    images = first.image("ir"), second.image("ir")
    images[1].resize(images[0].size).save(first.ir, quality=95)
    images[0].resize(images[1].size).save(second.ir, quality=95)
    return first.ir


def shifted(low_px: float, high_px: float) -> Planter:
    """Return a planter that moves all infrared images alike, by px at 640 px."""

    def plant(data: Set) -> None:
        length, angle = data.rng.uniform(low_px, high_px), data.rng.uniform(0, 2 * np.pi)
        for pair in data.pairs():
            image = pair.image("ir")
            scale = max(image.size) / 640.0
            x, y = length * scale * np.cos(angle), length * scale * np.sin(angle)
            margin = round(high_px * scale) + 1
            moved = image.transform(
                image.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BICUBIC
            )
            box = (margin, margin, image.width - margin, image.height - margin)
            moved.crop(box).save(pair.ir, quality=95)
            pair.image("rgb").crop(box).save(pair.rgb, quality=95)

    return plant


def stuck(data: Set) -> Path:
    start = data.rng.randint(0, len(data.train) - 6)
    run = data.train[start : start + data.rng.randint(3, 6)]
    for pair in run[1:]:
        shutil.copyfile(run[0].ir, pair.ir)
    return run[0].ir


def across(change: Callable[[Image.Image], tuple[Image.Image, str]] | None) -> Planter:
    """Return a planter that puts a picture of the training split into validation."""

    def plant(data: Set) -> Path:
        source, target = data.rng.choice(data.train), data.rng.choice(data.val)
        if change is None:
            shutil.copyfile(source.rgb, target.rgb)
            return target.rgb
        image, suffix = change(source.image("rgb"))
        return store(target.rgb, image, suffix)

    return plant


def dealt_recording(data: Set) -> None:
    """Frames of a slow pan, dealt to the splits at random."""
    base = data.rng.choice(data.train)
    rgb, ir = (base.image(role).resize((800, 480)) for role in ("rgb", "ir"))
    step = data.rng.randint(4, 8)
    for number in range(48):
        split = "val" if data.rng.random() < 0.3 else "train"
        box = (number * step, 60, number * step + FRAME[0], 60 + FRAME[1])
        for part, image in (("images", rgb), ("imagesIR", ir)):
            path = data.root / part / split / f"drive_{number * 5:05d}.jpg"
            noise = np.random.default_rng(number).normal(0, 3, FRAME[::-1])
            levels = np.asarray(image.crop(box), np.float64)
            levels = levels + (noise if levels.ndim == 2 else noise[:, :, None])
            Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).save(path, quality=92)
        (data.root / "labels" / split / f"drive_{number * 5:05d}.txt").write_text(
            "0 0.5 0.5 0.1 0.1\n"
        )


def mixed_depth(data: Set) -> None:
    for pair in data.train[: len(data.train) // 3]:
        counts = np.asarray(pair.image("ir").convert("L"), np.uint16) * np.uint16(16)
        store(pair.ir, Image.fromarray(counts), ".tif")


def empty_split(data: Set) -> None:
    for pair in data.val:
        pair.rgb.unlink()
        pair.ir.unlink()


def other_names(data: Set) -> Path:
    """Infrared files named by another scheme."""
    suffix = data.rng.choice(("_x", "-thermal2", "b"))
    for pair in data.train:
        pair.ir.rename(pair.ir.with_stem(f"frame{suffix}_{pair.ir.stem[::-1]}"))
    return data.train[0].rgb


def stretch_each(data: Set) -> None:
    for pair in data.pairs():
        levels = np.asarray(pair.image("ir").convert("L"), np.float64)
        low, high = np.percentile(levels, (1.5, 98.5))
        full = np.clip((levels - low) * 255 / max(high - low, 1), 0, 255).astype(np.uint8)
        store(pair.ir, Image.fromarray(full), ".png")


def yaml(change: Callable[[str], str]) -> Planter:
    def plant(data: Set) -> None:
        path = data.root / "data.yaml"
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    return plant


def beside_the_window(data: Set) -> None:
    """Counts of 16 bits, and a range in the YAML that is one of another camera."""
    low = data.rng.randint(5000, 25000)
    for pair in data.pairs():
        counts = np.asarray(pair.image("ir").convert("L"), np.uint16) * np.uint16(8) + low
        store(pair.ir, Image.fromarray(counts.astype(np.uint16)), ".tif")
    yaml(lambda text: f"{text.rstrip()}\nthermal: {{range: [{low + 9000}, {low + 12000}]}}\n")(data)


def without_class(data: Set) -> None:
    """Validation loses its most frequent class."""
    for pair in data.val:
        lines = [f"0{line[1:]}" if line.startswith("2") else line for line in pair.lines()]
        pair.write_lines(lines)


def numbered_anew(data: Set) -> None:
    """Each split numbers its pairs from 0, and all have one folder of labels, which is that of val.

    What is not of a pair any more keeps its name.
    """
    place = data.root / "labels"
    for pairs in (data.train, data.val):
        for number, pair in enumerate(pairs):
            for path in (pair.rgb, pair.ir):
                path.rename(path.with_stem(f"{number:06d}"))
            pair.label.rename(place / f"{number:06d}.txt")
    for pair in data.taken:
        pair.label.rename(place / pair.label.name)
    for folder in (path for path in place.iterdir() if path.is_dir()):
        shutil.rmtree(folder)
    yaml(lambda text: f"{text.rstrip()}\nannotations: labels\n")(data)


def _set(name: str, codes: tuple[str, ...], level: str, plant: Planter, **options: object) -> Kind:
    return Kind(name, codes, level, plant, whole_set=True, **options)  # type: ignore[arg-type]


SET_KINDS = (
    _set("folders swapped", ("P05",), "error", swap_folders),
    _set("infrared named otherwise", ("P01",), "error", other_names),
    _set(
        "infrared off by one file",
        ("P07", "P08"),
        "warn",
        off_by_one,
        num_pairs=30,
        registration=True,
    ),
    _set(
        "infrared of two pairs exchanged",
        ("P07",),
        "warn",
        partners_exchanged,
        num_pairs=30,
        registration=True,
    ),
    _set("infrared moved by 14 to 25 px", ("P09",), "error", shifted(14, 25), registration=True),
    _set("infrared moved by 7 to 9 px", ("P09",), "warn", shifted(7, 9), registration=True),
    _set("camera stuck", ("P12",), "warn", stuck),
    _set("a third of 16 bits", ("P14",), "error", mixed_depth),
    _set("range of another camera", ("P16",), "error", beside_the_window),
    _set("each stretched to all levels", ("P14",), "info", stretch_each, num_pairs=60),
    _set("split without pairs", ("P15",), "error", empty_split),
    _set("file in two splits", ("D04",), "error", across(None)),
    _set("picture in two splits, as PNG", ("D04",), "error", across(lambda i: (i, ".png"))),
    _set(
        "nearly the same picture in two splits",
        ("D04",),
        "warn",
        across(lambda i: (i.point(lambda v: min(255, v + 6)).resize(i.size), ".jpg")),
    ),
    _set("recording dealt frame by frame", ("D05",), "warn", dealt_recording),
    _set("labels of two splits in one folder", ("L14",), "error", numbered_anew),
    _set("class missing from validation", ("S01",), "warn", without_class),
    _set(
        "class never used",
        ("S03",),
        "warn",
        yaml(lambda text: text.replace("]", ", dog]")),
    ),
    _set(
        "class in two spellings",
        ("S05",),
        "warn",
        yaml(lambda text: text.replace("]", ", Person, PERSON]")),
    ),
    _set("YAML with a mistyped key", ("S04",), "error", yaml(lambda t: t.replace("val:", "vall:"))),
    _set("YAML with a wrong folder", ("S04",), "error", yaml(lambda t: t.replace("s/val", "s/v"))),
    _set("YAML cut", ("S04",), "error", yaml(lambda text: text[: text.index("names") + 9])),
)
