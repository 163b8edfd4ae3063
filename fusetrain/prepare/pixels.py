"""How images are changed on their way into a new set: a frame cut off, channels apart, a warp.

Counts of radiometric infrared keep their type and depth. What need not change is copied byte for
byte and never comes here.
Coordinates are continuous: pixel i spans [i, i + 1).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.data.image import BITS, read_counts, read_header, read_rgb
from fusetrain.data.rgbt import infrared_mode
from fusetrain.data.storage import AS_FILES, Storage

# A JPEG that has to be changed loses least so; everything else is written without loss.
JPEG_QUALITY = 95
JPEG_SUFFIXES = (".jpg", ".jpeg")
# Types that PNG cannot hold.
DEEP_TYPES = ("int32", "float32")

Matrix = tuple[float, ...]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Picture:
    """One modality as a file of its own, without its frame.

    Attributes:
        modality: Which one.
        storage: How the source keeps it.
    """

    modality: Literal["rgb", "ir"]
    storage: Storage

    @staticmethod
    def is_needed(storage: Storage) -> bool:
        """Return whether files of a set cannot be copied as they are."""
        return storage != AS_FILES

    def apply(self, path: str) -> bytes:
        """Return the new file.

        Raises:
            ImageError: The old one cannot be read.
        """
        if self.modality == "ir":
            return encode_counts(read_counts(path, storage=self.storage))
        return encode_rgb(read_rgb(path, storage=self.storage), rgb_suffix(path, self.storage))

    def __str__(self) -> str:
        parts = [f"frame of {self.storage.border_px} px cut off"] if self.storage.border_px else []
        if self.storage.channels == "rgbt":
            parts.append(f"{self.modality} taken out of a common file")
        return ", ".join(parts)


@dataclass(frozen=True)
class Crop:
    """A part of the visible image.

    Attributes:
        box_xyxy_px: The part.
        storage: How the source keeps it.
    """

    box_xyxy_px: Box
    storage: Storage = AS_FILES

    def apply(self, path: str) -> bytes:
        """Return the new file.

        Raises:
            ImageError: The old one cannot be read.
        """
        left, top, right, bottom = self.box_xyxy_px
        rgb = read_rgb(path, storage=self.storage)[top:bottom, left:right]
        return encode_rgb(rgb, rgb_suffix(path, self.storage))

    def __str__(self) -> str:
        return "crop to x {} to {}, y {} to {}".format(
            *(self.box_xyxy_px[place] for place in (0, 2, 1, 3))
        )


@dataclass(frozen=True)
class Warp:
    """The infrared image as the visible camera would see it.

    Pixels that it does not show get the median of what it shows, so that no false edge stands out.

    Attributes:
        matrix: Nine numbers row by row; takes homogeneous infrared px to px of the result.
        size_hw: Size of the result.
        storage: How the source keeps the image.
    """

    matrix: Matrix
    size_hw: tuple[int, int]
    storage: Storage = AS_FILES

    def apply(self, path: str) -> bytes:
        """Return the new file.

        Raises:
            ImageError: The old one cannot be read.
        """
        return encode_counts(warp(read_counts(path, storage=self.storage), self))

    def __str__(self) -> str:
        numbers = " ".join(f"{value:.7g}" for value in self.matrix)
        return f"warped by [{numbers}] to {self.size_hw[1]} x {self.size_hw[0]} px"


def warp(counts: NDArray[np.generic], how: Warp) -> NDArray[np.generic]:
    """Return (H, W) counts moved as a `Warp` says, bilinear, in their own type."""
    matrix = np.array(how.matrix, np.float64).reshape(3, 3)
    inverse = np.linalg.inv(matrix)
    inverse /= inverse[2, 2]
    height, width = how.size_hw
    finite = counts[np.isfinite(counts)] if counts.dtype.kind == "f" else counts
    # Pillow cannot move 16-bit images bilinearly; float32 holds their counts exactly.
    movable = counts if str(counts.dtype) in DEEP_TYPES else counts.astype(np.float32)
    image = Image.fromarray(movable)
    median = float(np.median(finite)) if finite.size else 0.0
    moved = image.transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        tuple(inverse.ravel()[:8].tolist()),
        Image.Resampling.BILINEAR,
        fillcolor=median if image.mode == "F" else round(median),
    )
    return _as_type(np.asarray(moved), counts.dtype)


def rgb_suffix(path: str | os.PathLike[str], storage: Storage) -> str:
    """Return the suffix with which a changed visible image is written: .jpg stays, else .png."""
    is_jpeg = os.path.splitext(path)[1].lower() in JPEG_SUFFIXES
    return ".jpg" if is_jpeg and storage.channels == "separate" else ".png"


def ir_suffix(path: str | os.PathLike[str], storage: Storage) -> str:
    """Return the suffix with which a changed infrared image is written, from its header.

    Raises:
        ImageError: It cannot be read.
    """
    if storage.channels == "rgbt":
        bits = BITS.get(infrared_mode(path) or "", 8)
    else:
        bits = read_header(path).bits
    return ".tiff" if bits > 16 else ".png"


def encode_rgb(rgb: NDArray[np.uint8], suffix: str) -> bytes:
    """Return (H, W, 3) as a JPEG of high quality or as a PNG."""
    image = Image.fromarray(np.ascontiguousarray(rgb))
    if suffix == ".jpg":
        return _saved(
            lambda file: image.save(
                file, format="JPEG", quality=JPEG_QUALITY, subsampling="4:4:4", optimize=True
            )
        )
    return _saved(lambda file: image.save(file, format="PNG"))


def encode_counts(counts: NDArray[np.generic]) -> bytes:
    """Return (H, W) without loss: PNG for 8 and 16 bits, TIFF for 32."""
    image = Image.fromarray(np.ascontiguousarray(counts))
    form = "TIFF" if str(counts.dtype) in DEEP_TYPES else "PNG"
    return _saved(lambda file: image.save(file, format=form))


def _saved(save: Callable[[io.BytesIO], None]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def _as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    """Return values in another type, rounded and clipped to it where it holds whole numbers."""
    if values.dtype == dtype:
        return values
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(values), limits.min, limits.max), dtype)
