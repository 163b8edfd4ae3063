"""Which pairs an epoch shows, in which order, dealt out in batches over the ranks.

Everything here follows from (seed, epoch) and the index, so that an interrupted epoch is entered
at any batch again. What a pair becomes is the business of `dataset.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.index import DatasetIndex
from fusetrain.errors import ConfigError

ORDER_STREAM = 0


class SampleKey(NamedTuple):
    """What a training sample follows from, besides the seed.

    Attributes:
        epoch: 0-based.
        sample_id: Row of the index.
        compose: Mosaic, mixup and copy-paste may be used.
        turn: How often the epoch has shown the pair before.
    """

    epoch: int
    sample_id: int
    compose: bool
    turn: int = 0


@dataclass(frozen=True)
class EpochBatches:
    """The order of one epoch, cut into batches, the short last one kept.

    Attributes:
        num_pairs: Pairs of the epoch.
        batch: Pairs of a batch over all ranks together.
        seed: Seed of the run, the same on all ranks.
        epoch: 0-based.
        first_batch: Batches before this one are left out (resume).
        rank: Number of this rank.
        world_size: Number of ranks; each takes an equal share of a batch, of a short last batch
            the first ranks take one pair more, and the last ones may have none.
        weights: (num_pairs,) how often each pair is shown in relation to the others, above 0;
            None shows each once.
    """

    num_pairs: int
    batch: int
    seed: int
    epoch: int
    first_batch: int = 0
    rank: int = 0
    world_size: int = 1
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.batch < 1 or self.batch % self.world_size:
            raise ConfigError(
                f"train.batch {self.batch} cannot be dealt out over {self.world_size} ranks",
                expected="a batch that is a multiple of the number of ranks",
            )

    @property
    def total(self) -> int:
        """Return the number of batches of the whole epoch."""
        return -(-self.num_pairs // self.batch)

    @property
    def share(self) -> int:
        """Return the number of pairs that this rank takes of a full batch."""
        return self.batch // self.world_size

    def __len__(self) -> int:
        return max(0, self.total - self.first_batch)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        order = self.order()
        return (order[self.span(number)] for number in range(self.first_batch, self.total))

    def order(self) -> NDArray[np.int64]:
        """Return (num_pairs,) rows in the order of the epoch, over all ranks."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=(ORDER_STREAM, self.epoch))
        rng = np.random.default_rng(sequence)
        order = rng.permutation(self.num_pairs)
        return order if self.weights is None else _weighted(rng, order, self.weights)

    def keys(self, *, compose: bool) -> EpochKeys:
        """Return what the samples of the batches follow from.

        Args:
            compose: Mosaic, mixup and copy-paste may be used.
        """
        return EpochKeys(self, compose=compose)

    def span(self, number: int) -> slice:
        """Return where in the order the share of this rank in a batch lies."""
        begin = number * self.batch
        least, more = divmod(min(self.batch, self.num_pairs - begin), self.world_size)
        begin += self.rank * least + min(self.rank, more)
        return slice(begin, begin + least + (self.rank < more))


class EpochKeys:
    """The sample keys of the batches of an epoch; those of a batch are made when asked for.

    Args:
        batches: The batches; the first is number 0, whatever batch of the epoch it is.
        compose: Mosaic, mixup and copy-paste may be used.
    """

    def __init__(self, batches: EpochBatches, *, compose: bool) -> None:
        self._batches = batches
        self._compose = compose
        self._order = batches.order()
        self._turns = None if batches.weights is None else turns_of(self._order)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> list[SampleKey]:
        span = self._batches.span(self._batches.first_batch + number)
        rows = self._order[span].tolist()
        turns = [0] * len(rows) if self._turns is None else self._turns[span].tolist()
        return [
            SampleKey(self._batches.epoch, row, self._compose, turn)
            for row, turn in zip(rows, turns, strict=True)
        ]


def class_weights(index: DatasetIndex, balance: float) -> NDArray[np.float64] | None:
    """Return how often each pair shall be shown so that rare classes are seen more often.

    A class that is on a share f of the pairs counts ``(f_max / f) ** balance``, f_max being that of
    the most frequent one; a pair counts as its rarest class, one without boxes as 1. With 0.5 this
    is the rule of LVIS (Gupta et al., arXiv 1908.03195, appendix B) with f_max for its threshold.

    Args:
        index: The pairs.
        balance: 0 shows all alike, and returns None; 1 evens classes out as far as pairs allow.
    """
    if not balance or not len(index.boxes):
        return None
    counts = np.diff(index.box_ends, prepend=0)
    row_of_box = np.repeat(np.arange(len(index)), counts)
    num_classes = int(index.box_classes.max()) + 1
    seen = np.unique(row_of_box * num_classes + index.box_classes) % num_classes
    pairs_with = np.bincount(seen, minlength=num_classes)
    factors = (pairs_with.max() / np.maximum(pairs_with, 1)) ** balance
    weights = np.ones(len(index))
    np.maximum.at(weights, row_of_box, factors[index.box_classes])
    return weights


def turns_of(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (N,) how often each row stood before in an order (N,)."""
    by_row = np.argsort(order, kind="stable")
    rows = order[by_row]
    is_first = np.append(True, rows[1:] != rows[:-1])[: len(rows)]
    begins = np.flatnonzero(is_first)
    turns = np.empty_like(order)
    turns[by_row] = np.arange(len(order)) - begins[np.cumsum(is_first) - 1]
    return turns


def _weighted(
    rng: np.random.Generator, order: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return as many rows as ``order`` has, each as often as its weight says.

    That is rounded up or down by a draw (systematic sampling), so that no pair is shown more than
    one time too often or too rarely.
    """
    edges = np.cumsum(weights[order])
    places = (rng.random() + np.arange(len(order))) * (edges[-1] / len(order))
    return rng.permutation(order[rows_at(edges, places)])


def rows_at(edges: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return in which of N intervals that end at ``edges`` (N,) each of the places (M,) lies."""
    return np.minimum(np.searchsorted(edges, places, side="right"), len(edges) - 1)
