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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.lines import measure_lines, sharpness
from fusetrain.checks.samples import Samples
from fusetrain.checks.similarity import difference_hashes, frequency_hashes

GRID = 16
MEANS = 8
FREQUENCIES = 8
GRADIENTS = 9
# Of the small copy every so many-th row is asked for its colours.
COLOUR_STEP = 2
# Of the rows that lines are told from, those that sharpness and levels are; of the small copy,
# those that sharpness is.
ROW_STEP = 4
SMALL_ROW_STEP = 2
# How far apart pixels are that neighbours are compared with. In the small copy of a visible image
# scenes differ much at 8, whatever the blur; at 2 a blur tells.
RGB_APART_PX = 2
IR_APART_PX = 8
# Shares of the pixels at which levels are read off.
SHARES = np.array([0.005, 0.05, 0.5, 0.95, 0.995])
# |R - G| + |G - B| above which a pixel counts as coloured, and the mean from which on colours are
# counted.
STRONG_COLOUR = 48
FAINT_CHROMA = 1.0
MIN_POWER = 4.0
# Of the digest of a picture: enough to tell many millions apart.
DIGEST_BYTES = 8


@dataclass(frozen=True)
class Measures:
    """What N images measure; `ImageFacts` says what the numbers mean.

    Attributes:
        numbers: (N,) each, by the name of the fact; float32 where it is no count.
        digests: N each, by the name of the fact.
        grids: (N, 16, 16) luma in levels; not kept.
    """

    numbers: dict[str, NDArray[Any]]
    digests: dict[str, list[bytes]]
    grids: NDArray[np.float32]


def measure(samples: Sequence[Samples]) -> Measures:
    """Return the numbers of images, one or more."""
    numbers: dict[str, NDArray[Any]] = {
        **_chroma(samples),
        **_tones(samples),
        **_lines(samples),
        "num_levels": np.array(
            [_num_levels(own.rows[::ROW_STEP]) if own.rows is not None else 0 for own in samples]
        ),
        "sharpness": _sharpness(samples),
    }
    numbers["num_colours"] = np.array(
        [
            _num_colours(own.colours) if own.colours is not None and mean > FAINT_CHROMA else 1
            for own, mean in zip(samples, numbers["chroma"].tolist(), strict=True)
        ]
    )
    blocks = _blocks_of(samples)
    grids = np.ascontiguousarray(blocks[:, :, :GRID])
    mean_bytes = (POOL @ grids @ POOL.T + 0.5).astype(np.uint8).tobytes()
    digests = {
        "picture": [hashlib.sha256(own.small).digest()[:DIGEST_BYTES] for own in samples],
        "phash": frequency_hashes(COSINES @ grids @ COSINES.T),
        "dhash": difference_hashes(POOL @ blocks[:, :, GRID:]),
        "means": [mean_bytes[start : start + 64] for start in range(0, len(mean_bytes), 64)],
    }
    return Measures({name: _kept(own) for name, own in numbers.items()}, digests, grids)


def _kept(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return measures as they are kept: nothing here is known better than to seven digits."""
    return numbers.astype(np.float32) if numbers.dtype.kind == "f" else numbers


def agreements(
    grids: NDArray[np.float32], first: Sequence[int], second: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how images differ in grey: mean difference in levels, and correlation.

    Both are NaN where one of the two is blank.

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
    scale = np.sqrt(np.where(is_blank, np.nan, powers[0] * powers[1]))
    correlation = (one * other).mean(axis=1) / scale
    return np.where(is_blank, np.float32(np.nan), difference), correlation


def _chroma(samples: Sequence[Samples]) -> dict[str, NDArray[Any]]:
    """Return mean chroma in levels and the share of strongly coloured pixels."""
    chroma, coloured = np.zeros(len(samples)), np.zeros(len(samples))
    places = [place for place, own in enumerate(samples) if len(own.small) > len(own.grey)]
    if places:
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
        chroma[places] = np.add.reduceat(each, starts, dtype=np.int64) / numbers
        coloured[places] = np.add.reduceat(each > STRONG_COLOUR, starts, dtype=np.int64) / numbers
    return {"chroma": chroma, "coloured": coloured}


def _tones(samples: Sequence[Samples]) -> dict[str, NDArray[Any]]:
    """Return what the histograms of luma say."""
    counts = np.stack(
        [np.bincount(np.frombuffer(own.grey, np.uint8), minlength=256) for own in samples]
    )
    reached = counts.astype(np.int32).cumsum(axis=1, dtype=np.int32)
    total = reached[:, -1:]
    wanted = np.ceil(total * SHARES).astype(np.int32)
    levels = (reached[:, None, :] < wanted[:, :, None]).sum(axis=2, dtype=np.int32).astype(float)
    used = np.log2(np.maximum(counts, 1))
    tones = {
        "low": levels[:, 1],
        "median": levels[:, 2],
        "high": levels[:, 3],
        "clipped_low": reached[:, 1] / total[:, 0],
        "clipped_high": 1.0 - reached[:, 253] / total[:, 0],
        "entropy": np.log2(total[:, 0]) - np.einsum("nl,nl->n", counts, used) / total[:, 0],
        "spread": levels[:, 4] - levels[:, 0],
    }
    for place, own in enumerate(samples):
        if own.deep is not None:
            tones["spread"][place] = own.deep.spread
            tones["clipped_low"][place], tones["clipped_high"][place] = own.deep.clipped
    return tones


def _blocks_of(samples: Sequence[Samples]) -> NDArray[np.float32]:
    """Return (N, 16, 25) block means of luma: 16 blocks along each row, then 9."""
    blocks = np.empty((len(samples), GRID, GRID + GRADIENTS), np.float32)
    alike: dict[tuple[Any, ...], list[int]] = {}
    for place, own in enumerate(samples):
        alike.setdefault((own.size, own.extents), []).append(place)
    for ((width, height), extents), places in alike.items():
        data = b"".join([samples[place].grey for place in places])
        luma = np.frombuffer(data, np.uint8).reshape(-1, height, width).astype(np.float32)
        strips = _projections(height, extents[1])[:GRID] @ luma
        blocks[places] = strips @ _projections(width, extents[0]).T
    return blocks


def _sharpness(samples: Sequence[Samples]) -> NDArray[np.float64]:
    """Return the sharpness of visible images in their small copy, of infrared ones as they are."""
    found = np.ones(len(samples))
    rgb = [place for place, own in enumerate(samples) if own.rows is None]
    ir = {place: own.rows[::ROW_STEP] for place, own in enumerate(samples) if own.rows is not None}
    if rgb:
        small = [samples[place].levels[::SMALL_ROW_STEP] for place in rgb]
        found[rgb] = sharpness(small, apart=RGB_APART_PX)
    if ir:
        found[list(ir)] = sharpness(list(ir.values()), apart=IR_APART_PX)
    return found


def _num_levels(rows: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(np.bincount(rows.ravel())))


def _lines(samples: Sequence[Samples]) -> dict[str, NDArray[Any]]:
    """Return the line numbers of infrared images; those of visible ones are all zero."""
    places = [place for place, own in enumerate(samples) if own.columns is not None]
    rows = [own.rows for own in samples if own.rows is not None]
    columns = [own.columns for own in samples if own.columns is not None]
    found = measure_lines(rows, columns)
    # A pattern is told in the levels that the counts had before they were stretched to 255.
    steps = np.array([own.deep.step if own.deep else 1.0 for own in samples])[places]
    found |= {name: found[name] / steps for name in ("row_pattern", "column_pattern")}
    lines: dict[str, NDArray[Any]] = {}
    for name, own in found.items():
        lines[name] = np.zeros(len(samples), own.dtype)
        lines[name][places] = own
    return lines


def _num_colours(pixels: bytes) -> int:
    """Return how many 5-bit colours 95 % of the pixels have, the most frequent first."""
    sample = np.frombuffer(pixels, np.uint8).reshape(-1, 3).astype(np.int32) >> 3
    _, counts = np.unique(sample @ np.array([1024, 32, 1], np.int32), return_counts=True)
    counts = np.sort(counts)[::-1]
    return int(np.searchsorted(np.cumsum(counts), 0.95 * counts.sum())) + 1


@lru_cache(maxsize=2048)  # as many as a set may have sides
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
