"""Geometry of a pair on its canvas: one placement moves both images and the boxes together.

A pair is one (H, W, 4) uint8 array R, G, B, IR, so no operation here can move the modalities apart.
Placements are drawn in `placement.py`, colours are changed in `photometric.py`.
Coordinates are continuous: pixel i spans [i, i + 1), boxes are left, top, right, bottom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

from fusetrain.data.placement import Placement, Size

PADDING = 114
STRIDE = 32
MIN_VISIBLE_SHARE = 0.1
MIN_BOX_PX = 2.0


def resize(pixels: NDArray[np.uint8], size_hw: Size) -> NDArray[np.uint8]:
    """Return (H, W, C) pixels in another size: bilinear, with antialiasing when it shrinks."""
    if pixels.shape[:2] == size_hw:
        return pixels
    # Writeable, because torch warns of memory that is not.
    planes = torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(2, 0, 1)[None]
    resized = interpolate(planes, size=size_hw, mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def cut(pixels: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """Return the pixels of a placement in its zoom, neither mirrored nor turned yet.

    The result has the size of the window; of a turned placement it is the whole source, because
    every part of it may come into view.
    """
    if placement.degrees:
        zoom_x, zoom_y = placement.zoom_xy
        height, width = pixels.shape[:2]
        return resize(pixels, (max(1, round(height * zoom_y)), max(1, round(width * zoom_x))))
    left, top, right, bottom = placement.crop_xyxy
    return resize(pixels[top:bottom, left:right], placement.window_size_hw)


def paste(
    canvas: NDArray[np.uint8], tile: NDArray[np.uint8], placement: Placement, source_size_hw: Size
) -> None:
    """Write what `cut` returned into its window of the canvas, mirrored and turned."""
    left, top, right, bottom = placement.window_xyxy
    if placement.degrees:
        tile = _turned(tile, placement, source_size_hw)
    elif placement.is_flipped:
        tile = tile[:, ::-1]
    canvas[top:bottom, left:right] = tile


def move_boxes(
    boxes_xyxy_px: NDArray[np.float64], placement: Placement
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Move boxes from source to canvas and clip them to the window.

    A turned box becomes the box around its corners.

    Args:
        boxes_xyxy_px: (N, 4) in source px.
        placement: Where the source lies on the canvas.

    Returns:
        (N, 4) boxes in canvas px, and (N,) whether enough of each is left: at least
        MIN_VISIBLE_SHARE of its area and MIN_BOX_PX along both sides.
    """
    affine = placement.canvas_from_source()
    corners = boxes_xyxy_px[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    corners = corners @ affine[:, :2].T + affine[:, 2]
    low, high = corners.min(axis=1), corners.max(axis=1)
    left, top, right, bottom = placement.window_xyxy
    inner_low = np.clip(low, (left, top), (right, bottom))
    inner_high = np.clip(high, (left, top), (right, bottom))
    sides = inner_high - inner_low
    share = sides.prod(axis=1) / np.maximum((high - low).prod(axis=1), 1e-9)
    kept = (share >= MIN_VISIBLE_SHARE) & (sides >= MIN_BOX_PX).all(axis=1)
    return np.concatenate((inner_low, inner_high), axis=1), kept


def boxes_in_pixels(boxes_cxcywh_unit: NDArray[np.float32], size_hw: Size) -> NDArray[np.float64]:
    """Convert (N, 4) boxes from shares of an image to its pixel corners, clipped to the image."""
    extent_xy = np.array(size_hw[::-1], np.float64)
    centres, sides = np.split(boxes_cxcywh_unit.astype(np.float64), 2, axis=1)
    low = np.clip(centres - sides / 2, 0.0, 1.0) * extent_xy
    high = np.clip(centres + sides / 2, 0.0, 1.0) * extent_xy
    return np.concatenate((low, high), axis=1)


def size_within(size_hw: Size, long_side: int) -> Size:
    """Return the size with its long side at most ``long_side``; nothing is enlarged."""
    return size_hw if max(size_hw) <= long_side else size_filling(size_hw, long_side)


def size_filling(size_hw: Size, long_side: int) -> Size:
    """Return the size with its long side equal to ``long_side``, the aspect ratio kept."""
    zoom = long_side / max(size_hw)
    return max(1, round(size_hw[0] * zoom)), max(1, round(size_hw[1] * zoom))


@dataclass(frozen=True)
class Within:
    """`size_within` for one long side, as a value that can be compared, pickled and printed."""

    long_side: int

    def __call__(self, size_hw: Size) -> Size:
        """Return the size with its long side at most ``long_side``."""
        return size_within(size_hw, self.long_side)


@dataclass(frozen=True)
class Filling:
    """`size_filling` for one long side, likewise."""

    long_side: int

    def __call__(self, size_hw: Size) -> Size:
        """Return the size with its long side equal to ``long_side``."""
        return size_filling(size_hw, self.long_side)


def letterbox_size(size_hw: Size, long_side: int) -> Size:
    """Return the rectangular canvas of an image: `size_filling`, rounded up to STRIDE."""
    height, width = size_filling(size_hw, long_side)
    return up_to_stride(height), up_to_stride(width)


def up_to_stride(side: int) -> int:
    """Return the smallest multiple of STRIDE that is not below ``side``."""
    return -(-side // STRIDE) * STRIDE


def letterbox(pixels: NDArray[np.uint8], canvas_hw: Size) -> tuple[NDArray[np.uint8], Size]:
    """Centre pixels on a larger canvas of PADDING; return it and the offset x, y of the pixels."""
    height, width, channels = pixels.shape
    top, left = (canvas_hw[0] - height) // 2, (canvas_hw[1] - width) // 2
    canvas = np.full((*canvas_hw, channels), PADDING, np.uint8)
    canvas[top : top + height, left : left + width] = pixels
    return canvas, (left, top)


def _turned(
    tile: NDArray[np.uint8], placement: Placement, source_size_hw: Size
) -> NDArray[np.uint8]:
    """Return the window of a turned placement, PADDING where the source ends."""
    height, width = tile.shape[:2]
    affine = placement.canvas_from_source()
    inverse = np.linalg.inv(np.vstack((affine, (0.0, 0.0, 1.0))))
    to_tile = np.diag((width / source_size_hw[1], height / source_size_hw[0], 1.0))
    left, top = placement.window_xyxy[:2]
    to_canvas = np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])
    tile_from_window = (to_tile @ inverse @ to_canvas)[:2].ravel()
    # CMYK is the four-channel mode that Pillow moves channel by channel, without premultiplying.
    image = Image.frombuffer(
        "CMYK", (width, height), np.ascontiguousarray(tile), "raw", "CMYK", 0, 1
    )
    window_h, window_w = placement.window_size_hw
    turned = image.transform(
        (window_w, window_h),
        Image.Transform.AFFINE,
        tuple(tile_from_window),
        Image.Resampling.BILINEAR,
        fillcolor=(PADDING,) * 4,
    )
    return np.asarray(turned)
