"""What visible and infrared images have in common: where edges are and along which line they run.

A warm car is bright in infrared and dark in visible light, but its outline lies in the same place.
So a picture becomes a field of complex numbers: the doubled angle of the gradient, in which an edge
and its negative are one, and a strength relative to the surroundings, by which the weak edges of a
night scene count like the strong ones of a lit sign. Nothing is compared here.
Shape legend: H x W pixels of the working canvas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.float32]
Field = NDArray[np.complex64]

SIGMA_PX = 1.0
NORMALISE_RADIUS_PX = 6
# An edge this many times weaker than the usual one is noise.
FLOOR_SHARE = 0.7
FLOOR_LEVELS = 0.05
# Differences within a row that one of plain colour may have, in levels: rounding of JPEG.
PLAIN_LEVELS = 6.0
MARGIN_PX = 3


def on_canvas(grey: NDArray[np.generic], size_hw: tuple[int, int]) -> Grey:
    """Return an image of one channel, resized to (H, W), float32."""
    image = Image.fromarray(np.asarray(grey, np.float32))
    if image.size == (size_hw[1], size_hw[0]):
        return np.asarray(image, np.float32)
    resized = image.resize((size_hw[1], size_hw[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32)


def gradient_field(grey: Grey) -> Field | None:
    """Return (H, W) complex64: strength 0 to about 1, angle twice that of the gradient.

    Plain rows and columns along the borders (letterboxes, frames) are zero, and so is a margin
    inside them, because the edge of a frame belongs to the frame.

    Args:
        grey: (H, W) in levels, 0 to 255.

    Returns:
        None where the image is blank.
    """
    live = live_rectangle(grey)
    if live is None:
        return None
    field = np.zeros(grey.shape, np.complex64)
    field[live] = _normalised(_doubled(_blur(grey[live], SIGMA_PX)))
    inner = np.zeros(grey.shape, np.bool_)
    inner[_shrunk(live[0], grey.shape[0]), _shrunk(live[1], grey.shape[1])] = True
    field[~inner] = 0.0
    return field


def integral(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums above and left of each corner between pixels, (H + 1, W + 1)."""
    height, width = values.shape
    sums = np.zeros((height + 1, width + 1))
    for row in range(height):  # numpy's own way down the columns takes six times as long
        np.add(sums[row, 1:], values[row], out=sums[row + 1, 1:])
    sums[:, 1:] = sums[:, 1:].cumsum(axis=1)
    return sums


def live_rectangle(grey: Grey) -> tuple[slice, slice] | None:
    """Return the rows and columns that remain without plain borders; None if too few remain."""
    spans = []
    for axis in (1, 0):
        alive = np.flatnonzero(np.ptp(grey, axis=axis) > PLAIN_LEVELS)
        if len(alive) < 4 * NORMALISE_RADIUS_PX:
            return None
        spans.append(slice(int(alive[0]), int(alive[-1]) + 1))
    return spans[0], spans[1]


def _shrunk(span: slice, length: int) -> slice:
    """Return a span without the margin on the sides where something plain was cut off."""
    start = span.start + MARGIN_PX if span.start > 0 else 0
    return slice(start, span.stop - MARGIN_PX if span.stop < length else length)


def _doubled(grey: Grey) -> tuple[Grey, Grey]:
    """Return the gradient with its angle doubled, smoothed, as real and imaginary part."""
    down, right = np.gradient(grey)
    strength = np.sqrt(right * right + down * down) + np.float32(1e-6)
    real = (right * right - down * down) / strength
    imaginary = 2.0 * right * down / strength
    return _blur(real, SIGMA_PX), _blur(imaginary, SIGMA_PX)


def _normalised(parts: tuple[Grey, Grey]) -> Field:
    """Divide by the strength that is usual around each pixel."""
    real, imaginary = parts
    energy = real * real + imaginary * imaginary
    floor = FLOOR_SHARE * float(np.median(np.sqrt(energy))) + FLOOR_LEVELS
    gain = 1.0 / (np.sqrt(np.maximum(_box_mean(energy, NORMALISE_RADIUS_PX), 0.0)) + floor)
    field = np.empty(real.shape, np.complex64)
    field.real, field.imag = real * gain, imaginary * gain
    return field


def _blur(grey: Grey, sigma_px: float) -> Grey:
    """Return the image under a Gaussian, borders repeated."""
    radius = int(3 * sigma_px + 1)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-(offsets**2) / (2.0 * sigma_px**2))
    weights /= weights.sum()
    height, width = grey.shape
    padded = np.pad(grey, ((radius, radius), (0, 0)), mode="edge")
    rows = _weighted([padded[start : start + height] for start in range(len(weights))], weights)
    padded = np.pad(rows, ((0, 0), (radius, radius)), mode="edge")
    return _weighted([padded[:, start : start + width] for start in range(len(weights))], weights)


def _weighted(parts: list[Grey], weights: NDArray[np.float64]) -> Grey:
    total = np.zeros(parts[0].shape, np.float32)
    for part, weight in zip(parts, weights, strict=True):
        total += np.float32(weight) * part
    return total


def _box_mean(values: Grey, radius: int) -> Grey:
    """Return the mean over squares of 2 radius + 1 px, borders mirrored."""
    side = 2 * radius + 1
    padded = np.pad(values.astype(np.float64), radius, mode="reflect")
    sums = integral(padded)
    box = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.asarray(box / side**2, np.float32)
