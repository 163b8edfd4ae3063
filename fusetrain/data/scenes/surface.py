"""What all drawing of a scene stands on: its size, ink of colour and temperature, smooth fields.

Colour and temperature are drawn in one go, so that both cameras see the same outlines.
Shape legend: HEIGHT x WIDTH pixels of a scene.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

Float32 = NDArray[np.float32]
Colour = tuple[int, int, int]

HEIGHT, WIDTH = 256, 320
# Four channels without an alpha rule of Pillow's own: red, green, blue, temperature.
INK_MODE = "CMYK"
KELVIN_STEPS = 6.0
ZERO_KELVIN_LEVEL = 128


def ink(colour: Colour, kelvin: float) -> tuple[int, int, int, int]:
    """Return what is drawn with on a surface of `INK_MODE`.

    Args:
        colour: Visible colour, 0 to 255.
        kelvin: Temperature above the ground, K; about -21 to 21 can be told apart.
    """
    level = round(ZERO_KELVIN_LEVEL + KELVIN_STEPS * kelvin)
    return (*colour, min(255, max(0, level)))


def read_ink(
    image: Image.Image, *, supersample: int, coverage: Float32 | float = 1.0
) -> tuple[Float32, Float32]:
    """Return colour (3, h, w), 0 to 1, and temperature (h, w), K, of a drawn surface.

    Args:
        image: Surface of `INK_MODE`, ``supersample`` times as wide and high as what is returned.
        supersample: Drawn pixels in one returned pixel, in each direction.
        coverage: Share of each returned pixel that was drawn on, (h, w); the rest is zero. Both
            results come multiplied by it.
    """
    small = np.asarray(image.reduce(supersample))
    planes = small.transpose(2, 0, 1).astype(np.float32, order="C")
    return planes[:3] / 255.0, (planes[3] - ZERO_KELVIN_LEVEL * coverage) / KELVIN_STEPS


def noise(rng: Generator, *, cell: int) -> Float32:
    """Return smooth noise of unit scale, (HEIGHT, WIDTH), in blobs about ``cell`` px wide."""
    coarse = rng.standard_normal((HEIGHT // cell + 3, WIDTH // cell + 3), dtype=np.float32)
    smooth = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(smooth)


def spot(centre_xy: tuple[float, float], radius_xy: tuple[float, float]) -> Float32:
    """Return a soft blob (1 + d^2)^-4 of height 1, (HEIGHT, WIDTH).

    Sums, products and quotients alone: unlike ``exp``, they are the same on every processor.
    """
    across = np.arange(WIDTH, dtype=np.float32) - np.float32(centre_xy[0])
    down = np.arange(HEIGHT, dtype=np.float32) - np.float32(centre_xy[1])
    across, down = across / np.float32(radius_xy[0]), down / np.float32(radius_xy[1])
    fall = np.float32(1.0) + (across * across)[None, :] + (down * down)[:, None]
    square = fall * fall
    return np.asarray(np.float32(1.0) / (square * square), np.float32)
