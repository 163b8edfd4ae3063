"""From a row of the index to a `PairedSample`: decode, resize, compose, augment.

A training sample is a pure function of (seed, epoch, sample id): neither workers nor ranks nor the
order of reading nor the cache change a pixel of it. Batches are made in `loader.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.cache import PairStore
from fusetrain.data.image import RAW_WINDOW, ThermalWindow, read_header
from fusetrain.data.index import DatasetIndex
from fusetrain.data.letterboxed import letterboxed
from fusetrain.data.photometric import (
    PhotometricRanges,
    apply_look,
    blend,
    draw_look,
    drop_modality,
)
from fusetrain.data.placement import (
    GeometryRanges,
    Placement,
    Size,
    draw_mosaic,
    draw_single,
)
from fusetrain.data.reader import PairReader
from fusetrain.data.transforms import (
    PADDING,
    Filling,
    Within,
    boxes_in_pixels,
    cut,
    letterbox_size,
    move_boxes,
    paste,
    size_filling,
    up_to_stride,
)
from fusetrain.sample import PairedSample

SAMPLE_STREAM = 1
MIXUP_ALPHA = 32.0
CANVAS_SAMPLE = 500
CANVAS_QUANTILE = 0.9


class SampleKey(NamedTuple):
    """What a training sample follows from, besides the seed.

    Attributes:
        epoch: 0-based.
        sample_id: Row of the index.
        compose: Mosaic and mixup may be used.
    """

    epoch: int
    sample_id: int
    compose: bool


@dataclass(frozen=True)
class Augmentation:
    """How training samples are varied; the default leaves pairs as they are.

    Attributes:
        mosaic: Share of samples composed of four pairs.
        mixup: Share of samples blended with another one.
        geometry: Draws that both modalities share.
        photometric: Draws of each modality.
        drop_rgb: Share of samples whose RGB is PADDING.
        drop_ir: Share of samples whose IR is PADDING.
    """

    mosaic: float = 0.0
    mixup: float = 0.0
    geometry: GeometryRanges = field(default_factory=GeometryRanges)
    photometric: PhotometricRanges = field(default_factory=PhotometricRanges)
    drop_rgb: float = 0.0
    drop_ir: float = 0.0


class TrainDataset:
    """Augmented training samples: mosaics on a square canvas, single pairs on a rectangular one.

    Pairs are kept with a long side of up to ``imgsz * (1 + scale)``, so that zooming in shows
    detail instead of blown-up pixels.

    Args:
        index: The pairs.
        imgsz: Side of the canvas in px; rounded up to the stride of the detector.
        augmentation: How samples are varied.
        window: Map from infrared counts to levels.
        seed: Seed of the run, the same on all ranks.
        cache: Where decoded pairs stay.
    """

    def __init__(
        self,
        index: DatasetIndex,
        *,
        imgsz: int,
        augmentation: Augmentation,
        window: ThermalWindow = RAW_WINDOW,
        seed: int = 0,
        cache: PairStore | None = None,
    ) -> None:
        self.index = index
        self.canvas = up_to_stride(imgsz)
        self.single_canvas_hw = _common_canvas(index, imgsz)
        self.augmentation = augmentation
        self.seed = seed
        self.reader = train_reader(
            index, imgsz=imgsz, scale=augmentation.geometry.scale, window=window, cache=cache
        )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: SampleKey) -> PairedSample:
        rng = np.random.default_rng(
            np.random.SeedSequence(self.seed, spawn_key=(SAMPLE_STREAM, key.epoch, key.sample_id))
        )
        augmentation = self.augmentation
        pixels, boxes, classes, original_hw = self._composed(rng, key.sample_id, key.compose)
        if key.compose and rng.random() < augmentation.mixup:
            other = int(rng.integers(len(self)))
            other_pixels, other_boxes, other_classes, _ = self._composed(rng, other, key.compose)
            pixels = blend(pixels, other_pixels, float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA)))
            boxes = np.concatenate((boxes, other_boxes))
            classes = np.concatenate((classes, other_classes))
        drop_modality(rng, pixels, drop_rgb=augmentation.drop_rgb, drop_ir=augmentation.drop_ir)
        return PairedSample(
            pixels=pixels,
            boxes_xyxy_px=boxes.astype(np.float32),
            classes=classes,
            sample_id=key.sample_id,
            canvas_from_original=np.array([1.0, 1.0, 0.0, 0.0]),
            original_size_hw=original_hw,
        )

    def _composed(
        self, rng: np.random.Generator, row: int, compose: bool
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.int64], Size]:
        """Return one pair, or a mosaic that begins with it, on a canvas with its boxes."""
        is_mosaic = compose and rng.random() < self.augmentation.mosaic
        may_be_mosaic = compose and self.augmentation.mosaic > 0
        canvas_hw = (self.canvas, self.canvas) if may_be_mosaic else self.single_canvas_hw
        rows = [row, *rng.integers(len(self), size=3).tolist()] if is_mosaic else [row]
        entries = [self.reader.read(number) for number in rows]
        sizes = [pixels.shape[:2] for pixels, _ in entries]
        geometry = self.augmentation.geometry
        if is_mosaic:
            placements = draw_mosaic(rng, sizes, canvas=self.canvas, ranges=geometry)
        else:
            placements = (draw_single(rng, sizes[0], canvas_hw=canvas_hw, ranges=geometry),)
        canvas = np.full((*canvas_hw, 4), PADDING, np.uint8)
        boxes, classes = [], []
        for number, (pixels, _), placement in zip(rows, entries, placements, strict=True):
            self._draw_tile(rng, canvas, pixels, placement)
            moved, kept = self._boxes(number, pixels.shape[:2], placement)
            boxes.append(moved[kept])
            classes.append(self.index.classes(number)[kept])
        return canvas, np.concatenate(boxes), np.concatenate(classes), entries[0][1]

    def _draw_tile(
        self,
        rng: np.random.Generator,
        canvas: NDArray[np.uint8],
        pixels: NDArray[np.uint8],
        placement: Placement,
    ) -> None:
        look = draw_look(rng, self.augmentation.photometric, canvas=self.canvas)
        tile = apply_look(rng, cut(pixels, placement), look)
        paste(canvas, tile, placement, pixels.shape[:2])

    def _boxes(
        self, row: int, size_hw: Size, placement: Placement
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        boxes_xyxy_px = boxes_in_pixels(self.index.boxes_cxcywh_unit(row), size_hw)
        return move_boxes(boxes_xyxy_px, placement)


def _common_canvas(index: DatasetIndex, imgsz: int) -> Size:
    """Return the smallest canvas that holds nine in ten pairs, letterboxed to ``imgsz``.

    Single pairs are trained on it, so that the network sees as little padding as in validation;
    a square canvas would be half grey for wide images. Up to CANVAS_SAMPLE pairs, evenly spaced,
    are looked at.
    """
    rows = range(0, len(index), -(-len(index) // CANVAS_SAMPLE) or 1)
    sizes = [
        size_filling(read_header(index.rgb_path(row), storage=index.storage).size_hw, imgsz)
        for row in rows
    ]
    height, width = np.quantile(sizes, CANVAS_QUANTILE, axis=0, method="higher").tolist()
    return up_to_stride(height), up_to_stride(width)


def stored_long_side(imgsz: int, scale: float) -> int:
    """Return the long side in px with which training pairs are kept (and cached) at most."""
    return round(up_to_stride(imgsz) * (1.0 + scale))


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


class ValDataset:
    """Pairs as they are, letterboxed: long side ``imgsz``, padded to the stride, not square.

    Args:
        index: The pairs.
        imgsz: Long side in px.
        window: Map from infrared counts to levels.
        cache: Where decoded pairs stay; not the one of a `TrainDataset`.
    """

    def __init__(
        self,
        index: DatasetIndex,
        *,
        imgsz: int,
        window: ThermalWindow = RAW_WINDOW,
        cache: PairStore | None = None,
    ) -> None:
        self.index = index
        self.imgsz = imgsz
        self.reader = val_reader(index, imgsz=imgsz, window=window, cache=cache)

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def canvases_hw(self) -> tuple[Size, ...]:
        """Return the canvas of each pair, from the headers of the RGB images.

        Raises:
            ImageError: A file is unreadable.
        """
        return tuple(
            letterbox_size(read_header(path, storage=self.index.storage).size_hw, self.imgsz)
            for path in map(self.index.rgb_path, range(len(self)))
        )

    def __getitem__(self, row: int) -> PairedSample:
        content, original_hw = self.reader.read(row)
        return letterboxed(
            content,
            original_hw,
            imgsz=self.imgsz,
            sample_id=row,
            boxes_cxcywh_unit=self.index.boxes_cxcywh_unit(row),
            classes=self.index.classes(row),
        )
