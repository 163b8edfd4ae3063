"""Decode a pair and measure it, in a child process, so that a crash of a decoder is contained.

What is measured here travels back as `PairFacts`; the checks of pixels in `pairs.py` decide on it.
Checks of single images (I01 to I05) decide on the spot.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.findings import Finding, finding
from fusetrain.data.decode import MAX_FILE_BYTES, ImageError
from fusetrain.data.files import read_bytes
from fusetrain.data.image import SUFFIX_FORMATS, read_counts, read_header, read_rgb

MIN_SIDE_PX = 32
FAULT_CODES = {"unreadable": "I01", "truncated": "I02", "too large": "I03"}
NUM_SAMPLES = 5_000
THUMBNAIL = (64, 64)


@dataclass(frozen=True)
class ImageFacts:
    """What one image measures.

    Attributes:
        size_hw: Height and width in px after EXIF rotation.
        bits: Bits a sample.
        sha256: Digest of the file.
        chroma: Mean of |R - G| + |G - B| in levels; 0 for grey.
        num_colours: 5-bit colours that 95 % of the pixels have; 1 for a constant image.
        spread: From the 0.5 to the 99.5 percentile of the counts.
    """

    size_hw: tuple[int, int]
    bits: int
    sha256: bytes
    chroma: float
    num_colours: int
    spread: float


@dataclass(frozen=True)
class PairFacts:
    """What one pair measures; an image that cannot be used is None.

    Attributes:
        split: Split of the pair.
        row: Row in its index.
        rgb_path: Visible image, relative to the root.
        ir_path: Infrared image, relative to the root.
        rgb: Facts of the visible image.
        ir: Facts of the infrared image.
        luma_difference: Mean difference of the two in grey, in levels; None where one is blank.
        findings: What single images have wrong (I01 to I05).
    """

    split: str
    row: int
    rgb_path: str
    ir_path: str
    rgb: ImageFacts | None = None
    ir: ImageFacts | None = None
    luma_difference: float | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class PairTask:
    """One pair to measure; picklable."""

    root: str
    split: str
    row: int
    rgb_path: str
    ir_path: str


def measure_pair(task: PairTask) -> PairFacts:
    """Decode both images of a pair in full and measure them."""
    rgb, rgb_thumbnail, rgb_found = _measure_image(task, task.rgb_path)
    ir, ir_thumbnail, ir_found = _measure_image(task, task.ir_path)
    difference = None
    if rgb_thumbnail is not None and ir_thumbnail is not None:
        difference = _difference(rgb_thumbnail, ir_thumbnail)
    return PairFacts(
        task.split,
        task.row,
        task.rgb_path,
        task.ir_path,
        rgb,
        ir,
        luma_difference=difference,
        findings=(*rgb_found, *ir_found),
    )


def crashed_pair(task: PairTask) -> PairFacts:
    """Return the facts of a pair whose decoding ended the process."""
    message = f"decoding this file or {task.ir_path} crashed the decoder"
    found = finding("I01", message, split=task.split, path=task.rgb_path)
    return PairFacts(task.split, task.row, task.rgb_path, task.ir_path, findings=(found,))


def _measure_image(
    task: PairTask, relative: str
) -> tuple[ImageFacts | None, NDArray[np.float32] | None, list[Finding]]:
    """Return the facts, a grey thumbnail, and what is wrong; the first two None if unusable."""
    path = os.path.join(task.root, relative)
    try:
        header = read_header(path)
        pixels: NDArray[np.generic] = read_counts(path) if header.bits > 8 else read_rgb(path)
        data = read_bytes(path, max_bytes=MAX_FILE_BYTES)
    except ImageError as error:
        code = FAULT_CODES[error.fault]
        return None, None, [finding(code, error.what, split=task.split, path=relative)]
    found = _check_header(task, relative, file_format=header.format, size_hw=header.size_hw)
    if header.format == "JPEG" and ends_early(data, pixels):
        message = "the picture data end before the last row"
        found.append(finding("I02", message, split=task.split, path=relative))
        return None, None, found
    facts = ImageFacts(
        size_hw=header.size_hw,
        bits=header.bits,
        sha256=hashlib.sha256(data).digest(),
        chroma=_chroma(pixels),
        num_colours=_num_colours(pixels),
        spread=_spread(pixels),
    )
    return facts, _thumbnail(pixels), found


def _check_header(
    task: PairTask, relative: str, *, file_format: str, size_hw: tuple[int, int]
) -> list[Finding]:
    """I04, I05: the suffix tells the format, and the image is large enough."""
    found = []
    suffix = PurePosixPath(relative).suffix
    if SUFFIX_FORMATS.get(suffix.lower()) != file_format:
        message = f"the suffix is {suffix}, the file is {file_format}"
        found.append(finding("I04", message, split=task.split, path=relative))
    if min(size_hw) < MIN_SIDE_PX:
        message = f"{size_hw[1]} x {size_hw[0]} px"
        numbers = {"height": size_hw[0], "width": size_hw[1]}
        found.append(finding("I05", message, split=task.split, path=relative, numbers=numbers))
    return found


def ends_early(data: bytes, pixels: NDArray[np.generic]) -> bool:
    """Say whether a JPEG with a proper end marker lacks part of its picture.

    A decoder fills what is missing with the last colour and reports nothing. So where the last
    block is flat, noise is put before the end marker: a complete picture ignores it, an incomplete
    one shows it.

    Args:
        data: The file.
        pixels: (H, W, 3) uint8, the file decoded.
    """
    end = data.rfind(b"\xff\xd9")
    progressive = b"\xff\xc2" in data[: data.find(b"\xff\xda")]
    corner = pixels[-8:, -8:]
    flat = bool((corner == corner[-1:, -1:]).all())
    if end < 0 or not (flat or progressive):
        return False
    noise = np.random.Generator(np.random.PCG64(0)).integers(1, 255, 4096, np.uint8).tobytes()
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as plain:
            before = plain.tobytes()
        with Image.open(io.BytesIO(data[:end] + noise + data[end:]), formats=("JPEG",)) as padded:
            return padded.tobytes() != before
    except OSError:
        return True


def _sampled(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return about NUM_SAMPLES pixels of an even grid, as (N,) or (N, 3)."""
    step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // NUM_SAMPLES))
    return pixels[::step, ::step].reshape(-1, *pixels.shape[2:])


def _chroma(pixels: NDArray[np.generic]) -> float:
    if pixels.ndim == 2:
        return 0.0
    colours = _sampled(pixels).astype(np.int16)
    return float(np.abs(np.diff(colours, axis=1)).sum(axis=1).mean())


def _num_colours(pixels: NDArray[np.generic]) -> int:
    """Return how many 5-bit colours 95 % of the pixels have, the most frequent first."""
    if pixels.ndim == 2:
        return 1
    red, green, blue = (_sampled(pixels).astype(np.int64) >> 3).T
    counts = np.sort(np.bincount(red << 10 | green << 5 | blue))[::-1]
    return int(np.searchsorted(np.cumsum(counts), 0.95 * counts.sum())) + 1


def _spread(pixels: NDArray[np.generic]) -> float:
    counts = _sampled(pixels).astype(np.float64)
    finite = counts[np.isfinite(counts)]
    low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 0.0)
    return float(high - low)


def _thumbnail(pixels: NDArray[np.generic]) -> NDArray[np.float32] | None:
    """Return a (64, 64) grey thumbnail in levels; None for deep or blank images."""
    if pixels.ndim == 2:
        return None
    grey = Image.fromarray(np.asarray(pixels, np.uint8)).convert("L")
    small = np.asarray(grey.resize(THUMBNAIL, Image.Resampling.BOX, reducing_gap=2.0), np.float32)
    return small if small.std() > 2.0 else None


def _difference(rgb: NDArray[np.float32], ir: NDArray[np.float32]) -> float:
    return float(np.abs(rgb - ir).mean())
