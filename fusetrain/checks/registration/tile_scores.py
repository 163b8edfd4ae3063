"""How well two gradient fields agree at every shift, tile by tile.

A score is a normalised correlation over what both images show at that shift (Padfield 2012, "Masked
object registration in the Fourier domain"), so that nothing wraps around and a small overlap is no
disadvantage. Tiles keep one bright thing from outvoting the rest, and tell who agrees with whom.
Shape legend: T tiles, S = 2 reach + 1 shifts a side; index [reach + dy, reach + dx] of a score is
the shift for which a thing at x in infrared is at x + dx in the visible image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.registration.correlation import correlations, fast_shape, spectra
from fusetrain.checks.registration.gradient_field import Field, integral

Scores = NDArray[np.float64]
Frame = tuple[int, int, int, int]

TILES_LONG, TILES_SHORT = 4, 3
# A tile with less than a hundredth of the energy of the best one has little to say.
EMPTY_SHARE = 1e-2


@dataclass(frozen=True)
class TileScores:
    """The scores of all tiles of a visible image.

    Attributes:
        scores: (T, S, S) in [-1, 1].
        centres_xy: (T, 2) centres of the tiles in px, from the centre of the image.
        grid: (T, 2) row and column of each tile.
        reach: Largest shift in px.
    """

    scores: Scores
    centres_xy: NDArray[np.float64]
    grid: NDArray[np.int64]
    reach: int

    @property
    def total(self) -> Scores:
        """Return (S, S), the mean over the tiles."""
        return np.asarray(self.scores.mean(axis=0))


def score_tiles(rgb: Field, ir: Field, *, reach: int) -> TileScores:
    """Return the scores of the tiles of ``rgb`` at all shifts of ``ir`` up to ``reach``.

    Args:
        rgb: (H, W) field of the visible image.
        ir: (H, W) field of the infrared image.
        reach: Largest shift in px along each axis.
    """
    height, width = rgb.shape
    rows, columns = (TILES_SHORT, TILES_LONG) if width >= height else (TILES_LONG, TILES_SHORT)
    tile_h, tile_w = -(-height // rows), -(-width // columns)
    below, right = rows * tile_h - height, columns * tile_w - width
    padded_rgb = np.pad(rgb, ((0, below), (0, right)))
    padded_ir = np.pad(ir, ((reach, reach + below), (reach, reach + right)))
    starts = [(row * tile_h, column * tile_w) for row in range(rows) for column in range(columns)]
    tiles = np.stack([padded_rgb[y : y + tile_h, x : x + tile_w] for y, x in starts])
    around = np.stack(
        [padded_ir[y : y + tile_h + 2 * reach, x : x + tile_w + 2 * reach] for y, x in starts]
    )
    products = _products(tiles, around, reach)
    frames = [(y, y + tile_h, x, x + tile_w) for y, x in starts]
    own = _own_energy(padded_rgb, frames, size_hw=(height, width), reach=reach)
    other = _other_energy(padded_ir, frames, reach)
    floor = EMPTY_SHARE * own.max() * other.max() + 1e-9
    grid = np.array([(y // tile_h, x // tile_w) for y, x in starts], np.int64)
    centres = np.array([(x + (tile_w - 1) / 2, y + (tile_h - 1) / 2) for y, x in starts])
    centres -= ((width - 1) / 2, (height - 1) / 2)
    return TileScores(products / np.sqrt(own * other + floor), centres, grid, reach)


def _products(tiles: Field, around: Field, reach: int) -> Scores:
    """Return (T, S, S), the sums of products of each tile with its surroundings."""
    shape = fast_shape(*around.shape[1:])
    sums = correlations(
        spectra(tiles, shape),
        spectra(around, shape),
        width=shape[1],
        shifts=np.arange(2 * reach, -1, -1),
    )
    return sums.astype(np.float64)


def _own_energy(rgb: Field, frames: list[Frame], *, size_hw: tuple[int, int], reach: int) -> Scores:
    """Return (T, S, S), the energy of each tile where the shifted other image has pixels."""
    sums = _energy_sums(rgb)
    shifts = np.arange(-reach, reach + 1)
    energies = []
    for top, bottom, left, right in frames:
        rows = [np.clip(shifts + length, top, bottom) for length in (0, size_hw[0])]
        columns = [np.clip(shifts + length, left, right) for length in (0, size_hw[1])]
        energies.append(_between(sums, rows, columns))
    return np.stack(energies)


def _other_energy(padded_ir: Field, frames: list[Frame], reach: int) -> Scores:
    """Return (T, S, S), the energy of the other image under each tile."""
    sums = _energy_sums(padded_ir)
    offsets = reach - np.arange(-reach, reach + 1)
    energies = []
    for top, bottom, left, right in frames:
        rows, columns = [offsets + top, offsets + bottom], [offsets + left, offsets + right]
        energies.append(_between(sums, rows, columns))
    return np.maximum(np.stack(energies), 0.0)


def _between(
    sums: Scores, rows: list[NDArray[np.int64]], columns: list[NDArray[np.int64]]
) -> Scores:
    """Return the sums over rectangles, from an integral image."""
    lower, upper = sums[rows[1]], sums[rows[0]]
    difference = lower - upper
    return np.asarray(difference[:, columns[1]] - difference[:, columns[0]])


def _energy_sums(field: Field) -> Scores:
    """Return the energy above and left of each corner between pixels, (H + 1, W + 1)."""
    return integral(field.real.astype(np.float64) ** 2 + field.imag.astype(np.float64) ** 2)
