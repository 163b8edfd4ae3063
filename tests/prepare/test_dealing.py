from __future__ import annotations

import numpy as np
import pytest

from fusetrain.prepare.dealing import deal, joined


def shares(features: np.ndarray, chosen: np.ndarray, splits: int) -> np.ndarray:
    dealt = np.array([features[chosen == split].sum(axis=0) for split in range(splits)])
    return dealt / features.sum(axis=0)


def test_every_feature_is_shared_out_as_wanted() -> None:
    rng = np.random.default_rng(0)
    features = np.ones((300, 6))
    features[:, 1] = rng.random(300) < 0.3
    features[:, 2:] = rng.poisson([8.0, 3.0, 1.0, 0.2], (300, 4))
    chosen = deal(features, (0.8, 0.1, 0.1), seed=0)
    np.testing.assert_allclose(shares(features, chosen, 3)[:, 0], (0.8, 0.1, 0.1), atol=0.01)
    np.testing.assert_allclose(
        shares(features, chosen, 3)[:, 1:], np.tile([[0.8], [0.1], [0.1]], 5), atol=0.03
    )


def test_groups_of_any_size_are_never_torn_and_still_fit() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(5, 60, 40).astype(float)
    features = np.stack([sizes, sizes * rng.random(40)], axis=1)
    chosen = deal(features, (0.7, 0.2, 0.1), seed=0)
    np.testing.assert_allclose(shares(features, chosen, 3)[:, 0], (0.7, 0.2, 0.1), atol=0.02)


def test_a_rare_class_reaches_every_split() -> None:
    features = np.zeros((100, 2))
    features[:, 0] = 1.0
    features[:10, 1] = 1.0
    chosen = deal(features, (0.8, 0.1, 0.1), seed=3)
    assert np.bincount(chosen[:10], minlength=3).tolist() == [8, 1, 1]


def test_the_seed_decides_and_is_obeyed() -> None:
    features = np.ones((50, 1))
    first, again, other = (deal(features, (0.5, 0.5), seed=seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_each_split_gets_a_group_where_there_are_enough() -> None:
    features = np.array([[100.0], [1.0], [1.0]])
    assert sorted(deal(features, (0.98, 0.01, 0.01), seed=0).tolist()) == [0, 1, 2]


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="2 groups cannot fill 3 splits"):
        deal(np.ones((2, 1)), (0.8, 0.1, 0.1), seed=0)


def test_what_splits_have_already_counts() -> None:
    given = np.array([[0.0], [10.0]])
    assert (deal(np.ones((10, 1)), (0.5, 0.5), seed=0, given=given) == 0).all()


def test_links_join_over_several_steps() -> None:
    assert joined(6, [(0, 3), (5, 3), (1, 2)]).tolist() == [0, 1, 1, 0, 2, 0]
