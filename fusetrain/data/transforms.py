"""Geometry of a pair on its canvas: one placement moves both images and the boxes together.

A pair is one (H, W, 4) uint8 array R, G, B, IR, so no operation here can move the modalities apart.
Placements are drawn in `placement.py`, colours are changed in `photometric.py`.
Coordinates are continuous: pixel i spans [i, i + 1), boxes are left, top, right, bottom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fusetrain.data.placement import Placement, Size

PADDING = 114
STRIDE = 32
MIN_VISIBLE_SHARE = 0.1
MIN_BOX_PX = 2.0
ANTIALIASED = torch.ops.aten._upsample_bilinear2d_aa.out


def resize(pixels: NDArray[np.uint8], size_hw: Size) -> NDArray[np.uint8]:
    """Return (H, W, C) pixels in another size: bilinear, with antialiasing when it shrinks."""
    if pixels.shape[:2] == size_hw:
        return pixels
    if not pixels.flags.carray:  # torch wants it dense, and warns where it is not writeable
        pixels = pixels.copy()
    resized = np.empty((*size_hw, pixels.shape[2]), np.uint8)
    source, target = (
        torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0) for image in (pixels, resized)
    )
    # What `interpolate` calls; it would part the channels, to be interleaved again.
    ANTIALIASED(source, size_hw, False, out=target)
    return resized


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
    whole = as_words(tile)
    if placement.is_flipped and not placement.degrees:
        whole = whole[:, ::-1]
    as_words(canvas)[top:bottom, left:right] = whole


def as_words(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return a (H, W) view of dense (H, W, 4) pixels: one number each is moved faster than four."""
    return pixels.view(np.uint32)[..., 0]


def move_boxes(
    boxes_xyxy_px: NDArray[np.float64],
    placements: Sequence[Placement],
    *,
    counts: Sequence[int] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Move boxes from their sources to the canvas and clip them to the windows.

    A turned box becomes the box around its corners.

    Args:
        boxes_xyxy_px: (N, 4) in source px, those of the first source first.
        placements: Where the sources lie on the canvas.
        counts: Boxes of each source; None is one source with all of them.

    Returns:
        (N, 4) boxes in canvas px, and (N,) whether enough of each is left: at least
        MIN_VISIBLE_SHARE of its area and MIN_BOX_PX along both sides.
    """
    maps = np.array([(*placed.coefficients(), *placed.window_xyxy) for placed in placements])
    maps = maps.repeat(len(boxes_xyxy_px) if counts is None else counts, axis=0)
    linear, shift = maps[:, :4].reshape(-1, 2, 2), maps[:, 4:6]
    low, high = boxes_xyxy_px[:, None, :2], boxes_xyxy_px[:, None, 2:]
    centre = (linear * (low + high)).sum(axis=2) / 2 + shift
    half = (np.abs(linear) * (high - low)).sum(axis=2) / 2
    moved = np.concatenate((centre - half, centre + half), axis=1)
    first, last = maps[:, [6, 7, 6, 7]], maps[:, [8, 9, 8, 9]]
    inner = np.minimum(np.maximum(moved, first), last)
    sides = inner[:, 2:] - inner[:, :2]
    share = sides[:, 0] * sides[:, 1] / np.maximum(4 * half[:, 0] * half[:, 1], 1e-9)
    kept = (share >= MIN_VISIBLE_SHARE) & (sides[:, 0] >= MIN_BOX_PX) & (sides[:, 1] >= MIN_BOX_PX)
    return inner, kept


def marks_on_canvas(
    marks: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]],
    sizes_hw: Sequence[Size],
    placements: Sequence[Placement],
) -> tuple[Marks, NDArray[np.bool_]]:
    """Return what is marked in some sources, on the canvas, and of which of it enough is left.

    Args:
        marks: Of each source, (N, 4) cx, cy, w, h in [0, 1] and (N,) classes.
        sizes_hw: Sizes of the sources in px.
        placements: Where they lie.
    """
    units, classes = zip(*marks, strict=True)
    counts = [len(boxes) for boxes in units]
    sources = boxes_in_pixels(np.concatenate(units), np.repeat(sizes_hw, counts, axis=0))
    boxes, kept = move_boxes(sources, placements, counts=counts)
    return Marks(boxes, np.concatenate(classes)), kept


def boxes_in_pixels(
    boxes_cxcywh_unit: NDArray[np.float32], size_hw: Size | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Convert (N, 4) boxes from shares of an image to its pixel corners, clipped to the image.

    Args:
        boxes_cxcywh_unit: Centre, width and height.
        size_hw: Of the image, or (N, 2) of the image of each box.
    """
    extent_xy = np.asarray(size_hw, np.float64)[..., ::-1]
    boxes = boxes_cxcywh_unit.astype(np.float64)
    centres, halves = boxes[:, :2], boxes[:, 2:] / 2
    corners = np.stack((centres - halves, centres + halves))
    corners = np.minimum(np.maximum(corners, 0.0), 1.0) * extent_xy
    return np.concatenate((corners[0], corners[1]), axis=1)


def size_within(size_hw: Size, long_side: int) -> Size:
    """Return the size with its long side at most ``long_side``; nothing is enlarged."""
    return size_hw if max(size_hw) <= long_side else size_filling(size_hw, long_side)


def size_filling(size_hw: Size, long_side: int) -> Size:
    """Return the size with its long side equal to ``long_side``, the aspect ratio kept."""
    zoom = long_side / max(size_hw)
    return max(1, round(size_hw[0] * zoom)), max(1, round(size_hw[1] * zoom))


@dataclass(frozen=True)
class Marks:
    """What is marked on a canvas.

    Attributes:
        boxes_xyxy_px: (N, 4) float64.
        classes: (N,) int64.
    """

    boxes_xyxy_px: NDArray[np.float64]
    classes: NDArray[np.int64]

    def __add__(self, other: Marks) -> Marks:
        """Return these and others."""
        boxes = np.concatenate((self.boxes_xyxy_px, other.boxes_xyxy_px))
        return Marks(boxes, np.concatenate((self.classes, other.classes)))

    def only(self, kept: NDArray[np.bool_]) -> Marks:
        """Return some of them."""
        return Marks(self.boxes_xyxy_px[kept], self.classes[kept])


NO_MARKS = Marks(np.zeros((0, 4)), np.zeros(0, np.int64))


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


def letterbox(pixels: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> Size:
    """Centre pixels on a larger canvas, PADDING around them; return their offset x, y."""
    height, width = pixels.shape[:2]
    top, left = (canvas.shape[0] - height) // 2, (canvas.shape[1] - width) // 2
    canvas.fill(PADDING)
    canvas[top : top + height, left : left + width] = pixels
    return left, top


def _turned(
    tile: NDArray[np.uint8], placement: Placement, source_size_hw: Size
) -> NDArray[np.uint8]:
    """Return the window of a turned placement, PADDING where the source ends."""
    height, width = tile.shape[:2]
    linear = np.reshape(placement.coefficients()[:4], (2, 2))
    affine = np.column_stack((linear, placement.coefficients()[4:]))
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
