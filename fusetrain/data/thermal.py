"""The window through which a training sees raw infrared counts, from the policy of its data set.

`image.py` reads images through it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.image import BITS, RAW_WINDOW, ThermalWindow, read_counts, read_header
from fusetrain.data.rgbt import infrared_mode
from fusetrain.data.storage import AS_FILES, Storage

WINDOW_IMAGES = 64
WINDOW_COUNTS = 65536
CLIPPED = (0.5, 99.5)


def window_rows(count: int) -> range:
    """Return which of ``count`` images a window is taken from: WINDOW_IMAGES, evenly spaced."""
    return range(0, count, max(1, -(-count // WINDOW_IMAGES)))


def thermal_window(
    thermal: str | tuple[float, float],
    ir_paths: Sequence[str | os.PathLike[str]],
    *,
    storage: Storage = AS_FILES,
) -> ThermalWindow:
    """Turn the `thermal` policy of a data set into a window.

    Of counts it is taken from the 0.5 to the 99.5 percentile of the pixels, without those of a
    value that only fills places where nothing was measured.

    Args:
        thermal: `DataSpec.thermal`: auto, raw, percentile, or a range of raw counts.
        ir_paths: Infrared images of the training split, in the order of their index, all of them
            or those of `window_rows` alone: no others are looked at.
        storage: How the pictures of the data set lie in their files.

    Raises:
        ImageError: One of the images that are looked at cannot be read.
    """
    if isinstance(thermal, tuple):
        low, high = thermal
        return ThermalWindow("range", low, high, deep_only=False)
    sampled = [ir_paths[row] for row in window_rows(len(ir_paths))]
    if thermal == "auto":
        sampled = [path for path in sampled if is_deep(path, storage)]
    if thermal == "raw" or not sampled:
        return RAW_WINDOW
    counts = _without_fill(np.concatenate([_finite_counts(path, storage) for path in sampled]))
    low, high = np.percentile(counts, CLIPPED) if counts.size else (0.0, 1.0)
    return ThermalWindow("percentile", float(low), float(high), deep_only=thermal == "auto")


def sampled_counts(
    path: str | os.PathLike[str], storage: Storage = AS_FILES
) -> NDArray[np.generic]:
    """Return about WINDOW_COUNTS counts of an infrared image, evenly spaced, in their own type.

    Raises:
        ImageError: It cannot be read.
    """
    counts = read_counts(path, storage=storage).ravel()
    return counts[:: max(1, counts.size // WINDOW_COUNTS)]


def is_deep(path: str | os.PathLike[str], storage: Storage) -> bool:
    """Return whether the infrared image has more than 8 bits a sample."""
    if storage.channels == "rgbt":
        return BITS.get(infrared_mode(path) or "", 8) > 8
    return read_header(path).bits > 8


def _finite_counts(path: str | os.PathLike[str], storage: Storage) -> NDArray[np.float64]:
    counts = sampled_counts(path, storage).astype(np.float64)
    return np.asarray(counts[np.isfinite(counts)], np.float64)


def _without_fill(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out the smallest and the largest count where it stands alone: a rim, or no data.

    It does where all others take less room than lies between them and it.
    """
    if not counts.size:
        return counts
    ends = counts.min(), counts.max()
    inner = counts[(counts > ends[0]) & (counts < ends[1])]
    low, high = np.percentile(inner, CLIPPED) if inner.size else ends
    for end in ends:
        if 0 < high - low < min(abs(low - end), abs(high - end)):
            counts = counts[counts != end]
    return counts
