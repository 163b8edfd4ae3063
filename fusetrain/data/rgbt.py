"""Files that hold both modalities: R, G, B and infrared as four channels or as pages of a TIFF.

What is read: PNG, TIFF and WebP that Pillow opens with four 8-bit channels (RGBA, and in TIFF also
CMYK and a fourth channel without a meaning; the numbers are taken as they are); TIFF whose first
page has three channels and whose second has one; TIFF whose first four pages have one channel each
(R, G, B, infrared). Pages may have 16 bits a sample; four channels of 16 bits in one page are
refused, because Pillow keeps only their upper halves. Later pages are not looked at. JPEG has no
fourth channel.
"""

from __future__ import annotations

import io
import os

from PIL import Image, ImageFile

from fusetrain.data.decode import (
    MAX_FILE_BYTES,
    ImageError,
    check_size,
    decoding,
    file_format,
    identified,
    opened,
    orientation_of,
    upright,
    without_border,
)
from fusetrain.data.files import read_bytes

FOUR_CHANNELS = ("RGBA", "CMYK")
THREE_CHANNELS = ("RGB",)
ONE_CHANNEL = ("L", "I;16", "I;16L", "I;16B", "I;16N", "I", "F")
WANTED = "four channels, or pages R, G, B, infrared, or pages RGB, infrared"
# Alpha that only cuts a shape out takes few values besides 0 and 255 (soft edges).
MASK_SHARE = 0.05


def decode_rgbt(
    path: str | os.PathLike[str], *, border_px: int = 0
) -> tuple[Image.Image, Image.Image]:
    """Return the visible image (three channels) and the infrared one (one channel) of a file.

    The visible image is RGB; of 16-bit pages only the upper halves are kept in it, as everywhere.
    The infrared image keeps the depth of its page.

    Raises:
        ImageError: The file is unreadable, truncated, too large, or holds no such channels.
    """
    with decoding(path):
        data = io.BytesIO(read_bytes(path, max_bytes=MAX_FILE_BYTES))
        image = identified(path, data)
        orientation = orientation_of(image)
        if _has_four_channels(image):
            parts = _four_channels(path, image, orientation)
        else:
            parts = _pages(path, image)
        rgb, ir = (without_border(path, part, border_px) for part in parts)
        return rgb, ir


def infrared_mode(path: str | os.PathLike[str]) -> str | None:
    """Return the Pillow mode of the infrared channel or page from the headers, None without one.

    Raises:
        ImageError: The file is unreadable or larger than MAX_PIXELS.
    """
    with opened(path) as image:
        if _has_four_channels(image):
            return "L"
        number = infrared_page(image)
        if number is None:
            return None
        image.seek(number)
        return image.mode


def infrared_page(image: ImageFile.ImageFile) -> int | None:
    """Return which page of a file holds infrared: 1 or 3; None where its pages do not fit."""
    if image.format != "TIFF":
        return None
    modes = [image.mode]
    try:
        while len(modes) < 4:
            image.seek(len(modes))
            modes.append(image.mode)
    except EOFError:
        pass
    image.seek(0)
    if len(modes) >= 2 and modes[0] in THREE_CHANNELS and modes[1] in ONE_CHANNEL:
        return 1
    return 3 if len(modes) == 4 and all(mode in ONE_CHANNEL for mode in modes) else None


def holds_infrared(path: str | os.PathLike[str]) -> bool:
    """Return whether the fourth channel or a page of a file looks like a picture, not a mask.

    Raises:
        ImageError: The file is unreadable, truncated or too large.
    """
    mode = infrared_mode(path)
    if mode != "L":
        return mode is not None
    _, infrared = decode_rgbt(path)
    histogram = infrared.histogram()
    between = sum(histogram[1:255])
    return between > MASK_SHARE * sum(histogram) and max(histogram) < 0.9 * sum(histogram)


def _four_channels(
    path: str | os.PathLike[str], image: ImageFile.ImageFile, orientation: int
) -> tuple[Image.Image, Image.Image]:
    raw_modes = {_raw_mode(tile) for tile in image.tile}
    if any("16" in mode for mode in raw_modes):
        text = "four channels of 16 bits: store infrared as a page, or a file, of its own"
        raise ImageError(path, text, fault="unreadable")
    # Alpha "associated" with the colours would be divided out of them, and a fourth channel of no
    # stated kind would be dropped; both are infrared here.
    if _is_unstated(image):
        image._mode = "RGBA"
    image.tile = [_as_plain(tile) for tile in image.tile]
    image.load()
    red, green, blue, infrared = upright(image, orientation).split()
    return Image.merge("RGB", (red, green, blue)), infrared


def _has_four_channels(image: ImageFile.ImageFile) -> bool:
    if image.mode in FOUR_CHANNELS:
        return file_format(image) != "JPEG"
    return _is_unstated(image)


def _is_unstated(image: ImageFile.ImageFile) -> bool:
    """Return whether a TIFF has a fourth channel that it does not call alpha."""
    is_plain = image.format == "TIFF" and image.mode == "RGB"
    return is_plain and {_raw_mode(tile) for tile in image.tile} == {"RGBX"}


def _raw_mode(tile: ImageFile._Tile) -> str:
    return str(tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args)


def _as_plain(tile: ImageFile._Tile) -> ImageFile._Tile:
    if _raw_mode(tile) not in ("RGBa", "RGBX") or not isinstance(tile.args, tuple):
        return tile
    return tile._replace(args=("RGBA", *tile.args[1:]))


def _pages(
    path: str | os.PathLike[str], image: ImageFile.ImageFile
) -> tuple[Image.Image, Image.Image]:
    number = infrared_page(image)
    if number is None:
        text = f"holds no infrared: expected {WANTED}, found mode {image.mode}"
        raise ImageError(path, text, fault="unreadable")
    pages = []
    for page in range(number + 1) if number == 3 else (0, 1):
        image.seek(page)
        check_size(path, image)
        image.load()
        pages.append(image.copy())
    if number == 1:
        return pages[0].convert("RGB"), pages[1]
    if len({page.size for page in pages[:3]}) > 1:
        raise ImageError(path, "pages 1 to 3 differ in size", fault="unreadable")
    return Image.merge("RGB", [_to_8_bit(page) for page in pages[:3]]), pages[3]


def _to_8_bit(page: Image.Image) -> Image.Image:
    """Return a page with 8 bits a sample: integers of 16 bits are scaled, floats are in [0, 1]."""
    if page.mode == "L":
        return page
    if page.mode == "F":
        return page.point(lambda value: value * 255.0).convert("L")
    return page.convert("I").point(lambda value: value * (255.0 / 65535.0)).convert("L")
