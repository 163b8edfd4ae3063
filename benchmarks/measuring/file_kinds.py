"""Kinds of defects in the files of one pair: names, suffixes, cut and unreadable files."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring.corpus import Kind, Planter, Set
from PIL import Image

JPEG_END = b"\xff\xd9"


def cut(make: Callable[[Image.Image], bytes] | None, suffix: str, *, end: bytes = b"") -> Planter:
    """Return a planter that cuts a file at a random place."""

    def plant(data: Set) -> Path:
        pair = data.take()
        role = data.rng.choice(("rgb", "ir"))
        path = pair.rgb if role == "rgb" else pair.ir
        whole = path.read_bytes() if make is None else make(pair.image(role))
        start = 1 if not end else max(whole.find(b"\xff\xda") + 40, len(whole) // 50)
        stop = len(whole) - (1 if not end else len(whole) // 50)
        path.unlink()
        path = path.with_suffix(suffix)
        path.write_bytes(whole[: data.rng.randint(start, stop)] + end)
        return path

    return plant


def encoded(kind: str, **options: Any) -> Callable[[Image.Image], bytes]:
    """Return a function that encodes an image."""

    def encode(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


def orphan(role: str) -> Planter:
    def plant(data: Set) -> Path:
        pair = data.take()
        (pair.ir if role == "rgb" else pair.rgb).unlink()
        return pair.rgb if role == "rgb" else pair.ir

    return plant


def clash(data: Set) -> Path:
    """Two files whose names differ in case, suffix or Unicode form alone."""
    pair = data.take()
    image = pair.image("rgb")
    way = data.rng.choice(("case", "suffix", "unicode"))
    if way == "case":
        image.save(pair.rgb.with_name(pair.rgb.stem.swapcase() + "x.png"))
        pair.rgb.rename(pair.rgb.with_stem(pair.rgb.stem + "X"))
        pair.ir.rename(pair.ir.with_stem(pair.ir.stem + "x"))
        return min(pair.rgb.parent.glob(f"{pair.rgb.stem[:-4]}*[xX].*"), key=str)
    if way == "suffix":
        image.save(pair.rgb.with_suffix(".bmp"))
        return min(pair.rgb.with_suffix(".bmp"), pair.rgb, key=str)
    names = [unicodedata.normalize(form, f"{pair.rgb.stem}_\u00e4") for form in ("NFC", "NFD")]
    paths = [pair.rgb.with_name(f"{name}.png") for name in names]
    for path in paths:
        image.save(path)
    pair.rgb.unlink()
    pair.ir.rename(pair.ir.with_stem(names[0]))
    return min(paths, key=str)


def unreadable(data: Set) -> Path:
    pair = data.take()
    path = data.rng.choice((pair.rgb, pair.ir))
    path.write_bytes(
        data.rng.choice((b"", b"<html>404</html>" * 50, bytes(5000), data.rng.randbytes(3000)))
    )
    return path


def wrong_suffix(data: Set) -> Path:
    pair = data.take()
    path, suffix = data.rng.choice((pair.rgb, pair.ir)), data.rng.choice((".png", ".bmp", ".tif"))
    return path.rename(path.with_suffix(suffix))


def counts_beside(data: Set) -> Path:
    """The counts of an infrared image, as numpy writes them."""
    pair = data.take()
    path = pair.ir.with_suffix(".npy")
    np.save(path, np.asarray(pair.image("ir")))
    return path


FILE_KINDS = (
    Kind("visible without partner", ("P01",), "error", orphan("rgb")),
    Kind("infrared without partner", ("P02",), "error", orphan("ir")),
    Kind("names that clash", ("P03",), "error", clash),
    Kind("no image at all", ("I01", "I02"), "error", unreadable),
    Kind("JPEG cut anywhere", ("I01", "I02"), "error", cut(None, ".jpg")),
    Kind(
        "progressive JPEG cut anywhere",
        ("I01", "I02"),
        "error",
        cut(encoded("JPEG", progressive=True), ".jpg"),
    ),
    Kind("PNG cut anywhere", ("I01", "I02"), "error", cut(encoded("PNG"), ".png")),
    Kind("TIFF cut anywhere", ("I01", "I02"), "error", cut(encoded("TIFF"), ".tif")),
    Kind(
        "TIFF (LZW) cut anywhere",
        ("I01", "I02"),
        "error",
        cut(encoded("TIFF", compression="tiff_lzw"), ".tif"),
    ),
    Kind("BMP cut anywhere", ("I01", "I02"), "error", cut(encoded("BMP"), ".bmp")),
    Kind("WebP cut anywhere", ("I01", "I02"), "error", cut(encoded("WEBP"), ".webp")),
    Kind("JPEG cut, end marker added", ("I02",), "error", cut(None, ".jpg", end=JPEG_END)),
    Kind(
        "progressive JPEG cut, end marker added",
        ("I02",),
        "error",
        cut(encoded("JPEG", progressive=True), ".jpg", end=JPEG_END),
    ),
    Kind("wrong suffix", ("I04",), "error", wrong_suffix),
    Kind("counts as .npy", ("I10",), "warn", counts_beside),
)
