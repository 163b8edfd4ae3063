"""Dead rows and columns, fixed stripes and sharpness, from a few rows and columns of an image.

A dead line is one value from end to end, or stands out from both neighbours all along. A stripe
pattern of the sensor is the same in all quarters of the image, which no scene is.
Shape legend: L lines to be judged, K = NUM_BANDS places along each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_BANDS = 4
LINES_A_BAND = 8
NUM_LINES = NUM_BANDS * LINES_A_BAND
MEAN_OF_BANDS = np.kron(np.eye(NUM_BANDS), np.full((1, LINES_A_BAND), 1.0 / LINES_A_BAND)).astype(
    np.float32
)
# A line whose means differ by less than this from band to band, in levels, shows nothing.
FLAT_LEVELS = 0.25
# The same for its pixels, and how much those of the lines beside it must vary.
DEAD_SPREAD = 2.0
LIVE_SPREAD = 16.0
# How far a dead line stands out from both neighbours: levels, and times the usual difference.
SPIKE_LEVELS = 8.0
SPIKE_RATIO = 8.0
PATTERN_CORRELATION = 0.35
OUTLIER_RATIO = 3.0
# Fewer lines than this agree by chance.
MIN_PATTERN_LINES = 128


@lru_cache(maxsize=256)
def spaced(length: int) -> NDArray[np.intp]:
    """Return NUM_LINES places, evenly spaced; all of them where there are fewer."""
    number = min(NUM_LINES, length)
    return np.arange(number, dtype=np.intp) * 2 * length // (2 * number) + length // (2 * number)


def measure_lines(
    rows: Sequence[NDArray[np.uint8]], columns: Sequence[NDArray[np.uint8]]
) -> dict[str, NDArray[Any]]:
    """Return the line numbers of N images; zeros where a side is under NUM_LINES px.

    Args:
        rows: (NUM_LINES, W) of each image, rows at `spaced` places.
        columns: (H, NUM_LINES) of each image, columns at `spaced` places.

    Returns:
        (N,) each: ``dead_rows`` and ``dead_columns`` inside the image, a border does not count;
        ``row_pattern`` and ``column_pattern``, the strength of a fixed pattern from row to row
        and from column to column, RMS in levels.
    """
    dead, pattern = np.zeros((2, len(rows)), np.int64), np.zeros((2, len(rows)))
    large = [n for n in range(len(rows)) if len(rows[n]) == columns[n].shape[1] == NUM_LINES]
    if large:
        sampled = [columns[n].T for n in large] + [rows[n] for n in large]
        where = [(kind, n) for kind in (0, 1) for n in large]
        for place, result in _found(sampled).items():
            dead[where[place]], pattern[where[place]] = result
    return {
        "dead_rows": dead[0],
        "dead_columns": dead[1],
        "row_pattern": pattern[0],
        "column_pattern": pattern[1],
    }


def sharpness(rows: Sequence[NDArray[np.uint8]], *, apart: int) -> NDArray[np.float64]:
    """Return mean difference of neighbours over that of pixels some px apart, in rows of images.

    It is 1 / apart where all is smooth, and more where it is sharp; contrast does not count. 1 for
    a constant image.

    Args:
        rows: (R, W) of each image.
        apart: The greater distance, px.
    """
    widths = np.array([own.shape[1] for own in rows])
    levels = _side_by_side(rows).astype(np.int16)
    fine, coarse = (_mean_steps(levels, widths, apart=apart) for apart in (1, apart))
    is_told = (widths > 2 * apart) & (coarse > 0.0)
    return np.divide(fine, coarse, out=np.ones(len(rows)), where=is_told)


def _mean_steps(
    levels: NDArray[np.int16], widths: NDArray[np.int64], *, apart: int
) -> NDArray[np.float64]:
    """Return, for each image of those side by side, the mean step between pixels ``apart``.

    It is a mean along the row, summed over the rows.
    """
    steps = np.zeros(levels.shape[1], np.int64)
    np.abs(levels[:, apart:] - levels[:, :-apart]).sum(axis=0, out=steps[:-apart])
    ends = widths.cumsum()
    starts = ends - widths
    # From one image to the next is no step.
    steps[np.maximum(ends - np.arange(1, apart + 1)[:, None], starts)] = 0
    return np.asarray(np.add.reduceat(steps, starts) / np.maximum(widths - apart, 1))


def _side_by_side(sampled: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return images of few rows as one; what lacks rows gets black ones."""
    ends = np.cumsum([own.shape[1] for own in sampled]).tolist()
    joined = np.zeros((max(map(len, sampled)), ends[-1]), np.uint8)
    for own, start, stop in zip(sampled, [0, *ends], ends, strict=False):
        joined[: len(own), start:stop] = own
    return joined


def _found(sampled: Sequence[NDArray[np.uint8]]) -> dict[int, tuple[int, float]]:
    """Return what `_judge` would find, image by image; it finds nothing in those left out.

    Args:
        sampled: (NUM_LINES, L) of each image, pixels along each of its L lines.
    """
    is_odd, is_pattern = _suspects(sampled)
    found = {place: _judge(sampled[place]) for place in np.flatnonzero(is_odd).tolist()}
    alike: dict[int, list[int]] = {}
    for place in np.flatnonzero(is_pattern & ~is_odd).tolist():
        alike.setdefault(sampled[place].shape[1], []).append(place)
    for places in alike.values():
        bands = MEAN_OF_BANDS @ np.stack([sampled[place] for place in places]).astype(np.float32)
        patterns = _patterns(np.diff(bands, n=2)).tolist()
        found |= {place: (0, own) for place, own in zip(places, patterns, strict=True)}
    return found


def _suspects(
    sampled: Sequence[NDArray[np.uint8]],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which images may have dead lines, and which may have a pattern, all at once."""
    lengths = np.array([own.shape[1] for own in sampled])
    ends = lengths.cumsum()
    starts = ends - lengths
    levels = _side_by_side(sampled)
    bands = MEAN_OF_BANDS @ levels.astype(np.float32)
    flat = bands.max(axis=0) - bands.min(axis=0) <= FLAT_LEVELS
    flat[flat] = np.ptp(levels[:, flat], axis=0) <= DEAD_SPREAD
    bends = np.zeros_like(bands)
    steps = bands[:, 1:] - bands[:, :-1]
    np.subtract(steps[:, 1:], steps[:, :-1], out=bends[:, :-2])
    bends[:, ends - 1] = bends[:, ends - 2] = 0.0  # of two images
    spikes = np.abs(bends).min(axis=0) > 2.0 * SPIKE_LEVELS
    total = bends.sum(axis=0)
    power = np.add.reduceat((bends * bends).sum(axis=0), starts)
    # As `_shared_powers` has it; rounding must not hide anything.
    shared = np.add.reduceat(total * total, starts) - power
    is_pattern = shared > 0.99 * PATTERN_CORRELATION * (NUM_BANDS - 1) * power
    is_pattern &= lengths - 2 >= MIN_PATTERN_LINES
    return _have_inner_run(flat, starts, ends) | np.logical_or.reduceat(spikes, starts), is_pattern


def _have_inner_run(
    flat: NDArray[np.bool_], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which images have flat lines that `_flat` would take for dead by their place.

    Args:
        flat: Whether each line is flat, of all images behind one another.
        starts: First line of each image.
        ends: First line behind each image.
    """
    before, after = np.roll(flat, 1), np.roll(flat, -1)
    before[starts] = after[ends - 1] = False
    first, last = np.flatnonzero(flat & ~before), np.flatnonzero(flat & ~after)
    image = np.searchsorted(ends, first, side="right")
    is_inner = (first > starts[image]) & (last < ends[image] - 1)
    is_inner &= last - first < (ends - starts)[image] // 4
    found = np.zeros(len(starts), np.bool_)
    found[image[is_inner]] = True
    return found


def _judge(levels: NDArray[np.uint8]) -> tuple[int, float]:
    """Return how many lines are dead, and the strength of the pattern that all bands share.

    Args:
        levels: (NUM_LINES, L), pixels along each of L lines.
    """
    sampled = levels.astype(np.float32)
    bands = MEAN_OF_BANDS @ sampled
    steps = bands[:, 1:] - bands[:, :-1]
    bends = steps[:, 1:] - steps[:, :-1]
    dead = bands.max(axis=0) - bands.min(axis=0) <= FLAT_LEVELS
    if dead.any():
        dead = _flat(sampled, dead, bands)
    if np.abs(bends).min(axis=0).max(initial=0.0) > 2.0 * SPIKE_LEVELS:
        dead[1:-1] |= _spikes(steps)
    num_dead = int(np.count_nonzero(dead))
    if num_dead:
        bends = bends[:, ~(dead[2:] | dead[1:-1] | dead[:-2])]
    return num_dead, float(_patterns(bends[None])[0])


def _flat(
    sampled: NDArray[np.float32], candidates: NDArray[np.bool_], bands: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return which lines have one value all along, in the middle of lines that show something.

    A border, a large flat part, and what fades into flat neighbours are no dead lines.
    """
    spread = np.ptp(sampled, axis=0)
    flat = np.asarray(candidates & (spread <= DEAD_SPREAD), np.bool_)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2):
        is_inside = start > 0 and stop < len(flat) and stop - start <= len(flat) // 4
        if is_inside and min(spread[start - 1], spread[stop]) >= LIVE_SPREAD:
            continue
        if is_inside and _stands_out(bands[:, start], bands[:, [start - 1, stop]]):
            continue
        flat[start:stop] = False
    return flat


def _stands_out(own: NDArray[np.float32], neighbours: NDArray[np.float32]) -> bool:
    """Say whether a line is brighter, or darker, than both neighbours in all bands."""
    height = own[:, None] - neighbours
    return bool(height.min() > SPIKE_LEVELS or height.max() < -SPIKE_LEVELS)


def _spikes(steps: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which inner lines stand out from both neighbours, to one side, in all bands."""
    up, down = steps[:, :-1], -steps[:, 1:]
    height = np.where(up * down > 0, np.minimum(np.abs(up), np.abs(down)) * np.sign(up), 0.0)
    limit = max(SPIKE_LEVELS, SPIKE_RATIO * float(np.median(np.abs(steps))))
    return np.asarray((height.min(axis=0) > limit) | (height.max(axis=0) < -limit))


def _patterns(bends: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the RMS, in levels, of what the bands have in common; 0 where they do not agree.

    Args:
        bends: (N, K, L) of N images.
    """
    found = np.zeros(len(bends))
    if bends.shape[2] < MIN_PATTERN_LINES:
        return found
    told = np.flatnonzero(_shared_powers(bends))
    if not len(told):
        return found
    # Edges that run across the image, as of a road, are few lines; a pattern is in all of them.
    own = bends[told]
    middle = np.median(np.abs(own).reshape(len(own), -1), axis=1)
    limit = OUTLIER_RATIO * middle[:, None, None]
    # A pattern without memory from line to line has bends of 6 times its variance.
    found[told] = (_shared_powers(np.clip(own, -limit, limit)) / 6.0) ** 0.5
    return found


def _shared_powers(bends: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean product of bends of different bands; 0 where they do not agree.

    Args:
        bends: (N, K, L) of N images.
    """
    num_bands, num_lines = bends.shape[1:]
    total = bends.sum(axis=1, dtype=np.float64)
    power = np.einsum("nkl,nkl->n", bends, bends, dtype=np.float64)
    shared = (np.einsum("nl,nl->n", total, total) - power) / (num_bands - 1)
    return np.where(shared > PATTERN_CORRELATION * power, shared / (num_bands * num_lines), 0.0)
