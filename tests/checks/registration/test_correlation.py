"""Sums at shifts, against the same sums written out."""

from __future__ import annotations

import numpy as np
import pytest

from fusetrain.checks.registration.correlation import correlations, fast_shape, spectra
from fusetrain.checks.registration.gradient_field import Field, integral

SHIFTS = np.arange(-3, 4)


def fields(seed: int, *shape: int) -> Field:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    return values.astype(np.complex64)


@pytest.mark.parametrize("width", [15, 16])
def test_sums_are_those_of_moved_fields(width: int) -> None:
    first, second = fields(0, 2, 9, 11), fields(1, 2, 9, 11)
    shape = (12, width)
    found = correlations(spectra(first, shape), spectra(second, shape), width=width, shifts=SHIFTS)
    room = ((0, 0), (3, 3), (3, 3))
    still, padded = np.pad(first, room), np.pad(second, room)
    wanted = [
        [(still.conj() * np.roll(padded, (-dy, -dx), (1, 2))).real.sum((1, 2)) for dx in SHIFTS]
        for dy in SHIFTS
    ]
    assert np.allclose(found, np.moveaxis(wanted, 2, 0), atol=1e-4)


def test_one_field_is_compared_with_many() -> None:
    one, many = fields(0, 1, 8, 8), fields(1, 5, 8, 8)
    own, others = spectra(one, (16, 16)), spectra(many, (16, 16))
    together = correlations(others, own, width=16, shifts=SHIFTS)
    alone = [
        correlations(spectra(field, (16, 16)), own[:, 0], width=16, shifts=SHIFTS) for field in many
    ]
    assert np.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize(("length", "fast"), [(1, 1), (7, 8), (11, 12), (121, 125), (127, 128)])
def test_fast_lengths_have_small_factors(length: int, fast: int) -> None:
    assert fast_shape(length, 1) == (fast, 1)


def test_integral_gives_the_sum_of_any_rectangle() -> None:
    values = np.random.default_rng(0).normal(size=(7, 9))
    sums = integral(values)
    assert sums.shape == (8, 10)
    assert not sums[0].any()
    assert not sums[:, 0].any()
    inside = sums[6, 8] - sums[2, 8] - sums[6, 3] + sums[2, 3]
    assert inside == pytest.approx(values[2:6, 3:8].sum())
