"""Read and decode an image for measuring: one read and one decode, of all that is in the file.

A large JPEG is reduced while it is decoded: every bit of the file is still unpacked, so nothing
that is broken slips through, but less has to be computed. What is measured is told by
`measures.py`.
"""

from __future__ import annotations

import io
import os
import zlib
from typing import NamedTuple

from PIL import Image

from fusetrain.checks.completeness import lacks_end
from fusetrain.data.decode import (
    MAX_FILE_BYTES,
    ImageError,
    cut_bits,
    decoding,
    file_format,
    identified,
    orientation_of,
    upright,
    without_border,
)
from fusetrain.data.files import read_bytes
from fusetrain.data.image import BITS
from fusetrain.data.rgbt import decode_rgbt
from fusetrain.data.storage import Storage

# Short side in px that is kept in any case.
MIN_SHORT_SIDE = 24


class View(NamedTuple):
    """A decoded image.

    Attributes:
        image: Upright and without border; a JPEG maybe smaller than ``size_hw``.
        size_hw: Height and width in px after EXIF rotation, without border.
        bits: Bits a sample.
        format: Format of the file, whatever its suffix.
        checksum: CRC-32 of the file, as a signed number.
        cut_bits: Bits a sample in the file, where only the upper 8 are read; else 0.
    """

    image: Image.Image
    size_hw: tuple[int, int]
    bits: int
    format: str
    checksum: int
    cut_bits: int = 0


def open_view(path: str | os.PathLike[str], *, min_side: int, storage: Storage) -> View:
    """Read and decode an image that holds one modality.

    Args:
        path: The file.
        min_side: A JPEG may be reduced while it is decoded, its long side never below this, in px.
        storage: How the pictures of the data set lie in their files.

    Raises:
        ImageError: The file is unreadable, incomplete or larger than MAX_PIXELS.
    """
    with decoding(path):
        data = read_bytes(path, max_bytes=MAX_FILE_BYTES)
        opened = identified(path, io.BytesIO(data))
        orientation = orientation_of(opened)
        kind, cut = file_format(opened), cut_bits(opened)
        width, height = opened.size
        if kind == "JPEG" and not storage.border_px:
            _reduce_while_decoding(opened, min_side)
        opened.load()
        fault = lacks_end(data, opened, file_format=kind)
        if fault:
            raise ImageError(path, fault, fault="truncated")
        image = without_border(path, upright(opened, orientation), storage.border_px)
        width, height = width - 2 * storage.border_px, height - 2 * storage.border_px
        return View(
            image,
            (width, height) if orientation >= 5 else (height, width),
            BITS.get(opened.mode, 8),
            kind,
            _checksum(data),
            cut,
        )


def open_both(path: str | os.PathLike[str], *, storage: Storage) -> tuple[View, View]:
    """Read and decode a file that holds both modalities: the visible and the infrared view.

    Raises:
        ImageError: The file is unreadable, holds no infrared, or is larger than MAX_PIXELS.
    """
    with decoding(path):
        data = read_bytes(path, max_bytes=MAX_FILE_BYTES)
        kind = file_format(identified(path, io.BytesIO(data)))
        checksum = _checksum(data)
        rgb, ir = (
            View(part, (part.height, part.width), BITS.get(part.mode, 8), kind, checksum)
            for part in decode_rgbt(path, border_px=storage.border_px)
        )
        return rgb, ir


def _reduce_while_decoding(image: Image.Image, min_side: int) -> None:
    """Let the JPEG decoder leave out resolution that is not looked at: by 2, 4 or 8."""
    scale = min(8, max(image.size) // min_side, min(image.size) // MIN_SHORT_SIDE)
    if scale >= 2:
        image.draft(image.mode, (image.width // scale, image.height // scale))


def _checksum(data: bytes) -> int:
    return zlib.crc32(data) - 2**31
