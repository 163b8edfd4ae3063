from __future__ import annotations

import multiprocessing
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from fusetrain.data.cache import PairCache, cache_for, free_memory_bytes
from fusetrain.errors import ResourceError


def pixels_of(number: int, height: int = 5, width: int = 7) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (height, width, 4), dtype=np.uint8)


def test_a_pair_comes_back_as_it_was_stored() -> None:
    cache = PairCache(3, 10_000)
    assert cache.get(1) is None
    assert cache.put(1, pixels_of(1), (480, 640))
    assert cache.put(2, pixels_of(2, 9, 4), (90, 40))
    for number, shape, original in ((1, (5, 7), (480, 640)), (2, (9, 4), (90, 40))):
        entry = cache.get(number)
        assert entry is not None
        np.testing.assert_array_equal(entry[0], pixels_of(number, *shape))
        assert entry[1] == original
    assert len(cache) == 2
    assert cache.used_bytes == 5 * 7 * 4 + 9 * 4 * 4


def test_a_pair_is_stored_once_and_only_while_there_is_room() -> None:
    cache = PairCache(3, 2 * 140)
    assert cache.put(0, pixels_of(0), (5, 7))
    assert not cache.put(0, pixels_of(1), (5, 7))
    assert cache.put(1, pixels_of(1), (5, 7))
    assert not cache.put(2, pixels_of(2), (5, 7))
    assert cache.get(2) is None
    first = cache.get(0)
    assert first is not None
    np.testing.assert_array_equal(first[0], pixels_of(0))


def _store(cache: PairCache, numbers: list[int]) -> None:
    for number in numbers:
        cache.put(number, pixels_of(number), (5, 7))


def test_what_forked_processes_store_is_seen_by_all() -> None:
    cache = PairCache(40, 100_000)
    context = multiprocessing.get_context("fork")
    children = [
        context.Process(target=_store, args=(cache, list(range(40))[start::2])) for start in (0, 1)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert len(cache) == 40
    for number in range(40):
        entry = cache.get(number)
        assert entry is not None
        np.testing.assert_array_equal(entry[0], pixels_of(number))


def test_a_pickled_copy_holds_and_stores_nothing() -> None:
    cache = PairCache(2, 1000)
    cache.put(0, pixels_of(0), (5, 7))
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.get(0) is None
    assert not copy.put(1, pixels_of(1), (5, 7))


def test_a_lock_that_is_never_released_stops_the_filling_not_the_reading() -> None:
    cache = PairCache(2, 1000)
    cache.put(0, pixels_of(0), (5, 7))
    context = multiprocessing.get_context("fork")
    thief = context.Process(target=cache._lock.acquire)
    thief.start()
    thief.join()
    cache.lock_seconds = 0.1
    assert not cache.put(1, pixels_of(1), (5, 7))
    assert cache.get(0) is not None


def test_a_large_set_is_cached_within_free_memory() -> None:
    free = free_memory_bytes()
    assert free > 0
    assert cache_for(10, 64).capacity_bytes == 10 * 64 * 64 * 4
    assert cache_for(10**6, 1280).capacity_bytes < free


def test_memory_that_cannot_be_had_is_a_resource_error() -> None:
    with pytest.raises(ResourceError, match="cache"):
        cache_for(10**15, 64)
