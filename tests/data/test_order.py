from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusetrain.data.index import DatasetIndex
from fusetrain.data.order import EpochBatches, SampleKey, class_weights, turns_of

PaintedSet = Callable[..., DatasetIndex]


def keys_of(first_batch: int = 0, rank: int = 0, world_size: int = 1) -> list[list[SampleKey]]:
    weights = np.linspace(1.0, 5.0, 23)
    epoch = EpochBatches(23, 4, 1, 2, first_batch, rank, world_size, weights)
    keys = epoch.keys(compose=True)
    return [keys[number] for number in range(len(keys))]


def test_keys_without_weights_are_the_rows_of_the_epoch() -> None:
    epoch = EpochBatches(23, 5, 1, 2)
    keys = epoch.keys(compose=False)
    for number, rows in enumerate(epoch):
        assert keys[number] == [SampleKey(2, row, False) for row in rows.tolist()]
    assert len(keys) == 5


@pytest.mark.parametrize("first_batch", [0, 2, 5, 6])
def test_a_weighted_epoch_can_be_entered_at_any_batch(first_batch: int) -> None:
    assert keys_of(first_batch) == keys_of()[first_batch:]


def test_ranks_share_out_a_weighted_epoch() -> None:
    shares = [keys_of(rank=rank, world_size=4) for rank in range(4)]
    for number, keys in enumerate(keys_of()):
        assert [key for share in shares for key in share[number]] == keys


def test_no_key_comes_twice_in_a_weighted_epoch() -> None:
    keys = [key for batch in keys_of() for key in batch]
    assert len(keys) == len(set(keys)) == 23
    assert max(key.turn for key in keys) > 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.lists(st.floats(1.0, 30.0), min_size=1, max_size=60))
def test_each_pair_is_shown_as_often_as_its_weight_says(seed: int, weights: list[float]) -> None:
    count = len(weights)
    epoch = EpochBatches(count, 1, seed % 97, 0, weights=np.array(weights))
    shown = Counter(epoch.order().tolist())
    assert shown.total() == count
    for row, weight in enumerate(weights):
        assert abs(shown[row] - weight * count / sum(weights)) < 1 + 1e-6


def test_equal_weights_show_each_pair_once() -> None:
    order = EpochBatches(500, 8, 0, 3, weights=np.full(500, 1.7)).order()
    assert sorted(order.tolist()) == list(range(500))


def test_turns_count_what_came_before() -> None:
    assert turns_of(np.array([3, 1, 3, 3, 0, 1])).tolist() == [0, 0, 1, 2, 0, 1]
    assert turns_of(np.zeros(0, np.int64)).tolist() == []


def test_pairs_weigh_as_their_rarest_class(painted_set: PaintedSet) -> None:
    index = painted_set(*((32, 32),) * 7)  # classes 0, 1, 2, 0, 1, 2, 0
    expected = np.array([1.0, 1.5, 1.5, 1.0, 1.5, 1.5, 1.0])
    np.testing.assert_allclose(class_weights(index, 1.0), expected)
    np.testing.assert_allclose(class_weights(index, 0.5), np.sqrt(expected))
    assert class_weights(index, 0.0) is None
