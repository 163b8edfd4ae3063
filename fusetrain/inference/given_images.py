"""A pair that a user hands over in Python: paths, Pillow images, arrays or tensors.

It becomes what reading its files for a validation would have given.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from fusetrain.data.image import (
    ThermalWindow,
    infrared_levels,
    read_both,
    read_header,
    read_ir,
    read_rgb,
    visible_levels,
)
from fusetrain.data.layouts.border import is_framed
from fusetrain.data.placement import Size
from fusetrain.data.storage import Storage
from fusetrain.engine.weights import WeightsInfo
from fusetrain.errors import DataError

Picture = str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor
PATH = (str, os.PathLike)
OVERSHOOT = 0.5


@dataclass(frozen=True)
class GivenImages:
    """Images for a detector; one of them may be missing.

    Attributes:
        rgb: (H, W, 3) uint8.
        ir: (h, w) uint8.
        original_hw: Height and width of what boxes are in pixels of, without the frame; a large
            JPEG is smaller when it is decoded.
        border_px: Width of the frame that was cut off all four sides.
    """

    rgb: NDArray[np.uint8] | None
    ir: NDArray[np.uint8] | None
    original_hw: Size
    border_px: int = 0


def given_images(rgb: Picture | None, ir: Picture | None, info: WeightsInfo) -> GivenImages:
    """Read a pair, or one image alone, as the weights want it.

    Raises:
        DataError: An image cannot be read, or has another shape, type or range.
    """
    border_px = info.border_px
    target_size = None if border_px else info.imgsz
    levels: NDArray[np.uint8] | None
    heat: NDArray[np.uint8] | None
    if isinstance(rgb, PATH) and isinstance(ir, PATH) and Path(rgb) == Path(ir):
        levels, heat = read_both(rgb, info.window, storage=Storage(channels="rgbt"))
        size_hw: Size = (levels.shape[0], levels.shape[1])
    else:
        levels = None if rgb is None else visible(rgb, target_size)
        heat = None if ir is None else infrared(ir, info.window, target_size)
        size_hw = _size_of(ir if rgb is None else rgb, heat if levels is None else levels)
    if border_px and is_framed((levels, heat), border_px, any_colour=True):
        inside = slice(border_px, -border_px)
        levels = None if levels is None else levels[inside, inside]
        heat = None if heat is None else heat[inside, inside]
        size_hw = (size_hw[0] - 2 * border_px, size_hw[1] - 2 * border_px)
    else:
        border_px = 0
    return GivenImages(levels, heat, size_hw, border_px)


def _size_of(picture: Picture | None, pixels: NDArray[np.uint8] | None) -> Size:
    """Return height and width of a picture as it was before a decoder reduced it."""
    assert pixels is not None, "one modality is there"
    if isinstance(picture, PATH):
        return read_header(picture).size_hw
    return (pixels.shape[0], pixels.shape[1])


def visible(picture: Picture, target_size: int | None = None) -> NDArray[np.uint8]:
    """Return a visible image as (H, W, 3) uint8; see `read_rgb` for the target size of a path.

    Raises:
        DataError: It cannot be read, or has another shape, type or range.
    """
    if isinstance(picture, PATH):
        return read_rgb(picture, target_size=target_size)
    if isinstance(picture, Image.Image):
        return visible_levels(ImageOps.exif_transpose(picture))
    array = _array(picture, channels=(3, 4))
    if array.dtype != np.uint8 and not _are_shares(array):
        raise DataError(
            f"{array.dtype} from {array.min()} to {array.max()} are no levels of a visible image",
            expected="uint8, or floats in [0, 1]",
        )
    return visible_levels(array[..., :3] if array.ndim == 3 else array)


def infrared(
    picture: Picture, window: ThermalWindow, target_size: int | None = None
) -> NDArray[np.uint8]:
    """Return an infrared image as (h, w) uint8, raw counts through the window.

    Raises:
        DataError: It cannot be read, or has another shape or type.
    """
    if isinstance(picture, PATH):
        return read_ir(picture, window, target_size=target_size)
    if isinstance(picture, Image.Image):
        return infrared_levels(ImageOps.exif_transpose(picture), window)
    array = _array(picture, channels=(1, 3))
    if array.ndim == 3 and (array.shape[2] == 1 or array.dtype != np.uint8):
        array = array[..., 0]
    return infrared_levels(array, window)


def _are_shares(array: NDArray[Any]) -> bool:
    """Return whether all numbers are floats in [0, 1], up to what filters overshoot by."""
    return array.dtype.kind == "f" and bool((np.abs(array - 0.5) <= 0.5 + OVERSHOOT).all())


def _array(picture: NDArray[Any] | Tensor, *, channels: Sequence[int]) -> NDArray[Any]:
    """Return (H, W) or (H, W, C) numbers.

    Raises:
        DataError: There are other dimensions, nothing, or no numbers.
    """
    if isinstance(picture, Tensor):
        tensor = picture.detach().cpu()
        # numpy does not know bfloat16
        array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    else:
        array = np.asarray(picture)
    is_shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in channels)
    if not is_shaped or not array.size or array.dtype.kind not in "uif":
        raise DataError(
            f"an array of shape {array.shape} and type {array.dtype} is no image",
            expected=f"(H, W) or (H, W, {' or '.join(map(str, channels))}) numbers; "
            "tensors have their channels first",
        )
    return array
