"""Samples of pairs as they are, letterboxed: of a labelled set, or of any images.

What is augmented for training is made in `dataset.py`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.cache import PairStore
from fusetrain.data.image import RAW_WINDOW, ThermalWindow
from fusetrain.data.index import DatasetIndex
from fusetrain.data.labels import NO_REGIONS, Regions
from fusetrain.data.placement import Size
from fusetrain.data.quarantine import LeftOutError, Quarantine
from fusetrain.data.reader import pack, val_reader
from fusetrain.data.transforms import boxes_in_pixels, letterbox, letterbox_size, size_filling
from fusetrain.sample import NO_BOXES, NO_CLASSES, PairedSample


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
        """Return a pair; see `draw`."""
        return self.draw(row, None)

    def canvas_hw(self, row: int) -> Size:
        """Return height and width of a pair that is not left out, letterboxed, in px."""
        size_hw = self.canvases_hw[row]
        assert size_hw is not None, "the pair is left out"
        return size_hw

    def draw(self, row: int, canvas: NDArray[np.uint8] | None) -> PairedSample:
        """Return a pair, drawn on a canvas (H, W, 4) of `canvas_hw`; None takes new memory.

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
            regions=self.index.regions(row),
            canvas=canvas,
        )


def unlabelled(
    rgb: NDArray[np.uint8] | None,
    ir: NDArray[np.uint8] | None,
    *,
    imgsz: int,
    sample_id: int,
    original_hw: Size | None = None,
) -> PairedSample:
    """Return a sample of decoded images, as a `ValDataset` makes it of files.

    Args:
        rgb: (H, W, 3); None shows infrared alone, whose pixels detections are then in.
        ir: (h, w); None shows the visible image alone.
        imgsz: Long side in px.
        sample_id: What the sample is called.
        original_hw: Height and width that detections are in pixels of; None: those of the image.
    """
    if original_hw is None:
        shown = ir if rgb is None else rgb
        assert shown is not None, "one modality is there"
        original_hw = (shown.shape[0], shown.shape[1])
    content = pack(rgb, ir, size_filling(original_hw, imgsz))
    return letterboxed(content, original_hw, imgsz=imgsz, sample_id=sample_id)


def letterboxed(
    content: NDArray[np.uint8],
    original_hw: Size,
    *,
    imgsz: int,
    sample_id: int,
    boxes_cxcywh_unit: NDArray[np.float32] = NO_BOXES,
    classes: NDArray[np.int64] = NO_CLASSES,
    regions: Regions = NO_REGIONS,
    canvas: NDArray[np.uint8] | None = None,
) -> PairedSample:
    """Return a sample of pixels that have their size on the canvas already.

    Args:
        content: (h, w, 4) uint8, long side ``imgsz``.
        original_hw: Height and width of the visible image on disk.
        imgsz: Long side in px.
        sample_id: Row of the pair.
        boxes_cxcywh_unit: (N, 4) as shares of the visible image.
        classes: (N,) 0-based.
        regions: What the authors excluded.
        canvas: What the sample is drawn on, of its `letterbox_size`; None takes new memory.
    """
    height, width = content.shape[:2]
    if canvas is None:
        canvas = np.empty((*letterbox_size(original_hw, imgsz), 4), np.uint8)
    left, top = letterbox(content, canvas)
    corner = np.array((left, top, left, top))
    boxes, excluded = (
        (boxes_in_pixels(units, (height, width)) + corner).astype(np.float32)
        for units in (boxes_cxcywh_unit, regions.boxes_cxcywh_unit)
    )
    return PairedSample(
        pixels=canvas,
        boxes_xyxy_px=boxes,
        classes=classes,
        sample_id=sample_id,
        canvas_from_original=np.array(
            [width / original_hw[1], height / original_hw[0], left, top], np.float64
        ),
        original_size_hw=original_hw,
        excluded_xyxy_px=excluded,
        excluded_classes=regions.classes,
    )
