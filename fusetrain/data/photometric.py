"""Brightness and colour of training pairs, drawn for each modality by itself.

Geometry, which both modalities share, is in `transforms.py`; the one exception is ``ir_shift``,
which imitates badly registered cameras and moves the infrared channel against the boxes on
purpose. Pixels are (H, W, 4) uint8 R, G, B, IR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.data.transforms import PADDING

IR_OFFSET = 128.0
# Luma and two colour differences (ITU-R BT.601, YIQ); hue turns, saturation stretches I and Q.
YIQ_FROM_RGB = np.array(
    [[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]]
)
RGB_FROM_YIQ = np.linalg.inv(YIQ_FROM_RGB)


@dataclass(frozen=True)
class PhotometricRanges:
    """From what the looks of a training pair are drawn; 0 everywhere leaves pixels as they are.

    Attributes:
        hsv_h: Largest hue change, as a share of the circle (RGB).
        hsv_s: Saturation gain to either side of 1 (RGB).
        hsv_v: Brightness gain to either side of 1 (RGB).
        ir_gain: Contrast gain to either side of 1, and offset as a share of IR_OFFSET (IR).
        ir_noise: Largest standard deviation of sensor noise, in [0, 1] of the range (IR).
        ir_shift: Largest shift of IR against RGB, as a share of the canvas.
    """

    hsv_h: float = 0.0
    hsv_s: float = 0.0
    hsv_v: float = 0.0
    ir_gain: float = 0.0
    ir_noise: float = 0.0
    ir_shift: float = 0.0


@dataclass(frozen=True)
class Look:
    """One draw from the ranges.

    Attributes:
        rgb_matrix: Row-wise 3 x 4 map of R, G, B, 1; None leaves RGB as it is.
        ir_table: (256,) uint8, what each level becomes; None leaves IR as it is.
        ir_noise: Standard deviation in levels.
        ir_shift_xy: Shift of IR in px.
    """

    rgb_matrix: tuple[float, ...] | None
    ir_table: NDArray[np.uint8] | None
    ir_noise: float
    ir_shift_xy: tuple[int, int]


def draw_look(rng: np.random.Generator, ranges: PhotometricRanges, *, canvas: int) -> Look:
    """Draw one look.

    Args:
        rng: Source of all draws.
        ranges: What is drawn from.
        canvas: Side of the canvas in px, which ``ir_shift`` is a share of.
    """
    hue, saturation, brightness, gain, offset, shift_x, shift_y = rng.uniform(-1.0, 1.0, 7)
    noise = rng.random()
    is_coloured = ranges.hsv_h or ranges.hsv_s or ranges.hsv_v
    reach = ranges.ir_shift * canvas
    return Look(
        rgb_matrix=_colour_matrix(
            turn=2 * np.pi * ranges.hsv_h * hue,
            saturation=1.0 + ranges.hsv_s * saturation,
            brightness=1.0 + ranges.hsv_v * brightness,
        )
        if is_coloured
        else None,
        ir_table=_level_table(1.0 + ranges.ir_gain * gain, ranges.ir_gain * offset * IR_OFFSET)
        if ranges.ir_gain
        else None,
        ir_noise=255.0 * ranges.ir_noise * noise,
        ir_shift_xy=(round(reach * shift_x), round(reach * shift_y)),
    )


def apply_look(
    rng: np.random.Generator, pixels: NDArray[np.uint8], look: Look
) -> NDArray[np.uint8]:
    """Return (H, W, 4) pixels with the look applied; the input is not changed.

    Args:
        rng: Source of the noise.
        pixels: (H, W, 4) uint8.
        look: What to apply.
    """
    changed = pixels.copy() if look.rgb_matrix is None else _recoloured(pixels, look.rgb_matrix)
    ir = pixels[..., 3]
    if look.ir_shift_xy != (0, 0):
        ir = _shifted(ir, look.ir_shift_xy)
    if look.ir_table is not None:
        ir = look.ir_table[ir]
    if look.ir_noise:
        noise = rng.standard_normal(ir.shape, dtype=np.float32) * np.float32(look.ir_noise)
        ir = np.clip(np.rint(ir + noise), 0, 255).astype(np.uint8)
    changed[..., 3] = ir
    return changed


def blend(first: NDArray[np.uint8], second: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Return ``share`` of the first and the rest of the second canvas, rounded.

    Mixup for detection keeps the boxes of both (Zhang et al., arXiv 1902.04103).
    """
    mixed = first.astype(np.float32)
    mixed *= np.float32(share)
    mixed += second * np.float32(1.0 - share)
    return np.rint(mixed, out=mixed).astype(np.uint8)


def drop_modality(
    rng: np.random.Generator, pixels: NDArray[np.uint8], *, drop_rgb: float, drop_ir: float
) -> None:
    """Fill RGB, IR or neither of a canvas with PADDING, in place; never both.

    Args:
        rng: Source of the one draw.
        pixels: (H, W, 4) uint8.
        drop_rgb: Probability that RGB goes.
        drop_ir: Probability that IR goes.
    """
    draw = rng.random()
    if draw < drop_rgb:
        pixels[..., :3] = PADDING
    elif draw < drop_rgb + drop_ir:
        pixels[..., 3] = PADDING


def _colour_matrix(*, turn: float, saturation: float, brightness: float) -> tuple[float, ...]:
    sine, cosine = saturation * np.sin(turn), saturation * np.cos(turn)
    change = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    matrix = brightness * RGB_FROM_YIQ @ change @ YIQ_FROM_RGB
    return tuple(np.column_stack((matrix, np.zeros(3))).ravel().tolist())


def _level_table(gain: float, offset: float) -> NDArray[np.uint8]:
    levels = (np.arange(256) - PADDING) * gain + PADDING + offset
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)


def _recoloured(pixels: NDArray[np.uint8], matrix: tuple[float, ...]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    image = Image.frombytes("RGB", (width, height), pixels.tobytes(), "raw", "RGBX")
    recoloured = image.convert("RGB", matrix)
    packed = np.frombuffer(bytearray(recoloured.tobytes("raw", "RGBX")), np.uint8)
    return packed.reshape(height, width, 4)


def _shifted(ir: NDArray[np.uint8], shift_xy: tuple[int, int]) -> NDArray[np.uint8]:
    """Move one channel, its border repeated where nothing moves in."""
    rows = np.clip(np.arange(ir.shape[0]) - shift_xy[1], 0, ir.shape[0] - 1)
    columns = np.clip(np.arange(ir.shape[1]) - shift_xy[0], 0, ir.shape[1] - 1)
    return ir[rows[:, None], columns]
