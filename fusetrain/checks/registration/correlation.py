"""Correlation of gradient fields at many shifts, through Fourier transforms.

Two fields agree as far as their doubled angles do, so what counts is the real part of a complex
correlation: that of the real parts plus that of the imaginary parts. Transforms of real numbers
give it at a fraction of the cost of complex ones.
Shape legend: Y x X px of the fields with room for shifts, S shifts along each axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.registration.gradient_field import Field

Spectra = NDArray[np.complex64]


def fast_shape(height: int, width: int) -> tuple[int, int]:
    """Return the next height and width that a Fourier transform is fast for."""
    return _fast_length(height), _fast_length(width)


def spectra(fields: Field, shape: tuple[int, int]) -> Spectra:
    """Return (2, ..., Y, X // 2 + 1), the transforms of real and imaginary parts.

    Args:
        fields: (..., H, W), filled up with zeros to Y x X.
        shape: Y and X.
    """
    return np.stack([np.fft.rfft2(part, shape) for part in (fields.real, fields.imag)])


def correlations(
    first: Spectra, second: Spectra, *, width: int, shifts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return (..., S, S), the sums of Re(conj(first(x)) second(x + shift)) over all x.

    Args:
        first: Of some fields.
        second: Of as many, or of one.
        width: X.
        shifts: (S,) px along each axis, down first; what leaves at one side enters at the other.
    """
    products = (np.conj(first) * second).sum(axis=0)
    rows = np.fft.ifft(products, axis=-2)[..., shifts, :]
    return np.asarray(np.fft.irfft(rows, width, axis=-1)[..., shifts], np.float32)


def _fast_length(length: int) -> int:
    """Return the next length with no prime factor over 5."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
