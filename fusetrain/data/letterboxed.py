"""Samples of pairs as they are, letterboxed: of a labelled set, or of any images.

What is augmented for training is made in `dataset.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.placement import Size
from fusetrain.data.reader import pack
from fusetrain.data.transforms import boxes_in_pixels, letterbox, letterbox_size, size_filling
from fusetrain.sample import PairedSample

NO_BOXES: NDArray[np.float32] = np.zeros((0, 4), np.float32)
NO_CLASSES: NDArray[np.int64] = np.zeros(0, np.int64)


def unlabelled(
    rgb: NDArray[np.uint8] | None, ir: NDArray[np.uint8] | None, *, imgsz: int, sample_id: int
) -> PairedSample:
    """Return a sample of decoded images, as a `ValDataset` makes it of files.

    Args:
        rgb: (H, W, 3); None shows infrared alone, whose pixels detections are then in.
        ir: (h, w); None shows the visible image alone.
        imgsz: Long side in px.
        sample_id: What the sample is called.
    """
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
) -> PairedSample:
    """Return a sample of pixels that have their size on the canvas already.

    Args:
        content: (h, w, 4) uint8, long side ``imgsz``.
        original_hw: Height and width of the visible image on disk.
        imgsz: Long side in px.
        sample_id: Row of the pair.
        boxes_cxcywh_unit: (N, 4) as shares of the visible image.
        classes: (N,) 0-based.
    """
    height, width = content.shape[:2]
    pixels, (left, top) = letterbox(content, letterbox_size(original_hw, imgsz))
    boxes = boxes_in_pixels(boxes_cxcywh_unit, (height, width))
    boxes += (left, top, left, top)
    return PairedSample(
        pixels=pixels,
        boxes_xyxy_px=boxes.astype(np.float32),
        classes=classes,
        sample_id=sample_id,
        canvas_from_original=np.array(
            [width / original_hw[1], height / original_hw[0], left, top], np.float64
        ),
        original_size_hw=original_hw,
    )
