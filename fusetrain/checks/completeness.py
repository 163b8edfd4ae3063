"""Whether a file that a decoder accepts holds its whole picture.

Decoders fill in what a cut file lacks and say nothing. What they refuse is the business of
`views.py`; nothing here opens a file.
"""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image

# What libjpeg paints where no data are left: a block without a single coefficient.
MISSING_LEVEL = 128
PNG_END = b"IEND\xaeB`\x82"
END_OF_IMAGE = b"\xff\xd9"
NUM_NOISE_BYTES = 4096
START_OF_IMAGE = b"\xff\xd8"
# A marker of JPEG but for stuffed bytes and restarts, which stand inside of a scan.
NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
FRAME_KIND, SCAN_KIND, END_KIND = 0xC2, 0xDA, 0xD9
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
    is_progressive = "progressive" in image.info
    if end < 0 or not (is_progressive or _ends_in_grey(image)):
        return False
    if is_progressive and lacks_scans(data):
        return True
    noise = np.random.Generator(np.random.PCG64(0)).integers(1, 255, NUM_NOISE_BYTES, np.uint8)
    try:
        return _pixels(data) != _pixels(data[:end] + noise.tobytes() + data[end:])
    except OSError:
        return True


def lacks_scans(data: bytes) -> bool:
    """Say whether the scans of a progressive JPEG leave coefficients without their last bits.

    A file that was cut between two scans decodes without a fault, only coarser. Every encoder in
    use sends all bits of all coefficients in the end (ITU-T T.81, G.1.1.1.1: successive
    approximation ends with Al = 0).

    Args:
        data: A file that the decoder accepts.
    """
    open_bits: set[tuple[int, int]] = set()
    position = len(START_OF_IMAGE)
    while (marker := NEXT_MARKER.search(data, position)) is not None:
        kind, start = marker.group()[1], marker.end()
        if kind == END_KIND:
            break
        segment = data[start + 2 : start + int.from_bytes(data[start : start + 2])]
        if kind == FRAME_KIND and len(segment) > 5:
            components = segment[6 : 6 + 3 * segment[5] : 3]
            open_bits = {(component, k) for component in components for k in range(64)}
        elif kind == SCAN_KIND and len(segment) == 2 * segment[0] + 4:
            first, last, bits = segment[-3:]
            if not bits & 15:
                sent = segment[1:-3:2]
                open_bits -= {(one, k) for one in sent for k in range(first, last + 1)}
        position = start + len(segment) + 2
    return bool(open_bits)


def _pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return image.tobytes()


def _ends_in_grey(image: Image.Image) -> bool:
    if image.mode not in GREY_OR_COLOUR:
        return True
    last = image.getpixel((image.width - 1, image.height - 1))
    return last == MISSING_LEVEL or last == (MISSING_LEVEL,) * 3
