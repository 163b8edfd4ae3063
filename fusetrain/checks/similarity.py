"""Perceptual hashes of images, and the search for near ones among very many.

Two pictures are near if their frequency hashes differ in at most 4 of 64 bits, their gradient
hashes do not contradict, and their block means agree. The search misses none of them: with five
bands, two hashes that differ in four bits agree in at least one band.
Shape legend: N images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_DISTANCE = 4
# Bits of the five bands; with one more band than bits may differ, one band is equal.
BAND_BITS = (13, 13, 13, 13, 12)
MAX_GRADIENT_DISTANCE = 10
# Blocks whose means differ by less are alike; more than rounding can do.
TIE_LEVELS = 0.02
# Mean difference of the 8 x 8 block means, in levels, once both have the same mean.
MAX_MEAN_DIFFERENCE = 4.0
# Blank pictures all look alike; they are no duplicates of one another.
MIN_CONTRAST = 3.0
BLOCK = 1024
LARGE_BUCKET = 64
AGREE_BLOCK = 16_384

NONE = -1


def frequency_hashes(spectra: NDArray[np.floating[Any]]) -> list[bytes]:
    """Return the pHashes of images (Zauner 2010): which low frequencies lie above their median.

    Args:
        spectra: (N, 8, 8) coefficients of a DCT-II, rows and columns from frequency 1 on.
    """
    values = spectra.reshape(-1, 64)
    ranked = np.sort(values, axis=1)
    return _packed(values > (ranked[:, 31:32] + ranked[:, 32:33]) / 2.0)


def difference_hashes(means: NDArray[np.floating[Any]]) -> list[bytes]:
    """Return the dHashes of images: whether each block is brighter than its left neighbour.

    Flat parts have no brighter block, however their means are rounded.

    Args:
        means: (N, 8, 9) block means of luma.
    """
    return _packed((means[:, :, 1:] - means[:, :, :-1] > TIE_LEVELS).reshape(-1, 64))


def _packed(bits: NDArray[np.bool_]) -> list[bytes]:
    data = np.packbits(bits, axis=1).tobytes()
    return [data[start : start + 8] for start in range(0, len(data), 8)]


@dataclass(frozen=True)
class Looks:
    """What images look like, for the search.

    Attributes:
        phashes: (N,) uint64.
        dhashes: (N,) uint64.
        means: (N, 64) uint8 block means of luma.
    """

    phashes: NDArray[np.uint64]
    dhashes: NDArray[np.uint64]
    means: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.phashes)


def first_near(
    looks: Looks, *, targets: NDArray[np.int64], sources: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return, for each target, a source that stands before it and is near to it, or NONE.

    Which of several near sources is returned follows from the rows alone.

    Args:
        looks: What all images look like.
        targets: Rows that are asked about, ascending.
        sources: Rows they are compared with, ascending; only those below a target count.

    Returns:
        (len(targets),) rows.
    """
    partner = np.full(len(looks), NONE, np.int64)
    is_target = np.zeros(len(looks), bool)
    is_target[targets] = True
    is_source = np.zeros(len(looks), bool)
    is_source[sources] = True
    rows = np.flatnonzero((is_target | is_source) & (_contrast(looks.means) >= MIN_CONTRAST))
    for bucket in _buckets(looks.phashes, rows):
        _match(looks, bucket, is_source=is_source, is_target=is_target, partner=partner)
    return partner[targets]


def _contrast(means: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(means.astype(np.float32).std(axis=1))


def _buckets(phashes: NDArray[np.uint64], rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield groups of two rows or more that agree in a band; each group ascending."""
    shift = 0
    for bits in BAND_BITS:
        band = (phashes[rows] >> np.uint64(shift)) & np.uint64((1 << bits) - 1)
        shift += bits
        order = np.argsort(band, kind="stable")
        edges = np.flatnonzero(np.diff(band[order])) + 1
        for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(rows)], strict=True):
            if stop - start > 1:
                yield rows[order[start:stop]]


def _match(
    looks: Looks,
    bucket: NDArray[np.int64],
    *,
    is_source: NDArray[np.bool_],
    is_target: NDArray[np.bool_],
    partner: NDArray[np.int64],
) -> None:
    """Give a partner to those targets of a bucket that have none yet and are near a source in it.

    Sources are taken in blocks; a target that has its partner is not compared any more, so that
    many images of one view cost little.
    """
    sources = bucket[is_source[bucket]]
    for start in range(0, len(sources), BLOCK):
        block = sources[start : start + BLOCK]
        waiting = bucket[is_target[bucket] & (partner[bucket] == NONE) & (bucket > block[0])]
        # The first of a crowd usually settles most of it; the rest meets the whole block.
        heads = (block[:1], block[1:LARGE_BUCKET], block[LARGE_BUCKET:])
        for part in heads if len(waiting) > LARGE_BUCKET else (block,):
            if len(part) and len(waiting):
                waiting = _settle(looks, part, waiting, partner=partner)


def _settle(
    looks: Looks,
    sources: NDArray[np.int64],
    waiting: NDArray[np.int64],
    *,
    partner: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Compare sources with targets; return the targets that found none."""
    for start in range(0, len(waiting), BLOCK):
        targets = waiting[start : start + BLOCK]
        distance = np.bitwise_count(looks.phashes[targets][:, None] ^ looks.phashes[sources])
        near = distance <= MAX_DISTANCE
        if not near.any():
            continue
        near &= sources < targets[:, None]
        gradients = np.bitwise_count(looks.dhashes[targets][:, None] ^ looks.dhashes[sources])
        near &= gradients <= MAX_GRADIENT_DISTANCE
        own, other = np.nonzero(near)
        good = _agree(looks, targets[own], sources[other])
        found, first = np.unique(own[good], return_index=True)
        partner[targets[found]] = sources[other[good][first]]
    return np.asarray(waiting[partner[waiting] == NONE], np.int64)


def _agree(looks: Looks, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pairs of rows have block means that agree."""
    agreed = np.zeros(len(first), bool)
    for start in range(0, len(first), AGREE_BLOCK):
        part = slice(start, start + AGREE_BLOCK)
        agreed[part] = mean_difference(looks, first[part], second[part]) <= MAX_MEAN_DIFFERENCE
    return agreed


def mean_difference(
    looks: Looks, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the mean difference of block means in levels, apart from a common brightness."""
    difference = looks.means[first].astype(np.float32) - looks.means[second]
    difference -= difference.mean(axis=1, keepdims=True)
    return np.asarray(np.abs(difference).mean(axis=1))
