"""Pairs with a known shift between their images, and the plain estimate that others are held to.

The shift is planted by cutting, never by moving: both images are brought to a long side of 640 px,
the visible one is cut to a window MARGIN_PX inside its borders, the infrared one to a window that
lies elsewhere. So both show real picture up to every edge; nothing wraps around, no border appears
that would give the shift away.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.registration.greys import read_greys
from fusetrain.data.index import scan_split
from fusetrain.data.spec import load_spec

LONG_SIDE = 640
MARGIN_PX = 40
# Mean level of a visible image below which it counts as dark.
DARK_LEVEL = 110.0
SIGMA_PX = 1.5

Grey = NDArray[np.float32]
Shift = tuple[float, float]


@dataclass(frozen=True)
class GreyPair:
    """One pair at a long side of 640 px.

    Attributes:
        name: Folder of the data set and name of the visible file.
        rgb: (H, W) levels.
        ir: (H, W) levels.
        is_dark: Named N (MSRS) or with a dark visible image.
    """

    name: str
    rgb: Grey
    ir: Grey
    is_dark: bool


def load_pairs(folders: list[Path]) -> list[GreyPair]:
    """Return all readable pairs of some data sets, in the order of their indexes."""
    found = []
    for folder in folders:
        spec = load_spec(folder)
        for split in spec.splits:
            index = scan_split(spec, split).index
            for row in range(len(index)):
                greys = read_greys(
                    index.root, index.rgb_paths[row], index.ir_paths[row], storage=index.storage
                )
                if greys is not None:
                    found.append(_pair(f"{folder.name}/{Path(index.rgb_paths[row]).name}", *greys))
    return found


def planted(pair: GreyPair, shift: tuple[int, int], *, ir: Grey | None = None) -> tuple[Grey, Grey]:
    """Return a pair whose infrared image must move by ``shift`` (dx, dy) px more than before."""
    height, width = pair.rgb.shape
    dx, dy = shift
    margin = MARGIN_PX
    other = pair.ir if ir is None else ir
    return (
        pair.rgb[margin : height - margin, margin : width - margin],
        other[margin + dy : height - margin + dy, margin + dx : width - margin + dx],
    )


def plain_shift(rgb: Grey, ir: Grey) -> Shift:
    """Return the shift by a plain correlation of gradient fields, the baseline.

    The gradient of a Gaussian, its angle doubled, over its median strength, under a Hann window,
    correlated by a Fourier transform that wraps around; the highest value wins.
    """
    spectra = [np.fft.fft2(_plain_field(grey)) for grey in (rgb, ir)]
    scores = np.fft.ifft2(spectra[0] * np.conj(spectra[1])).real
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    height, width = scores.shape
    dx, dy = (column + width // 2) % width - width // 2, (row + height // 2) % height - height // 2
    return float(dx), float(dy)


def _pair(name: str, rgb: NDArray[np.generic], ir: NDArray[np.generic]) -> GreyPair:
    share = LONG_SIDE / max(rgb.shape)
    size = round(rgb.shape[1] * share), round(rgb.shape[0] * share)
    large, other = (
        np.asarray(
            Image.fromarray(np.asarray(grey, np.float32)).resize(size, Image.Resampling.BILINEAR)
        )
        for grey in (rgb, ir)
    )
    stem = name.rpartition(".")[0]
    is_named = stem[-1] in "ND" and stem[-2].isdigit()
    is_dark = stem[-1] == "N" if is_named else float(large.mean()) < DARK_LEVEL
    return GreyPair(name, large, other, bool(is_dark))


def _plain_field(grey: Grey) -> NDArray[np.complex64]:
    offsets = np.arange(-6, 7)
    weights = np.exp(-(offsets**2) / (2.0 * SIGMA_PX**2))
    smooth = grey
    for axis in (0, 1):
        smooth = np.apply_along_axis(np.convolve, axis, smooth, weights / weights.sum(), "same")
    down, right = np.gradient(smooth)
    gradient = right + 1j * down
    strength = np.abs(gradient)
    field = gradient**2 / np.maximum(strength, 1e-6) / (np.median(strength) + 1e-6)
    return np.asarray(
        field * np.hanning(grey.shape[0])[:, None] * np.hanning(grey.shape[1]), np.complex64
    )
