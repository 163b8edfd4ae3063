"""Films as frames, one after the other: GIF, WebP, PNG and TIFF by Pillow, others by ffmpeg.

Frames are decoded when they are asked for and let go of at once, so that a film of any length takes
the memory of one frame. What the pixels mean is decided in `image.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from fusetrain.data import ffmpeg
from fusetrain.data.decode import check_size, decoding
from fusetrain.data.files import open_regular
from fusetrain.data.image import ThermalWindow, infrared_levels, visible_levels

ALWAYS_FILMS = (".gif",)
PERHAPS_FILMS = (".webp", ".tif", ".tiff", ".png", ".apng")
FORMATS = ("GIF", "WEBP", "TIFF", "PNG")
MAX_BYTES = 2**40
DEFAULT_MS = 40.0


@dataclass(frozen=True)
class Film:
    """A film that was looked into.

    Attributes:
        path: The file.
        num_frames: Its frames.
        fps: Frames a second, as far as the file tells.
        by_ffmpeg: Whether ffmpeg decodes it.
    """

    path: Path
    num_frames: int
    fps: float
    by_ffmpeg: bool

    def visible(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8.

        Raises:
            DataError: A frame cannot be decoded.
        """
        if self.by_ffmpeg:
            yield from map(visible_levels, ffmpeg.read_frames(self.path, is_colour=True))
        else:
            yield from map(visible_levels, _pillow_frames(self.path))

    def infrared(self, window: ThermalWindow) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W) uint8, raw counts through the window.

        Raises:
            DataError: A frame cannot be decoded.
        """
        if self.by_ffmpeg:
            frames = ffmpeg.read_frames(self.path, is_colour=False)
            yield from (infrared_levels(frame, window) for frame in frames)
        else:
            yield from (infrared_levels(frame, window) for frame in _pillow_frames(self.path))


def may_be_film(path: Path) -> bool:
    """Return whether the suffix allows several frames; nothing is opened."""
    return path.suffix.lower() in (*ALWAYS_FILMS, *PERHAPS_FILMS, *ffmpeg.SUFFIXES)


def is_surely_film(path: Path) -> bool:
    """Return whether the suffix is that of a film and of nothing else; nothing is opened."""
    return path.suffix.lower() in (*ALWAYS_FILMS, *ffmpeg.SUFFIXES)


def open_film(path: Path) -> Film:
    """Return what a film is; frames are counted, none is decoded.

    Raises:
        DataError: It cannot be read.
        ResourceError: It needs ffmpeg, which is not installed.
    """
    if path.suffix.lower() in ffmpeg.SUFFIXES:
        count = ffmpeg.count_frames(path)
        return Film(path, count, ffmpeg.frames_per_second(path), by_ffmpeg=True)
    with decoding(path), open_regular(path, max_bytes=MAX_BYTES) as file:
        image = _opened(path, file)
        duration = image.info.get("duration") or DEFAULT_MS
        return Film(path, getattr(image, "n_frames", 1), 1000.0 / duration, by_ffmpeg=False)


def _pillow_frames(path: Path) -> Iterator[Image.Image]:
    with decoding(path), open_regular(path, max_bytes=MAX_BYTES) as file:
        image = _opened(path, file)
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            check_size(path, image)
            image.load()
            yield image.copy()


def _opened(path: Path, file: BinaryIO) -> ImageFile.ImageFile:
    image = Image.open(file, formats=FORMATS)
    check_size(path, image)
    return image
