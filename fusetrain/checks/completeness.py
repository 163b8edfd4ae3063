"""Whether a file that a decoder accepts holds its whole picture.

Decoders fill in what a cut file lacks and say nothing. What they refuse is the business of
`views.py`; nothing here opens a file.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

# What libjpeg paints where no data are left: a block without a single coefficient.
MISSING_LEVEL = 128
PNG_END = b"IEND\xaeB`\x82"
END_OF_IMAGE = b"\xff\xd9"
NUM_NOISE_BYTES = 4096
GREY_OR_COLOUR = ("L", "RGB")


def lacks_end(data: bytes, image: Image.Image, *, file_format: str) -> str:
    """Return what shows that the end of a decoded file is missing; empty where it is whole.

    Args:
        data: The file.
        image: What it was decoded to, maybe reduced while it was decoded, not rotated or cropped.
        file_format: Its format.
    """
    if file_format == "PNG" and PNG_END not in data[-1024:] and PNG_END not in data:
        return "the closing chunk is missing"
    if file_format == "JPEG" and ends_early(data, image):
        return "the picture data end before the last row"
    return ""


def ends_early(data: bytes, image: Image.Image) -> bool:
    """Say whether a JPEG with a proper end marker lacks part of its picture.

    Blocks for which there are no data are painted in one grey. So where the last pixel has it (or
    any, in a progressive file, whose last scans only sharpen), noise is put before the end marker:
    a complete picture ignores it, an incomplete one shows it.

    Args:
        data: The file.
        image: The file decoded, maybe reduced while it was decoded.
    """
    end = data.rfind(END_OF_IMAGE)
    if end < 0 or not (image.info.get("progressive") or _ends_in_grey(image)):
        return False
    noise = np.random.Generator(np.random.PCG64(0)).integers(1, 255, NUM_NOISE_BYTES, np.uint8)
    try:
        return _pixels(data) != _pixels(data[:end] + noise.tobytes() + data[end:])
    except OSError:
        return True


def _pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return image.tobytes()


def _ends_in_grey(image: Image.Image) -> bool:
    if image.mode not in GREY_OR_COLOUR:
        return True
    last = image.getpixel((image.width - 1, image.height - 1))
    return last == MISSING_LEVEL or last == (MISSING_LEVEL,) * 3
