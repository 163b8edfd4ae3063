"""Where pairs come to lie on a training canvas: alone, or four together in a mosaic.

Placements are drawn here from a passed generator; `transforms.py` moves pixels and boxes by them.
Coordinates are continuous: pixel i spans [i, i + 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MIN_TILE_SHARE = 0.2

Size = tuple[int, int]
Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Placement:
    """Where a part of a pair comes to lie on a canvas.

    Attributes:
        crop_xyxy: The part, in whole source pixels.
        window_xyxy: The canvas pixels that it fills.
        is_flipped: The part is mirrored left to right.
        degrees: It is turned by so much about the centre of the window, which stays as it is; what
            of the source lies beyond the crop may then turn into the window.
    """

    crop_xyxy: Window
    window_xyxy: Window
    is_flipped: bool = False
    degrees: float = 0.0

    @property
    def window_size_hw(self) -> Size:
        """Return height and width of the window in canvas px."""
        left, top, right, bottom = self.window_xyxy
        return bottom - top, right - left

    @property
    def zoom_xy(self) -> tuple[float, float]:
        """Return canvas pixels a source pixel, along x and y."""
        left, top, right, bottom = self.crop_xyxy
        height, width = self.window_size_hw
        return width / (right - left), height / (bottom - top)

    def canvas_from_source(self) -> NDArray[np.float64]:
        """Return the (2, 3) affine map from source to canvas coordinates."""
        zoom_x, zoom_y = self.zoom_xy
        turn = np.deg2rad(self.degrees)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        linear = rotation @ np.diag([-zoom_x if self.is_flipped else zoom_x, zoom_y])
        shift = _centre(self.window_xyxy) - linear @ _centre(self.crop_xyxy)
        return np.column_stack((linear, shift))


@dataclass(frozen=True)
class GeometryRanges:
    """From what the geometry of a training pair is drawn.

    Attributes:
        scale: Zoom is uniform in [1 - scale, 1 + scale]; at 1 the long side fills the canvas.
        translate: Largest shift of a single pair off the centre, as a share of the canvas.
        fliplr: Probability of mirroring left to right.
        degrees: Largest rotation to either side.
    """

    scale: float = 0.0
    translate: float = 0.0
    fliplr: float = 0.0
    degrees: float = 0.0


def draw_single(
    rng: np.random.Generator, size_hw: Size, *, canvas_hw: Size, ranges: GeometryRanges
) -> Placement:
    """Draw where one pair lies on a canvas.

    A pair smaller than the canvas is centred; of a larger one any part may be seen; both are moved
    by up to ``translate`` on top.

    Args:
        rng: Source of all draws.
        size_hw: Size of the source pixels.
        canvas_hw: Height and width of the canvas, px.
        ranges: What is drawn from.
    """
    zoom = _draw_zoom(rng, size_hw, canvas=max(canvas_hw), scale=ranges.scale)
    starts = []
    for side, length in zip(reversed(size_hw), reversed(canvas_hw), strict=True):
        slack = length - side * zoom
        reach = max(0.0, -slack / 2) + ranges.translate * length
        starts.append(slack / 2 + reach * rng.uniform(-1.0, 1.0))
    region = (0, 0, canvas_hw[1], canvas_hw[0])
    return _draw_pose(rng, _place(size_hw, zoom, start_xy=starts, region=region), ranges)


def draw_mosaic(
    rng: np.random.Generator,
    sizes_hw: Sequence[Size],
    *,
    canvas: int,
    ranges: GeometryRanges,
) -> tuple[Placement, ...]:
    """Draw how four pairs share a square canvas: two columns, each split at a height of its own.

    Every pair has its own zoom, flip and rotation. A pair larger than its tile shows a random part
    of itself, a smaller one lies against the split lines. The splits are drawn between the places
    where either side is just filled, so that little of the canvas stays empty. (Mosaic: Bochkovskiy
    et al., arXiv 2004.10934, section 3.3; the choice of the splits is our own.)

    Args:
        rng: Source of all draws.
        sizes_hw: Sizes of the four sources: top left, top right, bottom left, bottom right.
        canvas: Side of the canvas, px.
        ranges: What is drawn from; ``translate`` plays no part.
    """
    zooms = [_draw_zoom(rng, size, canvas=canvas, scale=ranges.scale) for size in sizes_hw]
    heights = [size[0] * zoom for size, zoom in zip(sizes_hw, zooms, strict=True)]
    widths = [size[1] * zoom for size, zoom in zip(sizes_hw, zooms, strict=True)]
    split_x = _draw_split(rng, min(widths[::2]), min(widths[1::2]), canvas)
    split_ys = [_draw_split(rng, heights[column], heights[column + 2], canvas) for column in (0, 1)]
    placements = []
    for tile, (size_hw, zoom) in enumerate(zip(sizes_hw, zooms, strict=True)):
        is_lower, is_right = divmod(tile, 2)
        left, right = (split_x, canvas) if is_right else (0, split_x)
        top, bottom = (split_ys[is_right], canvas) if is_lower else (0, split_ys[is_right])
        start_xy = (
            _draw_start(rng, widths[tile], (left, right), is_after=bool(is_right)),
            _draw_start(rng, heights[tile], (top, bottom), is_after=bool(is_lower)),
        )
        placed = _place(size_hw, zoom, start_xy=start_xy, region=(left, top, right, bottom))
        placements.append(_draw_pose(rng, placed, ranges))
    return tuple(placements)


def _centre(window_xyxy: Window) -> NDArray[np.float64]:
    left, top, right, bottom = window_xyxy
    return np.array([(left + right) / 2, (top + bottom) / 2])


def _draw_zoom(rng: np.random.Generator, size_hw: Size, *, canvas: int, scale: float) -> float:
    return float(canvas / max(size_hw) * rng.uniform(1.0 - scale, 1.0 + scale))


def _draw_split(rng: np.random.Generator, before: float, after: float, canvas: int) -> int:
    """Draw a split line between where the first and where the second part would just fit."""
    least = MIN_TILE_SHARE * canvas
    low, high = np.clip(sorted((before, canvas - after)), least, canvas - least)
    return int(np.rint(rng.uniform(low, high)))


def _draw_start(
    rng: np.random.Generator, length: float, span: tuple[int, int], *, is_after: bool
) -> float:
    """Draw where an image begins along one axis of its tile."""
    begin, end = span
    if length >= end - begin:
        return float(rng.uniform(end - length, begin))
    return float(begin) if is_after else end - length


def _draw_pose(rng: np.random.Generator, placement: Placement, ranges: GeometryRanges) -> Placement:
    return replace(
        placement,
        is_flipped=bool(rng.random() < ranges.fliplr),
        degrees=float(rng.uniform(-ranges.degrees, ranges.degrees)) if ranges.degrees else 0.0,
    )


def _place(size_hw: Size, zoom: float, *, start_xy: Sequence[float], region: Window) -> Placement:
    """Cut an image that begins at ``start_xy`` down to its region, in whole pixels on both sides.

    Crop and window being whole pixels, the zoom that results differs a little from ``zoom`` and
    between x and y; `Placement.zoom_xy` is the true one.
    """
    crop, window = [], []
    for axis in (0, 1):
        side = size_hw[1 - axis]
        low, high = region[axis], region[axis + 2]
        start = min(max(start_xy[axis], low + 1 - side * zoom), high - 1.0)
        begin = min(max(low, round(start)), high - 1)
        end = max(min(high, round(start + side * zoom)), begin + 1)
        first = min(max(0, round((begin - start) / zoom)), side - 1)
        last = max(min(side, round((end - start) / zoom)), first + 1)
        crop.append((first, last))
        window.append((begin, end))
    return Placement(
        crop_xyxy=(crop[0][0], crop[1][0], crop[0][1], crop[1][1]),
        window_xyxy=(window[0][0], window[1][0], window[0][1], window[1][1]),
    )
