"""Open and decode image files with Pillow: formats, size limits, EXIF rotation, what can go wrong.

The result is a Pillow image in the mode of the file; what its pixels mean is the business of
`image.py`. Files are read in full before they are decoded and are never written.
"""

from __future__ import annotations

import errno
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal, TypeVar

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from fusetrain.data.files import RETRIED_ERRNOS, open_regular, read_bytes
from fusetrain.errors import DataError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
MAX_PIXELS = 50_000_000
MAX_FILE_BYTES = 2**30
DRAFTS = (8, 4, 2)  # how many times smaller a JPEG can be decoded
EXIF_ORIENTATION = 0x0112
FIRST_PAUSE_S = 0.05
# How Pillow calls the samples of a file that it cuts to 8 bits; BGR;16 is a BMP of 5 and 6 bits.
DEEP_CHANNELS = re.compile(r"(LA|RGB[AXa]?);16")
CUT_WORDS = ("truncated", "unexpected end", "not enough")

Fault = Literal["unreadable", "truncated", "too large"]
T = TypeVar("T")


class ImageError(DataError):
    """An image file that cannot be decoded, or that is refused before decoding.

    Attributes:
        fault: Which of the three it is.
        may_pass: The file system failed, not the file: the next try may succeed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        what: str,
        *,
        fault: Fault,
        may_pass: bool = False,
    ) -> None:
        super().__init__(
            what,
            where=os.fspath(path),
            expected=f"a complete image as {', '.join(FORMATS)}",
            remedy="`fusetrain check-data DATA` lists all such files",
        )
        self.path = os.fspath(path)
        self.fault = fault
        self.may_pass = may_pass

    def __reduce__(self) -> tuple[object, tuple[str, str, Fault, bool]]:
        return _restored, (self.path, self.what, self.fault, self.may_pass)


def _restored(path: str, what: str, fault: Fault, may_pass: bool) -> ImageError:
    return ImageError(path, what, fault=fault, may_pass=may_pass)


def patiently(read: Callable[[], T], *, retries: int) -> T:
    """Return what ``read`` returns; where the file system failed in a way that may pass, try again.

    Args:
        read: Reads images.
        retries: How often at most; the pauses before grow fourfold from FIRST_PAUSE_S.

    Raises:
        ImageError: It is not the file system, or does not pass.
    """
    for number in range(retries):
        try:
            return read()
        except ImageError as error:
            if not error.may_pass:
                raise
        time.sleep(FIRST_PAUSE_S * 4**number)
    return read()


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[ImageFile.ImageFile]:
    """Open an image without decoding it, for what its header says.

    Raises:
        ImageError: The file is unreadable or larger than MAX_PIXELS.
    """
    with decoding(path), open_regular(path, max_bytes=MAX_FILE_BYTES) as file:
        yield identified(path, file)


def decode(
    path: str | os.PathLike[str], *, target_size: int | None = None, border_px: int = 0
) -> Image.Image:
    """Return the image decoded in full and rotated as its EXIF orientation says.

    Args:
        path: Image file.
        target_size: Long side in px that the caller will resize to. A JPEG at least twice as large
            is reduced while it is decoded, never below this size, unless it has a border.
        border_px: Width of the frame that is cut off all four sides.

    Raises:
        ImageError: The file is unreadable, truncated, larger than MAX_PIXELS or all border.
    """
    with decoding(path):
        image = identified(path, io.BytesIO(read_bytes(path, max_bytes=MAX_FILE_BYTES)))
        orientation = orientation_of(image)
        if target_size is not None and not border_px and file_format(image) == "JPEG":
            _draft(image, target_size)
        image.load()
        return without_border(path, upright(image, orientation), border_px)


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return a decoded image rotated as its EXIF orientation says."""
    return ImageOps.exif_transpose(image) if orientation > 1 else image


def without_border(path: str | os.PathLike[str], image: Image.Image, border_px: int) -> Image.Image:
    """Return the image without a frame of ``border_px``.

    Raises:
        ImageError: Nothing is left.
    """
    if not border_px:
        return image
    width, height = size_without_border(path, image.size, border_px)
    return image.crop((border_px, border_px, border_px + width, border_px + height))


def size_without_border(
    path: str | os.PathLike[str], size: tuple[int, int], border_px: int
) -> tuple[int, int]:
    """Return what a frame of ``border_px`` leaves of two sides in px.

    Raises:
        ImageError: Nothing.
    """
    first, second = (side - 2 * border_px for side in size)
    if min(first, second) < 1:
        text = f"a border of {border_px} px leaves nothing of {size[0]} x {size[1]} px"
        raise ImageError(path, text, fault="unreadable")
    return first, second


def file_format(image: ImageFile.ImageFile) -> str:
    """Return which of FORMATS a file is, whatever its suffix."""
    # A JPEG with several pictures in it, as some cameras write it, is read as its first.
    return "JPEG" if image.format == "MPO" else image.format or ""


def orientation_of(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation that is left to apply, 1 to 8."""
    if image.format == "TIFF":  # Pillow has rotated it
        return 1
    if image.format == "PNG" and "exif" not in image.info:  # else getexif() would decode it
        return 1
    value = image.getexif().get(EXIF_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def cut_bits(image: ImageFile.ImageFile) -> int:
    """Return how many bits a sample has in a file of which only the upper 8 are read, or 0.

    Several channels of 16 bits come as 8; a single channel keeps its 16.

    Args:
        image: Opened, not yet decoded.
    """
    for tile in image.tile:
        raw_mode = tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3]
        if isinstance(raw_mode, str) and DEEP_CHANNELS.match(raw_mode):
            return 16
    return 0


@contextmanager
def decoding(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn whatever a decoder raises into an `ImageError`; no memory is no fault of the image."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders of mutated files raise nearly every type
        raise _as_image_error(path, error) from error


def _draft(image: ImageFile.ImageFile, target_size: int) -> None:
    """Let the JPEG decoder skip resolution that the caller would throw away.

    Only where a share of both sides is whole: the decoder rounds up, and boxes would no longer fit.
    """
    width, height = image.size
    for times in DRAFTS:
        if max(width, height) >= times * target_size and not (width % times or height % times):
            image.draft(image.mode, (width // times, height // times))
            return


def identified(path: str | os.PathLike[str], file: BinaryIO) -> ImageFile.ImageFile:
    """Open without decoding, after the size in the header was checked."""
    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(path, f"refused: {error}", fault="too large") from error
    check_size(path, image)
    return image


def check_size(path: str | os.PathLike[str], image: Image.Image) -> None:
    """Refuse an image, or a page of one, before its pixels take memory.

    Raises:
        ImageError: It is larger than MAX_PIXELS.
    """
    if image.width * image.height > MAX_PIXELS:
        text = f"{image.width} x {image.height} px exceed {MAX_PIXELS // 10**6} megapixels"
        raise ImageError(path, text, fault="too large")


def _as_image_error(path: str | os.PathLike[str], error: Exception) -> ImageError:
    if isinstance(error, UnidentifiedImageError):
        return ImageError(path, "not an image of a known format", fault="unreadable")
    if isinstance(error, OSError) and error.errno is not None:
        fault: Fault = "too large" if error.errno == errno.EFBIG else "unreadable"
        return ImageError(
            path,
            f"cannot be read: {error.strerror}",
            fault=fault,
            may_pass=error.errno in RETRIED_ERRNOS,
        )
    text = str(error) or type(error).__name__
    cut = isinstance(error, EOFError) or any(word in text.lower() for word in CUT_WORDS)
    return ImageError(
        path, f"cannot be decoded: {text}", fault="truncated" if cut else "unreadable"
    )
