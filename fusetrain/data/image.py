"""What pixels mean: visible images as three channels, infrared as one, radiometric counts windowed.

`decode.py` opens the files; nothing here resizes or augments.
Shape legend: H x W pixels after EXIF rotation.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.data.decode import (
    decode,
    file_format,
    opened,
    orientation_of,
    size_without_border,
)
from fusetrain.data.rgbt import decode_rgbt
from fusetrain.data.storage import AS_FILES, Storage

SUFFIX_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
BITS = {"I;16": 16, "I;16L": 16, "I;16B": 16, "I;16N": 16, "I": 32, "F": 32}


@dataclass(frozen=True)
class Header:
    """What an image file says about itself before it is decoded.

    Attributes:
        size_hw: Height and width in px, after EXIF rotation.
        bits: Bits a sample; 8, 16 or 32.
        channels: Samples a pixel as stored; 1 for a palette.
        format: One of FORMATS.
    """

    size_hw: tuple[int, int]
    bits: int
    channels: int
    format: str


@dataclass(frozen=True)
class ThermalWindow:
    """The linear map from raw infrared counts to 0..255; what lies outside is clipped.

    Attributes:
        policy: How the window came about: raw, percentile or range.
        low: Raw count that becomes 0; None is the smallest of the pixel type.
        high: Raw count that becomes 255; None is the largest of the pixel type (1.0 for floats).
        deep_only: 8-bit images are taken as they are.
    """

    policy: Literal["raw", "percentile", "range"] = "raw"
    low: float | None = None
    high: float | None = None
    deep_only: bool = True


RAW_WINDOW = ThermalWindow()


def read_header(path: str | os.PathLike[str], *, storage: Storage = AS_FILES) -> Header:
    """Read size and pixel type without decoding; of several pages those of the first.

    Raises:
        ImageError: The file is unreadable, larger than MAX_PIXELS, or all border.
    """
    with opened(path) as image:
        width, height = image.size
        if storage.border_px:
            width, height = size_without_border(path, image.size, storage.border_px)
        turned = orientation_of(image) >= 5
        return Header(
            size_hw=(width, height) if turned else (height, width),
            bits=BITS.get(image.mode, 8),
            channels=1 if image.mode == "P" else len(image.getbands()),
            format=file_format(image),
        )


def read_rgb(
    path: str | os.PathLike[str],
    *,
    target_size: int | None = None,
    storage: Storage = AS_FILES,
) -> NDArray[np.uint8]:
    """Read a visible image as (H, W, 3) uint8.

    Grey and palette images become three channels, alpha is dropped, CMYK is converted, 16-bit grey
    is scaled from its full range.

    Args:
        path: Image file.
        target_size: Long side in px that the caller will resize to. A JPEG at least twice as large
            is reduced while it is decoded (never below this size); H and W are then smaller.
        storage: How the pictures of the data set lie in their files.

    Raises:
        ImageError: The file is unreadable, truncated or larger than MAX_PIXELS.
    """
    if storage.channels == "rgbt":
        return np.asarray(decode_rgbt(path, border_px=storage.border_px)[0])
    return visible_levels(decode(path, target_size=target_size, border_px=storage.border_px))


def read_ir(
    path: str | os.PathLike[str],
    window: ThermalWindow = RAW_WINDOW,
    *,
    target_size: int | None = None,
    storage: Storage = AS_FILES,
) -> NDArray[np.uint8]:
    """Read an infrared image as (H, W) uint8.

    8-bit grey is taken as it is, three equal channels become one, pseudo-colour becomes its luma,
    and 16-bit or float counts pass through the window.

    Args:
        path: Image file.
        window: Map from raw counts to 0..255, from `thermal.py`.
        target_size: As in `read_rgb`.
        storage: How the pictures of the data set lie in their files.

    Raises:
        ImageError: The file is unreadable, truncated or larger than MAX_PIXELS.
    """
    if storage.channels == "rgbt":
        return _levels(decode_rgbt(path, border_px=storage.border_px)[1], window)
    image = decode(path, target_size=target_size, border_px=storage.border_px)
    return _levels(image, window)


def read_both(
    path: str | os.PathLike[str],
    window: ThermalWindow = RAW_WINDOW,
    *,
    storage: Storage,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read both modalities of one file, decoded once: (H, W, 3) and (h, w) uint8.

    Raises:
        ImageError: The file is unreadable, truncated, too large, or holds no infrared.
    """
    rgb, ir = decode_rgbt(path, border_px=storage.border_px)
    return np.asarray(rgb), _levels(ir, window)


def read_counts(
    path: str | os.PathLike[str], *, storage: Storage = AS_FILES
) -> NDArray[np.generic]:
    """Read an infrared image as (H, W) in its own type: uint8, uint16, int32 or float32.

    Raises:
        ImageError: The file is unreadable, truncated or larger than MAX_PIXELS.
    """
    if storage.channels == "rgbt":
        image = decode_rgbt(path, border_px=storage.border_px)[1]
    else:
        image = decode(path, border_px=storage.border_px)
    return np.asarray(image if image.mode in BITS else _grey(image))


def visible_levels(image: Image.Image | NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return a decoded visible image as (H, W, 3) uint8; see `read_rgb`.

    Args:
        image: A Pillow image, or (H, W) or (H, W, 3) of integers or of floats in [0, 1].
    """
    if isinstance(image, np.ndarray):
        levels = image if image.dtype == np.uint8 else _windowed(image, RAW_WINDOW)
        grey = np.asarray(levels, np.uint8)
        return grey if grey.ndim == 3 else np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in BITS:
        return visible_levels(np.asarray(image))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def infrared_levels(
    image: Image.Image | NDArray[np.generic], window: ThermalWindow
) -> NDArray[np.uint8]:
    """Return a decoded infrared image as (H, W) uint8; see `read_ir`.

    Args:
        image: A Pillow image, or (H, W) raw counts of any type; of uint8 also (H, W, 3).
        window: Map from raw counts to 0..255.
    """
    if isinstance(image, Image.Image):
        return _levels(image, window)
    if image.dtype == np.uint8:
        return _levels(Image.fromarray(np.ascontiguousarray(image)), window)
    return _windowed(image, window)


def _levels(image: Image.Image, window: ThermalWindow) -> NDArray[np.uint8]:
    """Return an infrared image as (H, W) uint8."""
    if image.mode in BITS:
        return _windowed(np.asarray(image), window)
    grey = np.asarray(_grey(image))
    return grey if window.deep_only else _windowed(grey, window)


def _grey(image: Image.Image) -> Image.Image:
    """Return one channel: the first of three equal ones, else the luma."""
    if image.mode == "L":
        return image
    if image.mode in ("1", "LA"):
        return image.convert("L")
    colour = image if image.mode == "RGB" else image.convert("RGB")
    red, green, blue = colour.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        return red
    return colour.convert("L")


def _windowed(counts: NDArray[np.generic], window: ThermalWindow) -> NDArray[np.uint8]:
    """Map counts linearly onto 0..255, rounded; NaN becomes 0."""
    if counts.dtype.kind == "f":
        smallest, largest = 0.0, 1.0
    else:
        smallest, largest = 0.0, 255.0 if counts.dtype.itemsize == 1 else 65535.0
    low = smallest if window.low is None else window.low
    high = largest if window.high is None else window.high
    gain = 255.0 / max(high - low, 1e-12)
    scaled = np.rint((np.clip(counts.astype(np.float32), low, high) - low) * gain)
    return np.asarray(np.nan_to_num(scaled, nan=0.0), np.uint8)
