"""Tell from pixels whether a frame stands around pictures.

DroneVehicle publishes its images with 100 white px on every side; copies of it are often cut
already. A frame counts only if it is there in all images that are looked at, of both modalities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.decode import ImageError
from fusetrain.data.image import read_rgb
from fusetrain.data.storage import DRONEVEHICLE_BORDER_PX

LOOKED_AT = 4
WHITE = 245
FLAT = 10  # levels to either side of the middle one that a frame of any colour has
# JPEG blurs the inner edge of the frame; so close to it nothing is said.
EDGE_PX = 8
FRAME_SHARE = 0.995
# Inside, at least this share is of another colour, or the picture is blank and says nothing.
PICTURE_SHARE = 0.02


def find_border(
    paths: Sequence[Path], border_px: int = DRONEVEHICLE_BORDER_PX, *, any_colour: bool = False
) -> int:
    """Return ``border_px`` if the images looked at have a frame of that width, else 0.

    Args:
        paths: Images of one modality; LOOKED_AT of them, evenly spaced, are decoded.
        border_px: Width of the frame to look for.
        any_colour: It need not be white.
    """
    step = max(1, -(-len(paths) // LOOKED_AT))
    pictures = map(_levels, paths[::step])
    return border_px if is_framed(pictures, border_px, any_colour=any_colour) else 0


def is_framed(
    pictures: Iterable[NDArray[np.uint8] | None], border_px: int, *, any_colour: bool = False
) -> bool:
    """Return whether pictures, (H, W, 3) or (h, w), have a frame of that width, all of them.

    Those that are None or blank say nothing; one has to say something.
    """
    verdicts = [
        found
        for levels in pictures
        if levels is not None and (found := _has_frame(levels, border_px, any_colour)) is not None
    ]
    return bool(verdicts) and all(verdicts)


def _levels(path: Path) -> NDArray[np.uint8] | None:
    try:
        return read_rgb(path)
    except ImageError:
        return None


def _has_frame(levels: NDArray[np.uint8], border_px: int, any_colour: bool) -> bool | None:
    """Return whether a picture has the frame; None where it is blank."""
    grey = levels.min(axis=2) if levels.ndim == 3 else levels
    if min(grey.shape) <= 2 * border_px:
        return False
    depth = max(border_px - EDGE_PX, 1)
    colour = int(np.median(grey[:depth])) if any_colour else 255
    like_frame = np.abs(grey.astype(np.int16) - colour) <= (FLAT if any_colour else 255 - WHITE)
    inner = like_frame[
        border_px + EDGE_PX : -border_px - EDGE_PX, border_px + EDGE_PX : -border_px - EDGE_PX
    ]
    if inner.size == 0 or 1.0 - inner.mean() < PICTURE_SHARE:
        return None
    sides = (like_frame[:depth], like_frame[-depth:], like_frame[:, :depth], like_frame[:, -depth:])
    return bool(np.min([side.mean() for side in sides]) >= FRAME_SHARE)
