"""Move infrared against visible on purpose, to see what a detector makes of it.

Boxes stay where they are, on the visible image. `augment.ir_shift` does the same in training, drawn
at random; here every pair of a split moves alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from fusetrain.sample import Batch

DIRECTIONS = (
    ("right", (1.0, 0.0)),
    ("left", (-1.0, 0.0)),
    ("down", (0.0, 1.0)),
    ("up", (0.0, -1.0)),
)


def misaligned(batches: Iterable[Batch], shift_xy_px: tuple[float, float]) -> Iterator[Batch]:
    """Yield the batches with infrared moved.

    Args:
        batches: Letterboxed pairs.
        shift_xy_px: To the right and down, in pixels of the original visible image; parts of a
            canvas pixel are interpolated. The border of the picture is repeated where nothing
            moves in, the padding around it stays.
    """
    for batch in batches:
        if shift_xy_px == (0.0, 0.0):
            yield batch
            continue
        pixels = batch.pixels.clone()
        for row in range(len(batch)):
            scale_x, scale_y, left, top = batch.canvas_from_original[row].tolist()
            height, width = batch.original_sizes_hw[row].tolist()
            right, bottom = round(left + width * scale_x), round(top + height * scale_y)
            content = pixels[row, round(top) : bottom, round(left) : right, 3]
            moved = _moved(content.float(), shift_xy_px[0] * scale_x, dim=1)
            moved = _moved(moved, shift_xy_px[1] * scale_y, dim=0)
            content.copy_(moved.round())
        yield replace(batch, pixels=pixels)


def _moved(image: Tensor, distance: float, *, dim: int) -> Tensor:
    """Return an image (H, W) moved along one side, its border repeated."""
    whole = math.floor(distance)
    places = torch.arange(image.shape[dim]) - whole
    last = image.shape[dim] - 1
    near = image.index_select(dim, places.clamp(0, last))
    if distance == whole:
        return near
    far = image.index_select(dim, (places - 1).clamp(0, last))
    return torch.lerp(near, far, distance - whole)
