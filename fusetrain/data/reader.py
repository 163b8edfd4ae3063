"""Reads pairs in the size they are worked with: decode, resize, pack, keep in the cache.

A pair is one (H, W, 4) uint8 array R, G, B, IR, so that whatever moves it moves both modalities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.cache import Entry, PairStore
from fusetrain.data.decode import patiently
from fusetrain.data.image import (
    RAW_WINDOW,
    ThermalWindow,
    read_both,
    read_header,
    read_ir,
    read_rgb,
)
from fusetrain.data.index import DatasetIndex
from fusetrain.data.placement import Size
from fusetrain.data.transforms import PADDING, Filling, Within, resize


@dataclass(frozen=True)
class PairReader:
    """Reads pairs of an index as (H, W, 4) uint8 in their working size.

    Attributes:
        index: The pairs.
        working_size: Original height and width to those in which a pair is kept and cached; its
            repr stands for it in the keys of disk caches.
        window: Map from infrared counts to levels.
        cache: Where decoded pairs stay; None reads the files each time.
        retries: How often a pair is read again where the file system failed.
    """

    index: DatasetIndex
    working_size: Callable[[Size], Size]
    window: ThermalWindow = RAW_WINDOW
    cache: PairStore | None = None
    retries: int = 0

    def read(self, row: int) -> Entry:
        """Return pixels, not to be written to, and height and width of the RGB image on disk.

        Raises:
            ImageError: An image cannot be read.
        """
        if self.cache is not None and (entry := self.cache.get(row)) is not None:
            return entry
        return patiently(lambda: self._decoded(row), retries=self.retries)

    def _decoded(self, row: int) -> Entry:
        """Read a pair from its files and put it into the cache."""
        rgb_path, ir_path = self.index.rgb_path(row), self.index.ir_path(row)
        storage = self.index.storage
        original_hw = read_header(rgb_path, storage=storage).size_hw
        size_hw = self.working_size(original_hw)
        if storage.channels == "rgbt":
            pixels = pack(*read_both(rgb_path, self.window, storage=storage), size_hw)
        else:
            longest = max(size_hw)
            is_there = {own: storage.channels in ("separate", own) for own in ("rgb", "ir")}
            pixels = pack(
                read_rgb(rgb_path, target_size=longest, storage=storage)
                if is_there["rgb"]
                else None,
                read_ir(ir_path, self.window, target_size=longest, storage=storage)
                if is_there["ir"]
                else None,
                size_hw,
            )
        if self.cache is not None:
            self.cache.put(row, pixels, original_hw)
        return pixels, original_hw


def pack(
    rgb: NDArray[np.uint8] | None, ir: NDArray[np.uint8] | None, size_hw: Size
) -> NDArray[np.uint8]:
    """Return RGB (H, W, 3) and IR (h, w) together as (*size_hw, 4); sizes may differ.

    One of them may be missing; it is as grey as padding then.
    """
    if rgb is None:
        assert ir is not None, "one modality is there"
        rgb = np.full((*ir.shape, 3), PADDING, np.uint8)
    if ir is None:
        ir = np.full(rgb.shape[:2], PADDING, np.uint8)
    if rgb.shape[:2] != ir.shape:
        rgb, ir = resize(rgb, size_hw), resize(ir[:, :, None], size_hw)[:, :, 0]
    pixels = np.empty((*ir.shape, 4), np.uint8)
    for channel in range(3):  # one by one is three times as fast as three at once
        pixels[..., channel] = rgb[..., channel]
    pixels[..., 3] = ir
    return resize(pixels, size_hw)


def stored_long_side(imgsz: int, scale: float) -> int:
    """Return the long side in px with which training pairs are kept (and cached) at most."""
    return round(imgsz * (1.0 + scale))


def train_reader(
    index: DatasetIndex,
    *,
    imgsz: int,
    scale: float,
    window: ThermalWindow = RAW_WINDOW,
    cache: PairStore | None = None,
) -> PairReader:
    """Return what reads the pairs of a `TrainDataset`; ``scale`` is the zoom of its geometry."""
    return PairReader(index, Within(stored_long_side(imgsz, scale)), window, cache)


def val_reader(
    index: DatasetIndex,
    *,
    imgsz: int,
    window: ThermalWindow = RAW_WINDOW,
    cache: PairStore | None = None,
) -> PairReader:
    """Return what reads the pairs of a `ValDataset`."""
    return PairReader(index, Filling(imgsz), window, cache)
