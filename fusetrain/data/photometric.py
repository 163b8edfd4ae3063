"""Brightness and colour of training pairs, drawn for each modality by itself.

Geometry, which both modalities share, is in `transforms.py`; the one exception is ``ir_shift``,
which imitates badly registered cameras and moves the infrared channel against the boxes on
purpose. Pixels are (H, W, 4) uint8 R, G, B, IR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fusetrain.data.transforms import PADDING

IR_OFFSET = 128.0
# Luma and two colour differences (ITU-R BT.601, YIQ); hue turns, saturation stretches I and Q.
YIQ_FROM_RGB = np.array(
    [[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]]
)
RGB_FROM_YIQ = np.linalg.inv(YIQ_FROM_RGB)
# Coefficients are multiples of one over this: sums of their products with levels are then exact in
# float32, in whatever order a processor adds them, and the pixels are the same everywhere.
STEPS = 2048
# The parts of a map of levels: luma kept, colour kept, colour turned by a right angle, infrared
# kept; each from R, G, B, IR (row) to R, G, B, IR (column).
PARTS = np.zeros((4, 4, 4))
PARTS[:3, :3, :3] = [
    (RGB_FROM_YIQ @ np.array(part) @ YIQ_FROM_RGB).T
    for part in (
        [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
    )
]
PARTS[3, 3, 3] = 1.0
# So many pixels are mapped by one row of a matrix product: it shall be as wide as a register.
TOGETHER = 4
ROW = 4 * TOGETHER


@dataclass(frozen=True)
class PhotometricRanges:
    """From what the looks of a training pair are drawn; 0 everywhere leaves pixels as they are.

    Attributes:
        hsv_h: Largest hue change, as a share of the circle (RGB).
        hsv_s: Saturation gain to either side of 1 (RGB).
        hsv_v: Brightness gain to either side of 1 (RGB).
        ir_gain: Contrast gain to either side of 1, and offset as a share of IR_OFFSET (IR).
        ir_noise: Largest standard deviation of sensor noise, in [0, 1] of the range (IR).
        ir_stripes: The same of column noise: each column has an offset of its own, as uncooled
            sensors show between two corrections of their non-uniformity (IR).
        ir_invert: Share that is inverted, as between white-hot and black-hot palettes (IR).
        ir_shift: Largest shift of IR against RGB, as a share of the canvas.
    """

    hsv_h: float = 0.0
    hsv_s: float = 0.0
    hsv_v: float = 0.0
    ir_gain: float = 0.0
    ir_noise: float = 0.0
    ir_shift: float = 0.0
    ir_stripes: float = 0.0
    ir_invert: float = 0.0


@dataclass(frozen=True)
class Look:
    """One draw from the ranges.

    Attributes:
        mixing: (16, 16) float32, what each of R, G, B, IR (row) adds to each of them (column), for
            four pixels at once; None leaves all levels as they are.
        offset: (16,) float32 that is added to R, G, B, IR of four pixels, in levels.
        ir_noise: Standard deviation in levels.
        ir_shift_xy: Shift of IR in px.
        ir_stripes: Standard deviation of the offsets of columns, in levels.
    """

    mixing: NDArray[np.float32] | None
    offset: NDArray[np.float32] | None
    ir_noise: float
    ir_shift_xy: tuple[int, int]
    ir_stripes: float = 0.0


def draw_looks(
    rng: np.random.Generator, ranges: PhotometricRanges, *, canvas: int, count: int
) -> list[Look]:
    """Draw looks, one for each pair of a sample.

    Args:
        rng: Source of all draws.
        ranges: What is drawn from.
        canvas: Side of the canvas in px, which ``ir_shift`` is a share of.
        count: Number of looks.
    """
    draws = rng.uniform(-1.0, 1.0, (count, 10)).tolist()
    mixings: NDArray[np.float32] | list[None] = [None] * count
    offsets: NDArray[np.float32] | list[None] = [None] * count
    if ranges.hsv_h or ranges.hsv_s or ranges.hsv_v or ranges.ir_gain or ranges.ir_invert:
        mixings, offsets = _level_maps([_shares(draw, ranges) for draw in draws])
    reach = ranges.ir_shift * canvas
    return [
        Look(
            mixing,
            offset,
            ir_noise=ranges.ir_noise * 127.5 * (draw[6] + 1.0),
            ir_shift_xy=(round(reach * draw[8]), round(reach * draw[9])),
            ir_stripes=ranges.ir_stripes * 127.5 * (draw[7] + 1.0),
        )
        for mixing, offset, draw in zip(mixings, offsets, draws, strict=True)
    ]


def apply_look(
    rng: np.random.Generator, pixels: NDArray[np.uint8], look: Look
) -> NDArray[np.uint8]:
    """Return (H, W, 4) pixels with the look applied; the input is not changed.

    Args:
        rng: Source of the noise.
        pixels: (H, W, 4) uint8.
        look: What to apply.
    """
    if look.ir_shift_xy != (0, 0):
        ir = _shifted(pixels[..., 3], look.ir_shift_xy)
        pixels = np.concatenate((pixels[..., :3], ir[..., None]), axis=2)
    if look.mixing is not None and look.offset is not None:
        pixels = _remixed(pixels, look.mixing, look.offset)
    for deviation, shape in (
        (look.ir_stripes, (1, pixels.shape[1])),
        (look.ir_noise, pixels.shape[:2]),
    ):
        if deviation:
            noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
            noisy = np.clip(np.rint(pixels[..., 3] + noise), 0, 255).astype(np.uint8)
            pixels = np.concatenate((pixels[..., :3], noisy[..., None]), axis=2)
    return pixels


def blend(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: float,
    *,
    out: NDArray[np.uint8],
) -> None:
    """Write ``share`` of the first and the rest of the second canvas to ``out``, rounded.

    Mixup for detection keeps the boxes of both (Zhang et al., arXiv 1902.04103).
    """
    mixed = first.astype(np.float32)
    mixed *= np.float32(share)
    mixed += second * np.float32(1.0 - share)
    out[...] = np.rint(mixed, out=mixed)


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


def _shares(draw: Sequence[float], ranges: PhotometricRanges) -> tuple[float, ...]:
    """Return the shares of PARTS for draws in [-1, 1], and the offset of infrared."""
    hue, saturation, brightness, gain_draw, offset_draw, invert = draw[:6]
    turn = 2 * math.pi * ranges.hsv_h * hue
    light = 1.0 + ranges.hsv_v * brightness
    colour = light * (1.0 + ranges.hsv_s * saturation)
    gain = 1.0 + ranges.ir_gain * gain_draw
    is_inverted = (invert + 1.0) / 2 < ranges.ir_invert
    # The grey of padding, or of padding inverted, stays what it is but for the offset.
    offset = PADDING + ranges.ir_gain * IR_OFFSET * offset_draw
    offset += gain * (255 - PADDING if is_inverted else -PADDING)
    gain = -gain if is_inverted else gain
    return light, colour * math.cos(turn), colour * math.sin(turn), gain, offset


def _level_maps(
    shares: Sequence[tuple[float, ...]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return `Look.mixing` and `Look.offset` of N looks."""
    numbers = np.array(shares)
    mixing = (np.rint(numbers[:, :4] @ PARTS.reshape(4, 16) * STEPS) / STEPS).reshape(-1, 4, 4)
    blocks = np.zeros((len(numbers), TOGETHER, 4, TOGETHER, 4), np.float32)
    for number in range(TOGETHER):
        blocks[:, number, :, number] = mixing
    offsets = np.zeros((len(numbers), TOGETHER, 4), np.float32)
    offsets[:, :, 3] = np.rint(numbers[:, 4:] * STEPS) / STEPS
    return blocks.reshape(-1, ROW, ROW), offsets.reshape(-1, ROW)


def _remixed(
    pixels: NDArray[np.uint8], mixing: NDArray[np.float32], offset: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return dense (H, W, 4) pixels as a linear map makes them, rounded and clipped."""
    levels, rest = pixels.reshape(-1), -pixels.size % ROW
    if rest:
        levels = np.concatenate((levels, np.zeros(rest, np.uint8)))
    mixed = torch.addmm(
        torch.from_numpy(offset + np.float32(0.5)),
        torch.from_numpy(levels.astype(np.float32).reshape(-1, ROW)),
        torch.from_numpy(mixing),
    )
    # Cutting off rounds here, as a half was added; numpy does it eight times as fast as torch.
    rounded = mixed.clamp_(0.0, 255.0).numpy().astype(np.uint8).reshape(-1)
    return rounded[: pixels.size].reshape(pixels.shape)


def _shifted(ir: NDArray[np.uint8], shift_xy: tuple[int, int]) -> NDArray[np.uint8]:
    """Move one channel, its border repeated where nothing moves in."""
    rows = np.clip(np.arange(ir.shape[0]) - shift_xy[1], 0, ir.shape[0] - 1)
    columns = np.clip(np.arange(ir.shape[1]) - shift_xy[0], 0, ir.shape[1] - 1)
    return ir[rows[:, None], columns]
