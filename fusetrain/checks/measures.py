"""Numbers about images, of many at once, from the few pixels that `samples.py` took of each.

On arrays this small a call costs more than its arithmetic, so there are few calls: what images have
in common is done for all of them in one. What the numbers mean for the data set is decided
elsewhere.
Shape legend: N images, h x w pixels of a small copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.lines import LineNumbers, measure_lines, sharpness
from fusetrain.checks.samples import Samples
from fusetrain.checks.similarity import difference_hashes, frequency_hashes

GRID = 16
MEANS = 8
FREQUENCIES = 8
GRADIENTS = 9
# Of the small copy every so many-th row is asked for its colours.
COLOUR_STEP = 2
# Of the rows that lines are told from, those that sharpness and levels are.
ROW_STEP = 4
# Shares of the pixels at which levels are read off.
SHARES = np.array([0.005, 0.05, 0.5, 0.95, 0.995])
# |R - G| + |G - B| above which a pixel counts as coloured, and the mean from which on colours are
# counted.
STRONG_COLOUR = 48
FAINT_CHROMA = 1.0
MIN_POWER = 4.0


@dataclass(frozen=True)
class Measures:
    """What N images measure, one list a number; `ImageFacts` says what the numbers mean.

    Attributes:
        grids: (N, 16, 16) luma in levels; not kept.
    """

    chroma: list[float]
    num_colours: list[int]
    spread: list[float]
    picture: list[bytes]
    phash: list[bytes]
    dhash: list[bytes]
    means: list[bytes]
    coloured: list[float]
    low: list[float]
    median: list[float]
    high: list[float]
    clipped_low: list[float]
    clipped_high: list[float]
    entropy: list[float]
    num_levels: list[int]
    sharpness: list[float]
    dead_rows: list[int]
    dead_columns: list[int]
    row_pattern: list[float]
    column_pattern: list[float]
    grids: NDArray[np.float32]


@dataclass(frozen=True)
class _Tones:
    """What the histograms of luma say; `ImageFacts` says what the numbers mean."""

    levels: list[list[float]]
    clipped_low: list[float]
    clipped_high: list[float]
    entropy: list[float]
    spread: list[float]


def measure(samples: Sequence[Samples]) -> Measures:
    """Return the numbers of images, one or more."""
    chroma, coloured = _chroma(samples)
    tones, lines = _tones(samples), _lines(samples)
    blocks = _blocks_of(samples)
    grids = np.ascontiguousarray(blocks[:, :, :GRID])
    means = POOL @ grids @ POOL.T
    mean_bytes = (means + 0.5).astype(np.uint8).tobytes()
    return Measures(
        chroma,
        [
            _num_colours(own.colours) if own.colours is not None and mean > FAINT_CHROMA else 1
            for own, mean in zip(samples, chroma, strict=True)
        ],
        tones.spread,
        [hashlib.sha256(own.small).digest()[:16] for own in samples],
        frequency_hashes(COSINES @ grids @ COSINES.T),
        difference_hashes(POOL @ blocks[:, :, GRID:]),
        [mean_bytes[start : start + 64] for start in range(0, len(mean_bytes), 64)],
        coloured,
        [own[1] for own in tones.levels],
        [own[2] for own in tones.levels],
        [own[3] for own in tones.levels],
        tones.clipped_low,
        tones.clipped_high,
        tones.entropy,
        [_num_levels(own.rows[::ROW_STEP]) if own.is_infrared else 0 for own in samples],
        sharpness([own.rows[::ROW_STEP] if own.is_infrared else own.rows for own in samples]),
        [own.dead_rows for own in lines],
        [own.dead_columns for own in lines],
        [own.row_pattern for own in lines],
        [own.column_pattern for own in lines],
        grids,
    )


def agreements(
    grids: NDArray[np.float32], first: Sequence[int], second: Sequence[int]
) -> list[tuple[float, float | None]]:
    """Return how images differ in grey: mean difference in levels, and correlation.

    The correlation is None where one of the two is blank; the difference then says nothing.

    Args:
        grids: (N, 16, 16) luma in levels.
        first: Rows of P images.
        second: Rows of their partners.
    """
    flat = grids.reshape(-1, GRID * GRID)
    one, other = (flat[np.asarray(rows, np.int64)] for rows in (first, second))
    difference = np.abs(one - other).mean(axis=1)
    one = one - one.mean(axis=1, keepdims=True)
    other = other - other.mean(axis=1, keepdims=True)
    powers = (one * one).mean(axis=1), (other * other).mean(axis=1)
    is_blank = np.minimum(*powers) <= MIN_POWER
    scale = np.sqrt(np.where(is_blank, 1.0, powers[0] * powers[1]))
    correlation = (one * other).mean(axis=1) / scale
    told = zip(difference.tolist(), correlation.tolist(), is_blank.tolist(), strict=True)
    return [(levels, None if blank else like) for levels, like, blank in told]


def _chroma(samples: Sequence[Samples]) -> tuple[list[float], list[float]]:
    """Return mean chroma in levels and the share of strongly coloured pixels."""
    chroma, coloured = [0.0] * len(samples), [0.0] * len(samples)
    places = [place for place, own in enumerate(samples) if len(own.small) > len(own.grey)]
    if not places:
        return chroma, coloured
    rows = [
        np.frombuffer(samples[place].small, np.uint8)
        .reshape(-1, 3 * samples[place].size[0])[::COLOUR_STEP]
        .ravel()
        for place in places
    ]
    numbers = np.array([len(own) // 3 for own in rows])
    colours = np.concatenate(rows).astype(np.int16)
    steps = np.abs(colours[1:] - colours[:-1])
    each = steps[::3] + steps[1::3]
    starts = numbers.cumsum() - numbers
    mean = np.add.reduceat(each, starts, dtype=np.int64) / numbers
    share = np.add.reduceat(each > STRONG_COLOUR, starts, dtype=np.int64) / numbers
    for place, own_mean, own_share in zip(places, mean.tolist(), share.tolist(), strict=True):
        chroma[place], coloured[place] = own_mean, own_share
    return chroma, coloured


def _tones(samples: Sequence[Samples]) -> _Tones:
    counts = np.stack(
        [np.bincount(np.frombuffer(own.grey, np.uint8), minlength=256) for own in samples]
    )
    reached = counts.cumsum(axis=1)
    total = reached[:, -1:]
    levels = (reached[:, None, :] < (total * SHARES)[:, :, None]).sum(axis=2)
    used = np.log2(np.maximum(counts, 1))
    entropy = np.log2(total[:, 0]) - np.einsum("nl,nl->n", counts, used) / total[:, 0]
    low, high = reached[:, 1] / total[:, 0], 1.0 - reached[:, 253] / total[:, 0]
    tones = _Tones(
        levels.tolist(),
        low.tolist(),
        high.tolist(),
        entropy.tolist(),
        (levels[:, 4] - levels[:, 0]).astype(np.float64).tolist(),
    )
    for place, own in enumerate(samples):
        if own.deep is not None:
            tones.spread[place] = own.deep.spread
            tones.clipped_low[place], tones.clipped_high[place] = own.deep.clipped
    return tones


def _blocks_of(samples: Sequence[Samples]) -> NDArray[np.float32]:
    """Return (N, 16, 25) block means of luma: 16 blocks along each row, then 9."""
    luma = np.frombuffer(b"".join([own.grey for own in samples]), np.uint8).astype(np.float32)
    blocks = np.empty((len(samples), GRID, GRID + GRADIENTS), np.float32)
    start = 0
    for own, target in zip(samples, blocks, strict=True):
        width, height = own.size
        stop = start + width * height
        rows = _projections(height, own.extents[1])[:GRID]
        strips = rows @ luma[start:stop].reshape(height, width)
        np.matmul(strips, _projections(width, own.extents[0]).T, out=target)
        start = stop
    return blocks


def _num_levels(rows: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(np.bincount(rows.ravel())))


def _lines(samples: Sequence[Samples]) -> list[LineNumbers]:
    """Return the line numbers of infrared images; those of visible ones are all zero."""
    lines = [LineNumbers()] * len(samples)
    places = [place for place, own in enumerate(samples) if own.columns is not None]
    columns = [own.columns for own in samples if own.columns is not None]
    found = measure_lines([samples[place].rows for place in places], columns)
    for place, own in zip(places, found, strict=True):
        lines[place] = own
    return lines


def _num_colours(pixels: bytes) -> int:
    """Return how many 5-bit colours 95 % of the pixels have, the most frequent first."""
    sample = np.frombuffer(pixels, np.uint8).reshape(-1, 3).astype(np.int32) >> 3
    _, counts = np.unique(sample @ np.array([1024, 32, 1], np.int32), return_counts=True)
    counts = np.sort(counts)[::-1]
    return int(np.searchsorted(np.cumsum(counts), 0.95 * counts.sum())) + 1


@lru_cache(maxsize=256)
def _projections(length: int, extent: float) -> NDArray[np.float32]:
    """Return the matrix that takes a side of ``length`` samples to means over its parts.

    Args:
        length: Samples, the last of which may be cut off.
        extent: How many samples the picture takes, as the last may stand for fewer pixels.

    Returns:
        (25, length): means over 16 equal parts, then over 9.
    """
    parts = [_blocks(number, length, extent) for number in (GRID, GRADIENTS)]
    return np.concatenate(parts)


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
