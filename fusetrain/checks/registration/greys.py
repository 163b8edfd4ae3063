"""Read a pair as two grey images, as small as registration needs them, and when they were taken.

Radiometric counts are stretched image by image: only edges matter here, not temperatures.
"""

from __future__ import annotations

import os
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from fusetrain.data.decode import ImageError, opened
from fusetrain.data.image import read_counts, read_rgb
from fusetrain.data.storage import Storage

TARGET_SIDE = 640
STRETCHED = (0.1, 99.9)

Grey = NDArray[np.uint8] | NDArray[np.float32]


def read_greys(
    root: str, rgb_path: str, ir_path: str, *, storage: Storage
) -> tuple[Grey, Grey] | None:
    """Return the visible and the infrared image, (H, W) and (h, w), 0 to 255.

    Args:
        root: Absolute root of the data set.
        rgb_path: Visible image, relative to the root.
        ir_path: Infrared image, relative to the root.
        storage: How the pictures of the data set lie in their files.

    Returns:
        None where one of them cannot be read; other checks say why.
    """
    try:
        rgb = read_rgb(os.path.join(root, rgb_path), target_size=TARGET_SIDE, storage=storage)
        counts = read_counts(os.path.join(root, ir_path), storage=storage)
    except ImageError:
        return None
    grey = np.asarray(Image.fromarray(rgb).convert("L"), np.uint8)
    return grey, np.asarray(counts) if counts.dtype == np.uint8 else _stretched(counts)


def seconds_apart(root: str, rgb_path: str, ir_path: str) -> float | None:
    """Return the time of the infrared image minus that of the visible one, from EXIF, in s."""
    rgb, ir = (taken_at(os.path.join(root, path)) for path in (rgb_path, ir_path))
    return None if rgb is None or ir is None else (ir - rgb).total_seconds()


def taken_at(path: str) -> datetime | None:
    """Return when an image was taken, if its EXIF data say so."""
    try:
        with opened(path) as image:
            exif = image.getexif().get_ifd(ExifTags.IFD.Exif)
            text = str(exif[ExifTags.Base.DateTimeOriginal])
            fraction = str(exif.get(ExifTags.Base.SubsecTimeOriginal, "0")).strip()
            moment = datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S")
            part = float(f"0.{fraction}") if fraction.isdecimal() else 0.0
            return moment.replace(microsecond=int(part * 1e6))
    except (ImageError, KeyError, ValueError, TypeError, SyntaxError, OSError):
        return None


def _stretched(counts: NDArray[np.generic]) -> NDArray[np.float32]:
    """Map raw counts onto 0 to 255; what is not finite becomes the smallest."""
    values = np.asarray(counts, np.float32)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, STRETCHED) if finite.size else (0.0, 1.0)
    levels = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / max(
        float(high - low), 1e-12
    )
    return np.asarray(np.clip(levels, 0.0, 1.0) * 255.0, np.float32)
