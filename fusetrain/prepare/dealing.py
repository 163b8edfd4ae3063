"""Deal groups of pairs to splits so that each gets its share of everything; numbers only.

A group is never torn. The shares of pairs, of the boxes of each class and of night pairs come as
near to what is wanted as a greedy pass and some rounds of single moves bring them.
Shape legend: G groups, F features (pairs first), S splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

MAX_ROUNDS = 12
# What one feature weighs against the others together: the number of pairs is what was asked for.
PAIRS_WEIGHT = 3.0


def deal(
    features: NDArray[np.float64],
    ratios: Sequence[float],
    *,
    seed: int,
    given: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """Return (G,) the split of each group.

    Args:
        features: (G, F) what each group brings: its pairs first, then boxes by class and the like.
        ratios: (S,) wanted share of each split; they sum to 1.
        seed: Decides between groups that are alike.
        given: (S, F) what the splits have already.

    Raises:
        ValueError: There are fewer groups than splits that have nothing yet.
    """
    wanted = np.array(ratios, np.float64)
    have = np.zeros((len(wanted), features.shape[1])) if given is None else given.copy()
    empty = [split for split in range(len(wanted)) if not have[split, 0]]
    if len(features) < len(empty):
        raise ValueError(f"{len(features)} groups cannot fill {len(empty)} splits")
    scale = _scale(features, have)
    shares, have = features * scale, have * scale
    target = wanted[:, None] * (shares.sum(axis=0) + have.sum(axis=0))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(shares))
    order = order[np.argsort(-shares[order].max(axis=1, initial=0.0), kind="stable")]
    chosen = np.zeros(len(shares), np.int64)
    for group in order:
        split = int(np.argmin(_costs(have, target, shares[group])))
        chosen[group] = split
        have[split] += shares[group]
    _improve(chosen, have, target, shares, rng)
    _fill_empty(chosen, have, shares, empty)
    return chosen


def joined(count: int, links: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Return (count,) the group of each item, where linked items share one; numbered from 0."""
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in links:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    _, groups = np.unique([root(item) for item in range(count)], return_inverse=True)
    return groups.astype(np.int64).reshape(count)


def _scale(features: NDArray[np.float64], have: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (F,) factors that make every feature a share of its total, weighted."""
    totals = features.sum(axis=0) + have.sum(axis=0)
    weights = np.full(features.shape[1], 1.0 / max(1, features.shape[1] - 1))
    weights[0] = PAIRS_WEIGHT
    factors = np.where(totals > 0, np.sqrt(weights) / np.maximum(totals, 1e-12), 0.0)
    return np.asarray(factors, np.float64)


def _costs(
    have: NDArray[np.float64], target: NDArray[np.float64], group: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (S,) how the deviation grows where the group goes to each split."""
    grown = ((have + group - target) ** 2 - (have - target) ** 2).sum(axis=1)
    return np.asarray(grown, np.float64)


def _improve(
    chosen: NDArray[np.int64],
    have: NDArray[np.float64],
    target: NDArray[np.float64],
    shares: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """Move single groups to where they do better, in place, until none does."""
    for _ in range(MAX_ROUNDS):
        has_moved = False
        for group in rng.permutation(len(chosen)):
            old = chosen[group]
            have[old] -= shares[group]
            costs = _costs(have, target, shares[group])
            new = int(np.argmin(costs))
            if costs[new] >= costs[old] - 1e-15:
                new = int(old)
            has_moved |= new != old
            chosen[group] = new
            have[new] += shares[group]
        if not has_moved:
            return


def _fill_empty(
    chosen: NDArray[np.int64],
    have: NDArray[np.float64],
    shares: NDArray[np.float64],
    empty: Sequence[int],
) -> None:
    """Give each split that got no group the smallest one of the split with the most groups."""
    for split in empty:
        if (chosen == split).any():
            continue
        counts = np.bincount(chosen, minlength=len(have))
        members = np.flatnonzero(chosen == int(counts.argmax()))
        smallest = members[np.argmin(shares[members].max(axis=1, initial=0.0))]
        have[chosen[smallest]] -= shares[smallest]
        chosen[smallest] = split
        have[split] += shares[smallest]
