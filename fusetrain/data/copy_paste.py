"""Objects of one pair pasted onto another, from both modalities at the same place.

A label is a box, so that what is cut out is the box with a little of its surroundings, over which
it fades into the new ones (Dwibedi et al., arXiv 1708.01642, show that hard borders harm; Ghiasi et
al., arXiv 2012.07177, paste at random places). Which pairs give and take is decided in
`dataset.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.photometric import Look, apply_look
from fusetrain.data.placement import Placement, Window
from fusetrain.data.transforms import MIN_BOX_PX, cut, move_boxes

MAX_PASTED = 4
MARGIN = 0.15  # of a side of the box, around it
MAX_SIDE = 0.5  # of the canvas
MAX_COVERED = 0.3  # of any box that is there
NUM_TRIES = 4


@dataclass(frozen=True)
class Donor:
    """What may be pasted.

    Attributes:
        pixels: (H, W, 4) uint8.
        boxes_xyxy_px: (N, 4) float64 on them.
        zoom: Canvas pixels of one of its pixels.
        look: What is applied to all that is pasted of it.
        fliplr: Share of objects that are mirrored.
    """

    pixels: NDArray[np.uint8]
    boxes_xyxy_px: NDArray[np.float64]
    zoom: float
    look: Look
    fliplr: float


def paste_objects(
    rng: np.random.Generator,
    canvas: NDArray[np.uint8],
    boxes_xyxy_px: NDArray[np.float64],
    donor: Donor,
) -> tuple[NDArray[np.float64], list[int]]:
    """Paste up to MAX_PASTED objects where they cover little of those that are there.

    Args:
        rng: Source of all draws.
        canvas: (H, W, 4) uint8, changed in place.
        boxes_xyxy_px: (M, 4) what is on it.
        donor: What may be pasted.

    Returns:
        (K, 4) boxes that came onto the canvas, and of which (K) boxes of the donor they are.
    """
    there, pasted = boxes_xyxy_px, []
    for number in rng.permutation(len(donor.boxes_xyxy_px))[:MAX_PASTED].tolist():
        placement = _placed(rng, donor, number, canvas.shape[:2], there)
        if placement is None:
            continue
        _blend_in(canvas, apply_look(rng, cut(donor.pixels, placement), donor.look), placement)
        moved, _ = move_boxes(donor.boxes_xyxy_px[[number]], [placement])
        there = np.concatenate((there, moved))
        pasted.append(number)
    return there[len(boxes_xyxy_px) :], pasted


def _placed(
    rng: np.random.Generator,
    donor: Donor,
    number: int,
    canvas_hw: Sequence[int],
    there: NDArray[np.float64],
) -> Placement | None:
    """Draw where an object comes to lie; None where it is too small, too large or in the way."""
    crop = _with_margin(donor.boxes_xyxy_px[number], donor.pixels.shape[:2])
    width, height = (round((crop[axis + 2] - crop[axis]) * donor.zoom) for axis in (0, 1))
    low, high = donor.boxes_xyxy_px[number].reshape(2, 2) * donor.zoom
    room = (canvas_hw[1] - width, canvas_hw[0] - height)
    is_flipped = bool(rng.random() < donor.fliplr)
    draws = rng.random((NUM_TRIES, 2))
    if (high - low).min() < 2 * MIN_BOX_PX or max(width, height) > MAX_SIDE * min(canvas_hw):
        return None
    for left, top in (draws * (room[0] + 1, room[1] + 1)).astype(int).tolist():
        window = (left, top, left + width, top + height)
        if _covered(there, window) <= MAX_COVERED:
            return Placement(crop, window, is_flipped)
    return None


def _with_margin(box_xyxy_px: NDArray[np.float64], size_hw: Sequence[int]) -> Window:
    """Return whole pixels around a box with its margin, as far as the image goes."""
    left, top, right, bottom = box_xyxy_px.tolist()
    margin_x, margin_y = MARGIN * (right - left), MARGIN * (bottom - top)
    return (
        max(0, int(left - margin_x)),
        max(0, int(top - margin_y)),
        min(size_hw[1], int(np.ceil(right + margin_x))),
        min(size_hw[0], int(np.ceil(bottom + margin_y))),
    )


def _covered(boxes_xyxy_px: NDArray[np.float64], window: Window) -> float:
    """Return the largest share of a box that lies under a window."""
    low = np.maximum(boxes_xyxy_px[:, :2], window[:2])
    high = np.minimum(boxes_xyxy_px[:, 2:], window[2:])
    under = np.maximum(high - low, 0.0).prod(axis=1)
    areas = (boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2]).prod(axis=1)
    return float((under / np.maximum(areas, 1e-9)).max(initial=0.0))


def _blend_in(canvas: NDArray[np.uint8], tile: NDArray[np.uint8], placement: Placement) -> None:
    """Draw a tile, fading out over its margin."""
    left, top, right, bottom = placement.window_xyxy
    ramps = []
    for length in tile.shape[:2]:
        from_edge = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
        fade = max(1.0, length * MARGIN / (1 + 2 * MARGIN))
        ramps.append(np.minimum(from_edge / fade, 1.0).astype(np.float32))
    share = (ramps[0][:, None] * ramps[1])[..., None]
    shown = tile[:, ::-1] if placement.is_flipped else tile
    below = canvas[top:bottom, left:right]
    below[...] = np.rint(below + share * (shown.astype(np.float32) - below))
