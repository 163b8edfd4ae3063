from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from fusetrain.data.placement import Size
from fusetrain.data.transforms import resize, size_within


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.zeros((64, 64, 4), np.uint8)
    stripes[:, ::2] = 200
    shrunk = resize(stripes, (16, 16))
    np.testing.assert_allclose(shrunk[:, 1:-1].astype(float), 100.0, atol=8.0)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size_hw", [(31, 40), (90, 77), (7, 150)])
def test_resizing_gives_what_torch_gives(channels: int, size_hw: Size) -> None:
    rng = np.random.default_rng(6)
    pixels = rng.integers(0, 256, (60, 71, channels), np.uint8)[3:, 5:]
    planes = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    expected = interpolate(planes, size=size_hw, mode="bilinear", antialias=True)
    found = resize(pixels, size_hw)
    np.testing.assert_array_equal(found, expected[0].permute(1, 2, 0).numpy())
    assert found.flags.carray


def test_pixels_that_may_not_be_written_are_resized_without_a_warning() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (20, 30, 4), np.uint8)
    writeable = resize(pixels, (10, 15))
    pixels.flags.writeable = False
    np.testing.assert_array_equal(resize(pixels, (10, 15)), writeable)


def test_the_same_size_is_returned_as_it_is() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (20, 30, 4), np.uint8)
    assert resize(pixels, (20, 30)) is pixels


def test_pairs_are_only_shrunk_to_their_stored_size() -> None:
    assert size_within((100, 200), 480) == (100, 200)
    assert size_within((600, 960), 480) == (300, 480)
