"""What the two cameras of a pair see in common, and boxes moved from one view to the other.

Pure geometry: homographies as (3, 3) float64 that take infrared px to visible px. Coordinates are
continuous: pixel i spans [i, i + 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Side in cells of the grid on which the common view is looked for.
CELLS = 160
# A box of which less is left in the new view is dropped.
MIN_VISIBLE_SHARE = 0.35

Size = tuple[int, int]


def moved(points_xy: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, 2) points after a homography."""
    homogeneous = np.concatenate([points_xy, np.ones((len(points_xy), 1))], axis=1) @ matrix.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:], np.float64)


def farthest_move_px(matrix: NDArray[np.float64], ir_hw: Size, rgb_hw: Size) -> float:
    """Return how far a corner goes from where plain resizing would put it, in visible px."""
    corners = np.array([(x, y) for x in (0.0, 1.0) for y in (0.0, 1.0)])
    there = moved(corners * np.array(ir_hw[::-1], np.float64), matrix)
    return float(np.hypot(*(there - corners * np.array(rgb_hw[::-1], np.float64)).T).max())


def common_view(
    matrix: NDArray[np.float64], ir_hw: Size, rgb_hw: Size
) -> tuple[int, int, int, int] | None:
    """Return the largest upright rectangle that both images show, in visible px; None without one.

    It is found on a grid of CELLS along the long side, so it may lose up to two cells of each side.
    """
    cell = max(1.0, max(rgb_hw) / CELLS)
    rows, columns = (max(1, int(side / cell)) for side in rgb_hw)
    ys, xs = np.mgrid[0 : rows + 1, 0 : columns + 1]
    points = np.stack([xs.ravel() * cell, ys.ravel() * cell], axis=1).astype(np.float64)
    inverse = np.asarray(np.linalg.inv(matrix), np.float64)
    inside = _inside(points, inverse, ir_hw).reshape(rows + 1, columns + 1)
    whole = inside[:-1, :-1] & inside[1:, :-1] & inside[:-1, 1:] & inside[1:, 1:]
    top, left, bottom, right = _largest_rectangle(whole)
    if right <= left or bottom <= top:
        return None
    return (
        int(np.ceil(left * cell)),
        int(np.ceil(top * cell)),
        min(rgb_hw[1], int(right * cell)),
        min(rgb_hw[0], int(bottom * cell)),
    )


def moved_boxes(
    boxes_xyxy_px: NDArray[np.float64], matrix: NDArray[np.float64], size_hw: Size
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return boxes in another view, clipped to it, and whether enough of each is left.

    A box becomes the upright box around its moved corners.

    Args:
        boxes_xyxy_px: (N, 4) in px of the old view.
        matrix: Takes the old view to the new one.
        size_hw: Size of the new view.
    """
    corners = boxes_xyxy_px[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    there = moved(corners, matrix).reshape(-1, 4, 2)
    low, high = there.min(axis=1), there.max(axis=1)
    limit = np.array(size_hw[::-1], np.float64)
    inner_low, inner_high = np.clip(low, 0.0, limit), np.clip(high, 0.0, limit)
    area = (high - low).prod(axis=1)
    share = (inner_high - inner_low).prod(axis=1) / np.maximum(area, 1e-9)
    return np.concatenate([inner_low, inner_high], axis=1), share >= MIN_VISIBLE_SHARE


def _inside(
    points_xy: NDArray[np.float64], inverse: NDArray[np.float64], ir_hw: Size
) -> NDArray[np.bool_]:
    """Return whether each visible point lies in the infrared image, and before its camera."""
    homogeneous = np.concatenate([points_xy, np.ones((len(points_xy), 1))], axis=1) @ inverse.T
    depth = homogeneous[:, 2] * np.sign(inverse[2, 2] or 1.0)
    xy = homogeneous[:, :2] / np.where(homogeneous[:, 2:] == 0.0, 1e-12, homogeneous[:, 2:])
    limit = np.array(ir_hw[::-1], np.float64)
    margin = 1e-6 * limit.max()
    within = ((xy >= -margin) & (xy <= limit + margin)).all(axis=1)
    return np.asarray(within & (depth > 0.0))


def _largest_rectangle(free: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right of the largest all-true rectangle, by stacked histograms."""
    best, best_area = (0, 0, 0, 0), 0
    heights = np.zeros(free.shape[1] + 1, np.int64)
    for row in range(len(free)):
        heights[:-1] = np.where(free[row], heights[:-1] + 1, 0)
        stack: list[tuple[int, int]] = []
        for column, height in enumerate(heights.tolist()):
            start = column
            while stack and stack[-1][1] >= height:
                start, tall = stack.pop()
                area = tall * (column - start)
                if area > best_area:
                    best, best_area = (row + 1 - tall, start, row + 1, column), area
            stack.append((start, height))
    return best
