"""Similarities of the plane: composed, applied to gradient fields, fitted to shifts of tiles.

Points are px from the centre of the working canvas, x to the right and y down, so that a positive
turn is clockwise as seen. Nothing is estimated from pixels here.
Shape legend: T tiles, S shifts a side, H x W px.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.registration.gradient_field import Field
from fusetrain.checks.registration.tile_scores import Scores

# A tile says something about turn and scale if its peak near the common one stands out so far.
MIN_HEIGHT = 2.0
NEAR_PX = 7
INLIER_PX = 1.5
MIN_INLIERS = 5
# Distance in px beyond which a tile loses weight, round by round.
FIT_SCALES_PX = (6.0, 4.0, 3.0, 2.0, 1.5, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Similarity:
    """Points p become ``scale * turn(p) + (dx, dy)``.

    Attributes:
        dx: Shift of the centre to the right, px.
        dy: Shift of the centre downwards, px.
        turn_deg: Clockwise turn.
        scale: Factor.
    """

    dx: float
    dy: float
    turn_deg: float
    scale: float

    @property
    def factor(self) -> complex:
        """Return turn and scale as one complex number; y is the imaginary axis."""
        return cmath.rect(self.scale, math.radians(self.turn_deg))

    def after(self, first: Similarity) -> Similarity:
        """Return the similarity that does ``first`` and then this one."""
        factor = self.factor * first.factor
        shift = self.factor * complex(first.dx, first.dy) + complex(self.dx, self.dy)
        return _from_complex(factor, shift)

    def corner_px(self, size_hw: tuple[int, ...]) -> float:
        """Return how far turn and scale alone move the corners of a canvas."""
        return abs(self.factor - 1.0) * math.hypot(*size_hw) / 2.0


IDENTITY = Similarity(0.0, 0.0, 0.0, 1.0)


def moved(field: Field, similarity: Similarity) -> Field:
    """Return a field as it would be had its picture been moved; zero where nothing is known.

    Args:
        field: (H, W) gradient field; its angles are doubled ones and turn twice as far.
        similarity: From where things are to where they shall be.
    """
    height, width = field.shape
    inverse = 1.0 / similarity.factor
    # Pillow asks where the centre of each pixel comes from; its coordinates are those of corners.
    centre = complex(width / 2.0, height / 2.0)
    offset = centre - inverse * (centre + complex(similarity.dx, similarity.dy))
    matrix = (inverse.real, -inverse.imag, offset.real, inverse.imag, inverse.real, offset.imag)
    real, imaginary = (
        np.asarray(
            Image.fromarray(np.ascontiguousarray(part)).transform(
                (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
            )
        )
        for part in (field.real, field.imag)
    )
    twice = cmath.rect(1.0, 2.0 * math.radians(similarity.turn_deg))
    return np.asarray((real + 1j * imaginary) * twice, np.complex64)


def fit_similarity(
    scores: Scores, centres_xy: NDArray[np.float64], *, shift: tuple[float, float], reach: int
) -> Similarity | None:
    """Return the similarity that explains where each tile finds its best shift.

    Args:
        scores: (T, S, S) scores of the tiles.
        centres_xy: (T, 2) their centres in the visible image.
        shift: The common shift; tiles look for their own within NEAR_PX of it.
        reach: Largest shift of the scores.

    Returns:
        None where fewer than MIN_INLIERS tiles agree.
    """
    found = [_own_peak(tile, shift=shift, reach=reach) for tile in scores]
    known = [number for number, peak in enumerate(found) if peak is not None]
    if len(known) < MIN_INLIERS:
        return None
    there = centres_xy[known] @ np.array([1.0, 1j])
    back = there - np.array([complex(*peak[:2]) for peak in found if peak is not None])
    weights = np.array([peak[2] for peak in found if peak is not None])
    # What a visible point q shows lies at p = a q + b in infrared; outliers lose their weight.
    usual = np.ones(len(there))
    for scale_px in FIT_SCALES_PX:
        a, b = _line(there, back, weights * usual)
        distances = np.abs(back - (a * there + b))
        usual = 1.0 / (1.0 + (distances / scale_px) ** 2)
    inliers = distances <= INLIER_PX
    if inliers.sum() < MIN_INLIERS or not _is_spread(there[inliers]):
        return None
    return _from_complex(1.0 / a, -b / a)


def _line(
    there: NDArray[np.complex128], back: NDArray[np.complex128], weights: NDArray[np.float64]
) -> tuple[complex, complex]:
    """Return a and b of the weighted least squares fit back = a * there + b."""
    share = weights / weights.sum()
    middle, other = complex((share * there).sum()), complex((share * back).sum())
    centred = there - middle
    a = complex((share * np.conj(centred) * (back - other)).sum())
    a /= float((share * np.abs(centred) ** 2).sum())
    return a, other - a * middle


def _is_spread(points: NDArray[np.complex128]) -> bool:
    """Say whether points lie apart along both axes, so that turn and scale can be told."""
    return bool(np.ptp(points.real) > NEAR_PX and np.ptp(points.imag) > NEAR_PX)


def _own_peak(
    scores: Scores, *, shift: tuple[float, float], reach: int
) -> tuple[float, float, float] | None:
    """Return dx, dy and weight of the best shift of a tile near the common one."""
    column, row = (round(value) + reach for value in shift)
    top, left = max(0, row - NEAR_PX), max(0, column - NEAR_PX)
    near = scores[top : row + NEAR_PX + 1, left : column + NEAR_PX + 1]
    down, across = np.unravel_index(int(near.argmax()), near.shape)
    if down in (0, near.shape[0] - 1) or across in (0, near.shape[1] - 1):
        return None
    median = float(np.median(scores))
    deviation = 1.4826 * float(np.median(np.abs(scores - median))) + 1e-9
    height = (float(near[down, across]) - median) / deviation
    if height < MIN_HEIGHT:
        return None
    x = across + _vertex(near[down, across - 1 : across + 2])
    y = down + _vertex(near[down - 1 : down + 2, across])
    return float(left + x - reach), float(top + y - reach), height


def _vertex(three: Scores) -> float:
    """Return the offset of the vertex of the parabola through three scores."""
    before, peak, after = three
    bend = before - 2.0 * peak + after
    return float(0.5 * (before - after) / bend) if bend < 0.0 else 0.0


def _from_complex(factor: complex, shift: complex) -> Similarity:
    return Similarity(shift.real, shift.imag, math.degrees(cmath.phase(factor)), abs(factor))
