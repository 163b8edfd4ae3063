"""Time the search for near duplicates among very many pictures, and count what it misses.

    python benchmarks/duplicates.py                 # 100 000 hashes
    python benchmarks/duplicates.py --number 1000000

Three cases. Random: hashes of unrelated pictures, with planted pairs that differ in 0 to 4 bits.
Crowd: nearly a third of the pictures shows one view, as of a camera that stands still, and another
third shares 40 bits of its hash with it. Strangers: the same crowd of hashes, but none of the
pictures agrees, so that nothing can be settled early. Recall is that of the planted pairs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from measuring.tables import table_text
from numpy.typing import NDArray

from fusetrain.checks.similarity import NONE, Looks, first_near

Rng = np.random.Generator


def flipped(hashes: NDArray[np.uint64], most: int, rng: Rng) -> NDArray[np.uint64]:
    """Return hashes with up to ``most`` random bits turned over."""
    bits = np.argsort(rng.random((len(hashes), 64)), axis=1)[:, :most].astype(np.uint64)
    used = np.arange(most) < rng.integers(0, most + 1, len(hashes))[:, None]
    masks = np.where(used, np.uint64(1) << bits, np.uint64(0))
    return hashes ^ np.bitwise_or.reduce(masks, axis=1)


def near_means(means: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    noise = rng.integers(-3, 4, means.shape)
    return np.clip(means.astype(np.int64) + noise, 0, 255).astype(np.uint8)


def unrelated(number: int, rng: Rng) -> Looks:
    return Looks(
        rng.integers(0, 2**64, number, np.uint64),
        rng.integers(0, 2**64, number, np.uint64),
        rng.integers(0, 256, (number, 64), np.uint8),
    )


def plant(looks: Looks, number: int, rng: Rng) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Make some pictures near to earlier ones; return the rows of both."""
    half = len(looks) // 2
    first = rng.choice(half, number, replace=False)
    second = half + rng.choice(len(looks) - half, number, replace=False)
    looks.phashes[second] = flipped(looks.phashes[first], 4, rng)
    looks.dhashes[second] = flipped(looks.dhashes[first], 8, rng)
    looks.means[second] = near_means(looks.means[first], rng)
    return first, second


def crowd(looks: Looks, rng: Rng, *, is_one_view: bool) -> None:
    """Give a third of the pictures nearly one hash, and another third a part of it."""
    third = len(looks) * 3 // 10
    rows = rng.permutation(len(looks))
    same, similar = rows[:third], rows[third : 2 * third]
    base = looks.phashes[same[0]]
    looks.phashes[same] = flipped(np.full(third, base), 5, rng)
    low = np.uint64((1 << 40) - 1)
    looks.phashes[similar] = (looks.phashes[similar] & ~low) | (base & low)
    if is_one_view:
        looks.dhashes[same] = flipped(np.full(third, looks.dhashes[same[0]]), 4, rng)
        looks.means[same] = near_means(np.repeat(looks.means[same[:1]], third, axis=0), rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--planted", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    rows = np.arange(args.number)
    table = []
    for case in ("random", "crowd", "strangers"):
        rng = np.random.Generator(np.random.PCG64(args.seed))
        looks = unrelated(args.number, rng)
        if case != "random":
            crowd(looks, rng, is_one_view=case == "crowd")
        _, second = plant(looks, args.planted, rng)
        started = time.perf_counter()
        partner = first_near(looks, targets=rows, sources=rows)
        seconds = time.perf_counter() - started
        found = int((partner[second] != NONE).sum())
        table.append(
            (case, str(args.number), f"{seconds:.1f}", f"{found}/{args.planted}",
             str(int((partner != NONE).sum())))
        )  # fmt: skip
    header = ("case", "pictures", "seconds", "planted found", "with a partner")
    print(table_text(header, table, markdown=args.markdown))


if __name__ == "__main__":
    main()
