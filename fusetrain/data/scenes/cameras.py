"""What the two cameras make of a finished scene: light, veil and grain; blur, drift and noise.

The visible camera sees colour where there is light; the infrared one sees temperature at any hour,
but blurred and with the fixed pattern of an uncooled sensor.
Shape legend: HEIGHT x WIDTH pixels of a scene.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fusetrain.data.scenes.kinds import Kind
from fusetrain.data.scenes.surface import HEIGHT, WIDTH, Float32, noise

IR_LEVELS_PER_KELVIN = 7.5
IR_GROUND_LEVEL = 88.0
LIT_WINDOWS = 0.25
LAMP_HEIGHT_PX = 46.0


def draw_glows(
    rng: Generator,
    rules: Kind,
    *,
    windows: Sequence[tuple[float, float]],
    lamps: Sequence[tuple[float, float]],
) -> Float32:
    """Return the light that lamps and windows give off themselves, (3, HEIGHT, WIDTH)."""
    glows = np.zeros((3, HEIGHT, WIDTH), np.float32)
    if rules.light > 0.6:
        return glows
    for x, y in windows:
        if rng.random() < LIT_WINDOWS:
            _add_glow(glows, (x, y), radius=2.6, colour=(0.80, 0.62, 0.30))
    for x, y in lamps if rules.is_dark else ():
        _add_glow(glows, (x, y - LAMP_HEIGHT_PX), radius=3.2, colour=(1.0, 0.94, 0.74))
    return glows


def visible_camera(
    rng: Generator, rules: Kind, *, colour: Float32, cover: Float32, glows: Float32
) -> NDArray[np.uint8]:
    """Light the scene, hang glare or smoke before it, add lamps and noise."""
    light = rules.light * (1.0 - rules.shade * cover)
    if rules.is_dark:
        light = rules.light + (1.0 - rules.light) * (1.0 - cover)
    puffs = 1.0 + rules.puffs * (noise(rng, cell=22) + 0.6 * noise(rng, cell=9))
    grain = rules.grain * rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32)
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    for channel, (tint, veil) in enumerate(zip(rules.tint, rules.veil, strict=True)):
        plane = colour[channel] * (np.float32(tint) * light) + glows[channel]
        if rules.is_veiled:
            plane += (veil * puffs - plane) * cover
        # One draw serves the three channels: shifted by many rows it is as good as three.
        plane += np.roll(grain, 83 * channel, axis=0)
        image[..., channel] = np.clip(plane, 0.0, 1.0) * 255.0 + 0.5
    return image


def infrared_camera(rng: Generator, kelvin: Float32) -> NDArray[np.uint8]:
    """Blur, then add what an uncooled sensor adds: vignette, drift, column stripes, noise."""
    gain = IR_LEVELS_PER_KELVIN * float(rng.uniform(0.85, 1.15))
    image = IR_GROUND_LEVEL + float(rng.uniform(-8, 8)) + gain * _blur_rows(_blur_rows(kelvin).T).T
    across = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
    image -= 6.0 * (across * across + down * down) - 4.0
    image += 1.5 * noise(rng, cell=64)
    image += 1.0 * rng.standard_normal((1, WIDTH), dtype=np.float32)
    image += 2.8 * rng.standard_normal(image.shape, dtype=np.float32)
    levels = np.clip(image, 0.0, 255.0) + 0.5
    return np.asarray(levels, np.float32).astype(np.uint8)


def _add_glow(
    glows: Float32,
    centre: tuple[float, float],
    *,
    radius: float,
    colour: tuple[float, float, float],
) -> None:
    """Add one small source of light, in place; sources outside the image add what reaches it."""
    reach = round(5 * radius)
    left, top = max(0, int(centre[0]) - reach), max(0, int(centre[1]) - reach)
    patch = glows[:, top : int(centre[1]) + reach + 1, left : int(centre[0]) + reach + 1]
    across = (np.arange(patch.shape[2], dtype=np.float32) + np.float32(left - centre[0])) / radius
    down = (np.arange(patch.shape[1], dtype=np.float32) + np.float32(top - centre[1])) / radius
    fall = 1.0 + (across * across)[None, :] + (down * down)[:, None]
    patch += np.array(colour, np.float32)[:, None, None] / (fall * fall)


def _blur_rows(image: Float32) -> Float32:
    """Return the image under the binomial kernel (1 4 6 4 1) / 16 down its rows."""
    rows = len(image)
    padded = np.pad(image, ((2, 2), (0, 0)), mode="edge")
    outer = padded[:rows] + padded[4:]
    inner = padded[1 : rows + 1] + padded[3 : rows + 3]
    return np.asarray((outer + 4.0 * inner + 6.0 * image) * np.float32(1 / 16), np.float32)
