"""Hashes and the search for near pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fusetrain.checks.similarity import (
    MAX_DISTANCE,
    NONE,
    Looks,
    difference_hashes,
    first_near,
    frequency_hashes,
    mean_difference,
)

Rng = np.random.Generator


def random_looks(rng: Rng, number: int) -> Looks:
    return Looks(
        rng.integers(0, 2**64, number, np.uint64),
        rng.integers(0, 2**64, number, np.uint64),
        rng.integers(0, 256, (number, 64), np.uint8),
    )


def flipped(value: int, bits: NDArray[np.int64]) -> int:
    for bit in bits:
        value ^= 1 << int(bit)
    return value


def test_hashes_follow_the_picture() -> None:
    ramp = np.tile(np.arange(9.0, dtype=np.float32), (8, 1))
    assert difference_hashes(np.stack([ramp, ramp[:, ::-1]])) == [b"\xff" * 8, b"\0" * 8]
    spectrum = np.arange(64, dtype=np.float32).reshape(8, 8)
    upper = b"\0" * 4 + b"\xff" * 4
    assert frequency_hashes(np.stack([spectrum, spectrum * 7 + 1])) == [upper, upper]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), distance=st.integers(0, MAX_DISTANCE))
def test_no_near_hash_is_missed_wherever_its_bits_differ(seed: int, distance: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    looks = random_looks(rng, 40)
    bits = rng.choice(64, distance, replace=False)
    looks.phashes[33] = flipped(int(looks.phashes[7]), bits)
    looks.dhashes[33], looks.means[33] = looks.dhashes[7], looks.means[7]
    rows = np.arange(40)
    assert first_near(looks, targets=rows, sources=rows)[33] == 7


def brute_force(looks: Looks, targets: NDArray[np.int64], sources: NDArray[np.int64]) -> list[bool]:
    found = []
    for target in targets:
        earlier = sources[sources < target]
        bits = np.bitwise_count(looks.phashes[earlier] ^ looks.phashes[target]) <= 4
        bits &= np.bitwise_count(looks.dhashes[earlier] ^ looks.dhashes[target]) <= 10
        near = mean_difference(looks, earlier, np.full(len(earlier), target)) <= 4.0
        found.append(bool((bits & near).any()))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_crowds_give_what_comparing_all_with_all_gives(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    looks = random_looks(rng, 600)
    for start in (0, 200):  # two crowds around one picture each
        crowd = np.arange(start, start + 180)
        for row in crowd:
            bits = rng.choice(64, rng.integers(0, 5), replace=False)
            looks.phashes[row] = flipped(int(looks.phashes[start]), bits)
            looks.dhashes[row] = flipped(int(looks.dhashes[start]), rng.choice(64, 4))
        base = looks.means[start].astype(np.int64)
        noise = rng.integers(-5, 6, (len(crowd), 64))
        looks.means[crowd] = np.clip(base + noise, 0, 255).astype(np.uint8)
    order = rng.permutation(600)
    looks = Looks(looks.phashes[order], looks.dhashes[order], looks.means[order])
    rows = np.arange(600)
    targets, sources = rows[rows % 3 != 0], rows[rows % 2 == 0]
    partner = first_near(looks, targets=targets, sources=sources)
    assert [row != NONE for row in partner] == brute_force(looks, targets, sources)
    chosen = partner[partner != NONE]
    assert len(chosen) > 50
    assert (chosen < targets[partner != NONE]).all()
    assert np.isin(chosen, sources).all()


def test_blank_pictures_are_near_to_nothing() -> None:
    looks = random_looks(np.random.Generator(np.random.PCG64(0)), 2)
    looks.phashes[:], looks.dhashes[:], looks.means[:] = 5, 5, 90
    rows = np.arange(2)
    assert first_near(looks, targets=rows, sources=rows).tolist() == [NONE, NONE]


def test_hashes_that_agree_do_not_suffice() -> None:
    looks = random_looks(np.random.Generator(np.random.PCG64(0)), 2)
    looks.phashes[:], looks.dhashes[:] = 5, 5
    rows = np.arange(2)
    assert first_near(looks, targets=rows, sources=rows).tolist() == [NONE, NONE]
    looks.means[1] = np.clip(looks.means[0].astype(np.int64) + 3, 0, 255)
    assert first_near(looks, targets=rows, sources=rows).tolist() == [NONE, 0]


def test_nothing_to_compare_is_fine() -> None:
    looks = random_looks(np.random.Generator(np.random.PCG64(0)), 0)
    none = np.zeros(0, np.int64)
    assert first_near(looks, targets=none, sources=none).tolist() == []


def test_rounding_in_flat_parts_does_not_move_the_gradient_hash() -> None:
    rng = np.random.default_rng(0)
    means = np.full((1, 8, 9), 120.0)
    means[:, :4] = rng.uniform(0, 255, (1, 4, 9))
    hashes = {
        difference_hashes(means + rng.uniform(-1e-3, 1e-3, means.shape))[0] for _ in range(20)
    }
    assert hashes == {difference_hashes(means)[0]}
    assert hashes != {bytes(8)}
