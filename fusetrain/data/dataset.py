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

from fusetrain.data.cache import Entry, PairStore
from fusetrain.data.image import RAW_WINDOW, ThermalWindow
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
from fusetrain.data.quarantine import LeftOutError, Quarantine
from fusetrain.data.reader import train_reader, val_reader
from fusetrain.data.transforms import (
    PADDING,
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
STAND_IN_STREAM = 2
MAX_STAND_INS = 16
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
        quarantine: Pairs that are left out, and what happens then; None fails.
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
        quarantine: Quarantine | None = None,
    ) -> None:
        self.index = index
        self.quarantine = quarantine or Quarantine(index)
        self.canvas = up_to_stride(imgsz)
        self.single_canvas_hw = _common_canvas(index, imgsz, self.quarantine)
        self.augmentation = augmentation
        self.seed = seed
        self.reader = train_reader(
            index, imgsz=imgsz, scale=augmentation.geometry.scale, window=window, cache=cache
        )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: SampleKey) -> PairedSample:
        """Return a sample.

        Raises:
            ImageError: An image cannot be read, and that is not put up with.
            LeftOutError: The pair is left out, or none was found to stand in for it.
        """
        rng = np.random.default_rng(
            np.random.SeedSequence(self.seed, spawn_key=(SAMPLE_STREAM, key.epoch, key.sample_id))
        )
        augmentation = self.augmentation
        skips = self.quarantine.policy == "skip"
        row, original_hw, pixels, boxes, classes = self._composed(rng, key, may_skip=skips)
        if key.compose and rng.random() < augmentation.mixup:
            other = key._replace(sample_id=int(rng.integers(len(self))))
            *_, other_pixels, other_boxes, other_classes = self._composed(rng, other)
            pixels = blend(pixels, other_pixels, float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA)))
            boxes = np.concatenate((boxes, other_boxes))
            classes = np.concatenate((classes, other_classes))
        drop_modality(rng, pixels, drop_rgb=augmentation.drop_rgb, drop_ir=augmentation.drop_ir)
        return PairedSample(
            pixels=pixels,
            boxes_xyxy_px=boxes.astype(np.float32),
            classes=classes,
            sample_id=row,
            canvas_from_original=np.array([1.0, 1.0, 0.0, 0.0]),
            original_size_hw=original_hw,
        )

    def _composed(
        self, rng: np.random.Generator, key: SampleKey, *, may_skip: bool = False
    ) -> tuple[int, Size, NDArray[np.uint8], NDArray[np.float64], NDArray[np.int64]]:
        """Return one pair, or a mosaic that begins with it, on a canvas with its boxes.

        Before them stand the row of the pair and the original size of its RGB image.
        """
        is_mosaic = key.compose and rng.random() < self.augmentation.mosaic
        may_be_mosaic = key.compose and self.augmentation.mosaic > 0
        canvas_hw = (self.canvas, self.canvas) if may_be_mosaic else self.single_canvas_hw
        others = rng.integers(len(self), size=3).tolist() if is_mosaic else []
        pairs = [self._pair(key.epoch, key.sample_id, may_skip=may_skip)]
        pairs += [self._pair(key.epoch, other) for other in others]
        sizes = [pixels.shape[:2] for _, (pixels, _) in pairs]
        geometry = self.augmentation.geometry
        if is_mosaic:
            placements = draw_mosaic(rng, sizes, canvas=self.canvas, ranges=geometry)
        else:
            placements = (draw_single(rng, sizes[0], canvas_hw=canvas_hw, ranges=geometry),)
        canvas = np.full((*canvas_hw, 4), PADDING, np.uint8)
        boxes, classes = [], []
        for (number, (pixels, _)), placement in zip(pairs, placements, strict=True):
            self._draw_tile(rng, canvas, pixels, placement)
            whole = boxes_in_pixels(self.index.boxes_cxcywh_unit(number), pixels.shape[:2])
            moved, kept = move_boxes(whole, placement)
            boxes.append(moved[kept])
            classes.append(self.index.classes(number)[kept])
        first, (_, original_hw) = pairs[0]
        return first, original_hw, canvas, np.concatenate(boxes), np.concatenate(classes)

    def _pair(self, epoch: int, row: int, *, may_skip: bool = False) -> tuple[int, Entry]:
        """Return a pair and its row; of one that is left out, the pair that stands in for it.

        Which one that is follows from seed, epoch and row, so that nothing else is drawn anew.
        """
        entry = self.quarantine.read(self.reader, row)
        if entry is None and not may_skip:
            sequence = np.random.SeedSequence(self.seed, spawn_key=(STAND_IN_STREAM, epoch, row))
            rng = np.random.default_rng(sequence)
            for row in rng.integers(len(self), size=MAX_STAND_INS).tolist():
                entry = self.quarantine.read(self.reader, row)
                if entry is not None:
                    break
        if entry is None:
            raise LeftOutError
        return row, entry

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


def _common_canvas(index: DatasetIndex, imgsz: int, quarantine: Quarantine) -> Size:
    """Return the smallest canvas that holds nine in ten pairs, letterboxed to ``imgsz``.

    Single pairs are trained on it, so that the network sees as little padding as in validation;
    a square canvas would be half grey for wide images. Up to CANVAS_SAMPLE pairs, evenly spaced,
    are looked at.
    """
    rows = range(0, len(index), -(-len(index) // CANVAS_SAMPLE) or 1)
    sizes = [size_filling(size_hw, imgsz) for size_hw in map(quarantine.size_hw, rows) if size_hw]
    height, width = np.quantile(sizes, CANVAS_QUANTILE, axis=0, method="higher").tolist()
    return up_to_stride(height), up_to_stride(width)


class ValDataset:
    """Pairs as they are, letterboxed: long side ``imgsz``, padded to the stride, not square.

    Args:
        index: The pairs.
        imgsz: Long side in px.
        window: Map from infrared counts to levels.
        cache: Where decoded pairs stay; not the one of a `TrainDataset`.
        quarantine: Pairs that are left out; None fails at an image that cannot be read.
    """

    def __init__(
        self,
        index: DatasetIndex,
        *,
        imgsz: int,
        window: ThermalWindow = RAW_WINDOW,
        cache: PairStore | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        self.index = index
        self.quarantine = quarantine or Quarantine(index)
        self.imgsz = imgsz
        self.reader = val_reader(index, imgsz=imgsz, window=window, cache=cache)

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def canvases_hw(self) -> tuple[Size | None, ...]:
        """Return the canvas of each pair, from the headers of the RGB images.

        None stands for a pair that is left out.

        Raises:
            ImageError: A file is unreadable, and that is not put up with.
        """
        sizes = map(self.quarantine.size_hw, range(len(self)))
        return tuple(size_hw and letterbox_size(size_hw, self.imgsz) for size_hw in sizes)

    def __getitem__(self, row: int) -> PairedSample:
        """Return a pair.

        Raises:
            ImageError: An image cannot be read, and that is not put up with.
            LeftOutError: The pair is left out.
        """
        entry = self.quarantine.read(self.reader, row)
        if entry is None:
            raise LeftOutError
        content, original_hw = entry
        return letterboxed(
            content,
            original_hw,
            imgsz=self.imgsz,
            sample_id=row,
            boxes_cxcywh_unit=self.index.boxes_cxcywh_unit(row),
            classes=self.index.classes(row),
        )
