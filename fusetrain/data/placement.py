"""Where pairs come to lie on a training canvas: alone, or four together in a mosaic.

Placements are drawn here from a passed generator; `transforms.py` moves pixels and boxes by them.
Coordinates are continuous: pixel i spans [i, i + 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_TILE_SHARE = 0.2
NUM_TILES = 4

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
    def window_px(self) -> int:
        """Return the canvas pixels of the window."""
        height, width = self.window_size_hw
        return height * width

    @property
    def zoom_xy(self) -> tuple[float, float]:
        """Return canvas pixels a source pixel, along x and y."""
        left, top, right, bottom = self.crop_xyxy
        height, width = self.window_size_hw
        return width / (right - left), height / (bottom - top)

    def coefficients(self) -> tuple[float, float, float, float, float, float]:
        """Return the affine map from source to canvas: x by x and y, y by x and y, shift x, y."""
        zoom_x, zoom_y = self.zoom_xy
        if self.is_flipped:
            zoom_x = -zoom_x
        turn = math.radians(self.degrees)
        cosine, sine = math.cos(turn), math.sin(turn)
        x_by_x, x_by_y, y_by_x, y_by_y = (
            cosine * zoom_x,
            -sine * zoom_y,
            sine * zoom_x,
            cosine * zoom_y,
        )
        (from_x, from_y), (to_x, to_y) = _centre(self.crop_xyxy), _centre(self.window_xyxy)
        shift_x = to_x - x_by_x * from_x - x_by_y * from_y
        shift_y = to_y - y_by_x * from_x - y_by_y * from_y
        return x_by_x, x_by_y, y_by_x, y_by_y, shift_x, shift_y


@dataclass(frozen=True)
class GeometryRanges:
    """From what the geometry of a training pair is drawn.

    Attributes:
        scale: Zoom is uniform in [1 - scale, 1 + scale]; at 1 a pair is as large as in validation.
        translate: Largest shift of a single pair off the centre, as a share of the canvas.
        fliplr: Probability of mirroring left to right.
        degrees: Largest rotation to either side.
    """

    scale: float = 0.0
    translate: float = 0.0
    fliplr: float = 0.0
    degrees: float = 0.0


def draw_single(
    rng: np.random.Generator,
    size_hw: Size,
    *,
    canvas_hw: Size,
    long_side: int,
    ranges: GeometryRanges,
) -> Placement:
    """Draw where one pair lies on a canvas.

    A pair smaller than the canvas is centred, to the pixel as `transforms.letterbox` centres it; of
    a larger one any part may be seen; both are moved by up to ``translate`` on top.

    Args:
        rng: Source of all draws.
        size_hw: Size of the source pixels.
        canvas_hw: Height and width of the canvas, px.
        long_side: Length of the long side of a pair at a zoom of 1, px.
        ranges: What is drawn from.
    """
    zoom_draw, *start_draws, flip_draw, turn_draw = rng.random(5).tolist()
    zoom = zoom_of(zoom_draw, size_hw, long_side=long_side, scale=ranges.scale)
    starts = []
    for side, length, draw in zip(size_hw[::-1], canvas_hw[::-1], start_draws, strict=True):
        slack = length - side * zoom
        centred = slack / 2 if slack < 0 else (length - round(side * zoom)) // 2
        reach = max(0.0, -slack / 2) + ranges.translate * length
        starts.append(centred + reach * (2 * draw - 1))
    return _place(
        size_hw,
        zoom,
        start_xy=starts,
        region=(0, 0, canvas_hw[1], canvas_hw[0]),
        pose=_pose(flip_draw, turn_draw, ranges),
    )


def draw_mosaic(
    rng: np.random.Generator,
    sizes_hw: Sequence[Size],
    *,
    canvas: int,
    long_side: int,
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
        long_side: As in `draw_single`.
        ranges: What is drawn from; ``translate`` plays no part.
    """
    draws = rng.random((NUM_TILES, 5)).tolist()
    split_draw_x, *split_draws_y = rng.random(3).tolist()
    zooms = [
        zoom_of(draw[0], size, long_side=long_side, scale=ranges.scale)
        for draw, size in zip(draws, sizes_hw, strict=True)
    ]
    heights = [size[0] * zoom for size, zoom in zip(sizes_hw, zooms, strict=True)]
    widths = [size[1] * zoom for size, zoom in zip(sizes_hw, zooms, strict=True)]
    split_x = _split(split_draw_x, min(widths[::2]), min(widths[1::2]), canvas)
    split_ys = [
        _split(draw, heights[column], heights[column + 2], canvas)
        for column, draw in enumerate(split_draws_y)
    ]
    placements = []
    for tile, (_, draw_x, draw_y, flip_draw, turn_draw) in enumerate(draws):
        is_lower, is_right = divmod(tile, 2)
        left, right = (split_x, canvas) if is_right else (0, split_x)
        top, bottom = (split_ys[is_right], canvas) if is_lower else (0, split_ys[is_right])
        start_xy = (
            _start(draw_x, widths[tile], (left, right), is_after=bool(is_right)),
            _start(draw_y, heights[tile], (top, bottom), is_after=bool(is_lower)),
        )
        placed = _place(
            sizes_hw[tile],
            zooms[tile],
            start_xy=start_xy,
            region=(left, top, right, bottom),
            pose=_pose(flip_draw, turn_draw, ranges),
        )
        placements.append(placed)
    return tuple(placements)


def zoom_of(draw: float, size_hw: Size, *, long_side: int, scale: float) -> float:
    """Return the zoom of a source for a draw in [0, 1).

    Args:
        draw: What it follows from.
        size_hw: Size of the source pixels.
        long_side: As in `draw_single`.
        scale: As in `GeometryRanges`.
    """
    return long_side / max(size_hw) * (1.0 - scale + 2 * scale * draw)


def _centre(window_xyxy: Window) -> tuple[float, float]:
    left, top, right, bottom = window_xyxy
    return (left + right) / 2, (top + bottom) / 2


def _split(draw: float, before: float, after: float, canvas: int) -> int:
    """Return a split line between where the first and where the second part would just fit."""
    least = MIN_TILE_SHARE * canvas
    low, high = (
        min(max(place, least), canvas - least) for place in sorted((before, canvas - after))
    )
    return round(low + (high - low) * draw)


def _start(draw: float, length: float, span: tuple[int, int], *, is_after: bool) -> float:
    """Return where an image begins along one axis of its tile."""
    begin, end = span
    if length >= end - begin:
        return end - length + (begin - end + length) * draw
    return float(begin) if is_after else end - length


def _pose(flip_draw: float, turn_draw: float, ranges: GeometryRanges) -> tuple[bool, float]:
    """Return whether a pair is mirrored, and by how many degrees it is turned."""
    return flip_draw < ranges.fliplr, ranges.degrees * (2 * turn_draw - 1)


def _place(
    size_hw: Size,
    zoom: float,
    *,
    start_xy: Sequence[float],
    region: Window,
    pose: tuple[bool, float],
) -> Placement:
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
        end = max(min(high, round(start) + round(side * zoom)), begin + 1)
        first = min(max(0, round((begin - start) / zoom)), side - 1)
        last = max(min(side, round((end - start) / zoom)), first + 1)
        crop.append((first, last))
        window.append((begin, end))
    return Placement(
        crop_xyxy=(crop[0][0], crop[1][0], crop[0][1], crop[1][1]),
        window_xyxy=(window[0][0], window[1][0], window[0][1], window[1][1]),
        is_flipped=pose[0],
        degrees=pose[1],
    )
