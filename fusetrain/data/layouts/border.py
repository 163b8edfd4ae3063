"""Tell from pixels whether a white frame stands around the pictures of a set.

DroneVehicle publishes its images with 100 white px on every side; copies of it are often cut
already. A frame counts only if it is there in all images that are looked at, of both modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fusetrain.data.decode import ImageError
from fusetrain.data.image import read_rgb
from fusetrain.data.storage import DRONEVEHICLE_BORDER_PX

LOOKED_AT = 4
WHITE = 245
# JPEG blurs the inner edge of the frame; so close to it nothing is said.
EDGE_PX = 8
WHITE_SHARE = 0.995
# Inside, at least this share is not white, or the picture is blank and says nothing.
PICTURE_SHARE = 0.02


def find_border(paths: Sequence[Path], border_px: int = DRONEVEHICLE_BORDER_PX) -> int:
    """Return ``border_px`` if the images looked at have a white frame of that width, else 0.

    Args:
        paths: Images of both modalities; LOOKED_AT of them, evenly spaced, are decoded.
        border_px: Width of the frame to look for.
    """
    step = max(1, -(-len(paths) // LOOKED_AT))
    verdicts = [
        found for path in paths[::step] if (found := _has_frame(path, border_px)) is not None
    ]
    return border_px if verdicts and all(verdicts) else 0


def _has_frame(path: Path, border_px: int) -> bool | None:
    """Return whether an image has the frame; None where it cannot be read or is blank."""
    try:
        grey = read_rgb(path).min(axis=2)
    except ImageError:
        return None
    if min(grey.shape) <= 2 * border_px:
        return False
    white = grey >= WHITE
    inner = white[
        border_px + EDGE_PX : -border_px - EDGE_PX, border_px + EDGE_PX : -border_px - EDGE_PX
    ]
    if inner.size == 0 or 1.0 - inner.mean() < PICTURE_SHARE:
        return None
    depth = border_px - EDGE_PX
    sides = (white[:depth], white[-depth:], white[:, :depth], white[:, -depth:])
    return bool(np.min([side.mean() for side in sides]) >= WHITE_SHARE)
