"""Numbers about a decoded image, all from one small copy and a few rows and columns of pixels.

On arrays this small a call costs more than its arithmetic, so there are few calls. What the numbers
mean for the data set is decided elsewhere.
Shape legend: h x w pixels of the small copy.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.lines import LineNumbers, measure_lines, sharpness, spaced
from fusetrain.checks.similarity import difference_hash, frequency_hash
from fusetrain.data.image import BITS

MAX_SMALL_SIDE = 80
MIN_SMALL_SIDE = 24
GRID = 16
MEANS = 8
FREQUENCIES = 8
GRADIENTS = 9
NEAREST = Image.Resampling.NEAREST
# Of the small copy every so many-th row is asked for its colours.
COLOUR_STEP = 2
# Rows that sharpness and levels are told from, of a visible image and of those for the lines.
SHARPNESS_ROWS = 8
ROW_STEP = 4
# Shares of the pixels at which `Tones.levels` are read off.
SHARES = np.array([0.005, 0.05, 0.5, 0.95, 0.995])
# |R - G| + |G - B| above which a pixel counts as coloured, and the mean from which on colours are
# counted.
STRONG_COLOUR = 48
FAINT_CHROMA = 1.0
MAX_DEEP_SAMPLES = 20_000
DEEP_PERCENTILES = (0.5, 99.5)
MIN_POWER = 4.0


@dataclass(frozen=True)
class Tones:
    """What the histogram of luma says.

    Attributes:
        levels: Levels reached by SHARES of the pixels.
        clipped_low: Share of pixels at the smallest value.
        clipped_high: Share of pixels at the largest value.
        entropy: Bits, 0 to 8.
        spread: From the 0.5 to the 99.5 percentile, in counts.
    """

    levels: list[int]
    clipped_low: float
    clipped_high: float
    entropy: float
    spread: float


@dataclass(frozen=True)
class Measures:
    """What one image measures; `ImageFacts` says what the numbers mean.

    ``grid`` is (16, 16) luma in levels, and is not kept.
    """

    picture: bytes
    phash: bytes
    dhash: bytes
    means: bytes
    chroma: float
    num_colours: int
    coloured: float
    tones: Tones
    num_levels: int
    sharpness: float
    lines: LineNumbers
    is_deep: bool
    grid: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Deep:
    """Counts of more than 8 bits: as levels, and what levels do not tell."""

    image: Image.Image
    spread: float
    clipped: tuple[float, float]


def measure(image: Image.Image, size_hw: tuple[int, int], *, is_ir: bool) -> Measures:
    """Return the numbers of an image.

    Args:
        image: Decoded; maybe reduced.
        size_hw: Height and width in px before it was reduced.
        is_ir: It is infrared; lines and levels are looked at as well.
    """
    deep = _deep(np.asarray(image)) if image.mode in BITS else None
    if deep is not None:
        image = deep.image
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode in ("1", "LA") else "RGB")
    factor = min(-(-max(image.size) // MAX_SMALL_SIDE), max(1, min(image.size) // MIN_SMALL_SIDE))
    small = image.reduce(factor)
    data = small.tobytes()
    grey = data if small.mode == "L" else small.convert("L").tobytes()
    levels = np.frombuffer(grey, np.uint8)
    luma = levels.astype(np.float32).reshape(small.height, small.width)
    chroma, coloured = _chroma(data, small)
    factor *= round(max(size_hw) / max(image.size))
    rows = _projections(small.height, size_hw[0] / factor)
    columns = _projections(small.width, size_hw[1] / factor)
    strips = rows.grid @ luma
    grid = strips @ columns.grid.T
    means = POOL @ grid @ POOL.T
    if is_ir:
        num_levels, lines, sharp = _infrared_lines(image)
    else:
        num_levels, lines, sharp = 0, LineNumbers(), _visible_sharpness(image)
    return Measures(
        hashlib.sha256(data).digest()[:16],
        frequency_hash(COSINES @ grid @ COSINES.T),
        difference_hash(POOL @ strips @ columns.steps.T),
        (means + 0.5).astype(np.uint8).tobytes(),
        chroma,
        _num_colours(image, small) if is_ir and chroma > FAINT_CHROMA else 1,
        coloured,
        _tones(levels, deep),
        num_levels,
        sharp,
        lines,
        deep is not None,
        grid,
    )


def agreement(first: Measures, second: Measures) -> tuple[float | None, float | None]:
    """Return how two images differ in grey: mean difference in levels, and correlation.

    The difference is None where one has more than 8 bits; both are None where one is blank.
    """
    size = first.grid.size
    one = first.grid - first.grid.sum() / size
    other = second.grid - second.grid.sum() / size
    powers = float(np.vdot(one, one)) / size, float(np.vdot(other, other)) / size
    if min(powers) <= MIN_POWER:
        return None, None
    correlation = float(np.vdot(one, other)) / size / (powers[0] * powers[1]) ** 0.5
    if first.is_deep or second.is_deep:
        return None, correlation
    return float(np.abs(first.grid - second.grid).sum()) / size, correlation


def _chroma(data: bytes, small: Image.Image) -> tuple[float, float]:
    """Return mean chroma in levels and the share of strongly coloured pixels."""
    if small.mode == "L":
        return 0.0, 0.0
    rows = np.frombuffer(data, np.uint8).reshape(small.height, -1)[::COLOUR_STEP]
    colours = rows.astype(np.int16).reshape(-1, 3)
    steps = np.abs(colours[:, :2] - colours[:, 1:])
    chroma = steps[:, 0] + steps[:, 1]
    number = len(chroma)
    coloured = int(np.count_nonzero(chroma > STRONG_COLOUR))
    return int(chroma.sum()) / number, coloured / number


def _visible_sharpness(image: Image.Image) -> float:
    rows = image.resize((image.width, SHARPNESS_ROWS), NEAREST)
    green = np.frombuffer(rows.tobytes(), np.uint8)[
        1 if image.mode == "RGB" else 0 :: len(image.mode)
    ]
    return sharpness(green.astype(np.float32).reshape(SHARPNESS_ROWS, -1))


def _infrared_lines(image: Image.Image) -> tuple[int, LineNumbers, float]:
    """Return number of levels, line numbers and sharpness of an infrared image."""
    grey = image if image.mode == "L" else image.convert("L")
    levels = np.frombuffer(grey.tobytes(), np.uint8).reshape(image.height, image.width)
    rows = levels.take(spaced(image.height), axis=0)
    columns = levels.take(spaced(image.width), axis=1)
    some = rows[::ROW_STEP]
    rows_float = rows.astype(np.float32)
    num_levels = int(np.count_nonzero(np.bincount(some.ravel())))
    lines = measure_lines(rows_float, columns.astype(np.float32))
    return num_levels, lines, sharpness(rows_float[::ROW_STEP])


def _tones(levels: NDArray[np.uint8], deep: _Deep | None) -> Tones:
    counts = np.bincount(levels, minlength=256)
    reached = counts.cumsum()
    total = len(levels)
    at = reached.searchsorted(SHARES * total).tolist()
    entropy = math.log2(total) - float((counts * np.log2(np.maximum(counts, 1))).sum()) / total
    if deep is not None:
        return Tones(at, *deep.clipped, entropy, deep.spread)
    low, high = float(reached[1]) / total, 1.0 - float(reached[253]) / total
    return Tones(at, low, high, entropy, float(at[4] - at[0]))


def _num_colours(image: Image.Image, small: Image.Image) -> int:
    """Return how many 5-bit colours 95 % of the pixels have, the most frequent first."""
    sample = np.asarray(image.resize(small.size, NEAREST)).astype(np.int32) >> 3
    _, counts = np.unique(sample @ np.array([1024, 32, 1], np.int32), return_counts=True)
    counts = np.sort(counts)[::-1]
    return int(np.searchsorted(np.cumsum(counts), 0.95 * counts.sum())) + 1


@np.errstate(invalid="ignore", over="ignore")  # damaged files hold any float
def _deep(counts: NDArray[np.generic]) -> _Deep:
    """Map counts of more than 8 bits to levels, from their 0.5 to 99.5 percentile."""
    step = max(1, int((counts.size / MAX_DEEP_SAMPLES) ** 0.5))
    sample = counts[::step, ::step].astype(np.float64).ravel()
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return _Deep(Image.new("L", counts.shape[::-1]), 0.0, (0.0, 0.0))
    low, high = np.percentile(finite, DEEP_PERCENTILES)
    gain = np.float32(255.0 / max(high - low, 1e-12))
    scaled = np.clip((counts.astype(np.float32) - np.float32(low)) * gain, 0.0, 255.0)
    levels = np.nan_to_num(scaled, nan=0.0).astype(np.uint8)
    clipped = float((finite == finite.min()).mean()), float((finite == finite.max()).mean())
    return _Deep(Image.fromarray(levels), float(high - low), clipped)


@dataclass(frozen=True)
class _Projections:
    """Matrices that take L samples along one side to what is kept of them.

    Attributes:
        grid: (16, L) block means.
        steps: (9, L) block means.
    """

    grid: NDArray[np.float32]
    steps: NDArray[np.float32]


@lru_cache(maxsize=256)
def _projections(length: int, extent: float) -> _Projections:
    """Return the matrices for a side of ``length`` samples, the last of which may be cut off.

    Args:
        length: Samples.
        extent: How many samples the picture takes, as the last may stand for fewer pixels.
    """
    return _Projections(_blocks(GRID, length, extent), _blocks(GRADIENTS, length, extent))


def _blocks(number: int, length: int, extent: float) -> NDArray[np.float32]:
    """Return the (number, length) matrix that takes means over equal parts of a side."""
    edges = np.arange(number + 1)[:, None] * extent / number
    covered = np.clip(edges - np.arange(length), 0.0, 1.0)
    share = covered[1:] - covered[:-1]
    return np.asarray(share / share.sum(axis=1, keepdims=True), np.float32)


POOL = _blocks(MEANS, GRID, GRID)


def _cosines() -> NDArray[np.float32]:
    """Return the low frequencies of a DCT-II over GRID samples, without the constant one."""
    frequency = np.arange(1, FREQUENCIES + 1)[:, None]
    place = (np.arange(GRID) + 0.5) / GRID
    return np.asarray(np.cos(np.pi * frequency * place), np.float32)


COSINES = _cosines()
