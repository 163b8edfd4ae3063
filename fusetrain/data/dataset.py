"""From a row of the index to a training sample: decode, resize, compose, augment.

A training sample is a pure function of (seed, epoch, sample id, turn): neither workers nor ranks
nor the order of reading nor the cache change a pixel of it. Samples for validation are made in
`letterboxed.py`, batches in `loader.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.cache import Entry, PairStore
from fusetrain.data.copy_paste import Donor, paste_objects
from fusetrain.data.image import RAW_WINDOW, ThermalWindow
from fusetrain.data.index import DatasetIndex
from fusetrain.data.order import SampleKey, class_weights, rows_at
from fusetrain.data.photometric import (
    PhotometricRanges,
    apply_look,
    blend,
    draw_looks,
    drop_modality,
)
from fusetrain.data.placement import (
    GeometryRanges,
    Placement,
    Size,
    draw_mosaic,
    draw_single,
    zoom_of,
)
from fusetrain.data.quarantine import LeftOutError, Quarantine
from fusetrain.data.reader import train_reader
from fusetrain.data.transforms import (
    NO_MARKS,
    PADDING,
    Marks,
    boxes_in_pixels,
    cut,
    marks_on_canvas,
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


@dataclass(frozen=True)
class Augmentation:
    """How training samples are varied; the default leaves pairs as they are.

    Attributes:
        mosaic: Share of samples composed of four pairs.
        mixup: Share of samples blended with another one.
        copy_paste: Share of samples onto which objects of another pair are pasted.
        geometry: Draws that both modalities share.
        photometric: Draws of each modality.
        drop_rgb: Share of samples whose RGB is PADDING.
        drop_ir: Share of samples whose IR is PADDING.
    """

    mosaic: float = 0.0
    mixup: float = 0.0
    copy_paste: float = 0.0
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
        balance: How much more often pairs of rare classes are shown; see `order.class_weights`.
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
        balance: float = 0.0,
        cache: PairStore | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        self.index = index
        self.quarantine = quarantine or Quarantine(index)
        self.imgsz = imgsz
        self.canvas = up_to_stride(imgsz)
        self.single_canvas_hw = _common_canvas(index, imgsz, self.quarantine)
        self.augmentation = augmentation
        self.seed = seed
        self.weights = class_weights(index, balance)
        self._edges = None if self.weights is None else np.cumsum(self.weights)
        self.reader = train_reader(
            index, imgsz=imgsz, scale=augmentation.geometry.scale, window=window, cache=cache
        )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: SampleKey) -> PairedSample:
        """Return a sample; see `draw`."""
        return self.draw(key, np.empty((*self.canvas_hw(key), 4), np.uint8))

    def canvas_hw(self, key: SampleKey) -> Size:
        """Return height and width of a sample in px, the same for all keys of an epoch."""
        may_be_mosaic = key.compose and self.augmentation.mosaic > 0
        return (self.canvas, self.canvas) if may_be_mosaic else self.single_canvas_hw

    def draw(self, key: SampleKey, canvas: NDArray[np.uint8]) -> PairedSample:
        """Return a sample whose pixels are drawn on a canvas.

        Args:
            key: Which sample.
            canvas: (H, W, 4) of `canvas_hw`, dense; what was there before plays no part.

        Raises:
            ImageError: An image cannot be read, and that is not put up with.
            LeftOutError: The pair is left out, or none was found to stand in for it.
        """
        rng = self._generator(key)
        augmentation = self.augmentation
        skips = self.quarantine.policy == "skip"
        row, original_hw, marks, excluded = self._compose(rng, key, canvas, may_skip=skips)
        if key.compose and rng.random() < augmentation.copy_paste:
            marks += self._copy_paste(rng, key, canvas, marks.boxes_xyxy_px)
        if key.compose and rng.random() < augmentation.mixup:
            (partner,) = self._partners(rng, 1)
            other = key._replace(sample_id=partner)
            second = np.empty_like(canvas)
            _, _, other_marks, other_excluded = self._compose(rng, other, second)
            blend(canvas, second, float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA)), out=canvas)
            marks += other_marks
            excluded += other_excluded
        drop_modality(rng, canvas, drop_rgb=augmentation.drop_rgb, drop_ir=augmentation.drop_ir)
        return PairedSample(
            pixels=canvas,
            boxes_xyxy_px=marks.boxes_xyxy_px.astype(np.float32),
            classes=marks.classes,
            sample_id=row,
            canvas_from_original=np.array([1.0, 1.0, 0.0, 0.0]),
            original_size_hw=original_hw,
            excluded_xyxy_px=excluded.boxes_xyxy_px.astype(np.float32),
            excluded_classes=excluded.classes,
        )

    def _generator(self, key: SampleKey) -> np.random.Generator:
        """Return the source of all draws of a sample."""
        place: tuple[int, ...] = (SAMPLE_STREAM, key.epoch, key.sample_id)
        # The first turn has none in it: a balanced epoch shows what any other would.
        place += (key.turn,) if key.turn else ()
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=place))

    def _partners(self, rng: np.random.Generator, count: int) -> list[int]:
        """Draw the rows of pairs that join another one, rare classes as often as in the order."""
        if self._edges is None:
            return list(map(int, rng.integers(len(self), size=count)))
        return list(map(int, rows_at(self._edges, rng.random(count) * self._edges[-1])))

    def _copy_paste(
        self,
        rng: np.random.Generator,
        key: SampleKey,
        canvas: NDArray[np.uint8],
        boxes: NDArray[np.float64],
    ) -> Marks:
        """Paste objects of a random pair and return them."""
        (partner,) = self._partners(rng, 1)
        row, (pixels, _) = self._pair(key.epoch, partner)
        ranges = self.augmentation.geometry
        (look,) = draw_looks(rng, self.augmentation.photometric, canvas=self.canvas, count=1)
        donor = Donor(
            pixels,
            boxes_in_pixels(self.index.boxes_cxcywh_unit(row), pixels.shape[:2]),
            zoom_of(rng.random(), pixels.shape[:2], long_side=self.imgsz, scale=ranges.scale),
            replace(look, ir_shift_xy=(0, 0)),  # so small a tile would lose what moves
            ranges.fliplr,
        )
        pasted, numbers = paste_objects(rng, canvas, boxes, donor)
        return Marks(pasted, self.index.classes(row)[numbers])

    def _compose(
        self,
        rng: np.random.Generator,
        key: SampleKey,
        canvas: NDArray[np.uint8],
        *,
        may_skip: bool = False,
    ) -> tuple[int, Size, Marks, Marks]:
        """Draw one pair, or a mosaic that begins with it.

        Returns:
            The row of the pair, the original size of its RGB image, boxes, and excluded regions,
            of which whatever is on the canvas counts.
        """
        is_mosaic = key.compose and rng.random() < self.augmentation.mosaic
        others = self._partners(rng, 3) if is_mosaic else []
        pairs = [self._pair(key.epoch, key.sample_id, may_skip=may_skip)]
        pairs += [self._pair(key.epoch, other) for other in others]
        sizes = [pixels.shape[:2] for _, (pixels, _) in pairs]
        geometry = self.augmentation.geometry
        if is_mosaic:
            placements = draw_mosaic(
                rng, sizes, canvas=self.canvas, long_side=self.imgsz, ranges=geometry
            )
        else:
            single = draw_single(
                rng,
                sizes[0],
                canvas_hw=canvas.shape[:2],
                long_side=self.imgsz,
                ranges=geometry,
            )
            placements = (single,)
        self._draw_tiles(rng, canvas, [pixels for _, (pixels, _) in pairs], placements)
        rows = [row for row, _ in pairs]
        own = [(self.index.boxes_cxcywh_unit(row), self.index.classes(row)) for row in rows]
        marks, kept = marks_on_canvas(own, sizes, placements)
        excluded = NO_MARKS
        if self.index.has_regions:
            regions = [self.index.regions(row) for row in rows]
            theirs = [(region.boxes_cxcywh_unit, region.classes) for region in regions]
            excluded, _ = marks_on_canvas(theirs, sizes, placements)
        first, (_, original_hw) = pairs[0]
        return first, original_hw, marks.only(kept), excluded

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

    def _draw_tiles(
        self,
        rng: np.random.Generator,
        canvas: NDArray[np.uint8],
        sources: Sequence[NDArray[np.uint8]],
        placements: Sequence[Placement],
    ) -> None:
        """Draw each source where it comes to lie, and PADDING where none does."""
        ranges = self.augmentation.photometric
        looks = draw_looks(rng, ranges, canvas=self.canvas, count=len(sources))
        if sum(placed.window_px for placed in placements) < canvas[..., 0].size:
            canvas.fill(PADDING)
        for pixels, placement, look in zip(sources, placements, looks, strict=True):
            tile = apply_look(rng, cut(pixels, placement), look)
            paste(canvas, tile, placement, pixels.shape[:2])


def _common_canvas(index: DatasetIndex, imgsz: int, quarantine: Quarantine) -> Size:
    """Return the smallest canvas that holds nine in ten pairs, letterboxed to ``imgsz``.

    Single pairs are trained on it, so that the network sees as little padding as in validation;
    a square canvas would be half grey for wide images. Up to CANVAS_SAMPLE pairs, evenly spaced,
    are looked at. Which are left out by then depends on when a run is resumed: it keeps the canvas
    of its start.
    """
    rows = range(0, len(index), -(-len(index) // CANVAS_SAMPLE) or 1)
    sizes = [size_filling(size_hw, imgsz) for size_hw in map(quarantine.size_hw, rows) if size_hw]
    height, width = np.quantile(sizes, CANVAS_QUANTILE, axis=0, method="higher").tolist()
    return up_to_stride(height), up_to_stride(width)
