"""The empty stage of a demo scene: sky, buildings, trees, ground, road, with their temperatures.

Colour and temperature come from the same outlines but have textures of their own, as a visible and
a thermal camera would see one place. Objects, lamps, smoke and sensors are added elsewhere.
Shape legend: HEIGHT x WIDTH pixels of a scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from fusetrain.data.scenes.kinds import Climate
from fusetrain.data.scenes.surface import (
    HEIGHT,
    INK_MODE,
    KELVIN_STEPS,
    WIDTH,
    ZERO_KELVIN_LEVEL,
    Colour,
    Float32,
    ink,
    noise,
    read_ink,
)

SUPERSAMPLE = 2
WALLS: tuple[Colour, ...] = ((150, 105, 88), (165, 158, 148), (122, 124, 132), (186, 172, 142))
GROUNDS: tuple[Colour, ...] = ((104, 122, 70), (124, 116, 84), (92, 112, 62), (132, 124, 104))
CROWNS: tuple[Colour, ...] = ((52, 84, 44), (64, 92, 46), (46, 72, 48))


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A stage without objects.

    Attributes:
        colour: Visible colour in full light, (3, HEIGHT, WIDTH), 0 to 1.
        kelvin: Temperature above the open ground, (HEIGHT, WIDTH), K.
        horizon: Row where the ground begins, px.
        windows: Centres of windows that may be lit, (x, y) px.
    """

    colour: Float32
    kelvin: Float32
    horizon: int
    windows: tuple[tuple[float, float], ...]


def draw_backdrop(rng: Generator, climate: Climate) -> Backdrop:
    """Draw sky, skyline, ground and road.

    Args:
        rng: Source of all choices.
        climate: Colours of the sky and temperatures of the hour.
    """
    horizon = int(rng.integers(68, 104))
    image = _sky_and_ground(rng, climate, horizon=horizon)
    brush = _Brush(image)
    windows = _draw_skyline(rng, brush, climate=climate, horizon=horizon)
    _draw_road(rng, brush, climate=climate, horizon=horizon)
    colour, kelvin = read_ink(image, supersample=SUPERSAMPLE)
    ground = np.clip((np.arange(HEIGHT, dtype=np.float32) - horizon) / 10, 0, 1)[:, None]
    patches = noise(rng, cell=40)
    grain = noise(rng, cell=10) + 0.8 * noise(rng, cell=3)
    colour *= 1.0 + ground * (0.07 * patches + 0.07 * grain)
    kelvin += climate.texture * ground * (0.6 * noise(rng, cell=28) - 0.5 * patches + 0.25 * grain)
    return Backdrop(np.clip(colour, 0.0, 1.0), kelvin, horizon, windows)


class _Brush:
    """Draws in scene pixels with a colour and a temperature."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)

    def polygon(self, points: list[tuple[float, float]], colour: Colour, kelvin: float) -> None:
        scaled = [(x * SUPERSAMPLE, y * SUPERSAMPLE) for x, y in points]
        self._draw.polygon(scaled, fill=ink(colour, kelvin))

    def box(
        self, corners: tuple[float, float, float, float], colour: Colour, kelvin: float
    ) -> None:
        x1, y1, x2, y2 = (value * SUPERSAMPLE for value in corners)
        self._draw.rectangle((x1, y1, x2, y2), fill=ink(colour, kelvin))

    def ellipse(
        self, corners: tuple[float, float, float, float], colour: Colour, kelvin: float
    ) -> None:
        x1, y1, x2, y2 = (value * SUPERSAMPLE for value in corners)
        self._draw.ellipse((x1, y1, x2, y2), fill=ink(colour, kelvin))


def _tone(rng: Generator, colour: Colour, *, spread: float) -> Colour:
    factor = float(rng.uniform(1.0 - spread, 1.0 + spread))
    red, green, blue = (min(255, round(channel * factor)) for channel in colour)
    return red, green, blue


def _sky_and_ground(rng: Generator, climate: Climate, *, horizon: int) -> Image.Image:
    """Return the drawing surface with the two gradients that everything else stands on."""
    rows = np.arange(HEIGHT * SUPERSAMPLE, dtype=np.float32)[:, None] / SUPERSAMPLE
    above = np.clip(rows / horizon, 0.0, 1.0)
    below = np.clip((rows - horizon) / (HEIGHT - horizon), 0.0, 1.0)
    sky_top, sky_low = (np.array(c, np.float32) for c in (climate.sky_top, climate.sky_low))
    ground = np.array(_tone(rng, GROUNDS[int(rng.integers(len(GROUNDS)))], spread=0.1), np.float32)
    cold = ZERO_KELVIN_LEVEL + KELVIN_STEPS * (-15.0 + 8.0 * above)
    warm = ZERO_KELVIN_LEVEL + KELVIN_STEPS * (-1.0 + 1.0 * below)
    sky = np.hstack([sky_top + (sky_low - sky_top) * above, cold])
    earth = np.hstack([ground * (0.82 + 0.25 * below), warm])
    columns = np.where(rows < horizon, sky, earth).astype(np.uint8)
    pixels = np.repeat(columns[:, None, :], WIDTH * SUPERSAMPLE, axis=1)
    return Image.frombytes(INK_MODE, (WIDTH * SUPERSAMPLE, HEIGHT * SUPERSAMPLE), pixels.tobytes())


def _draw_skyline(
    rng: Generator, brush: _Brush, *, climate: Climate, horizon: int
) -> tuple[tuple[float, float], ...]:
    windows: list[tuple[float, float]] = []
    x = float(rng.uniform(-40, 10))
    while x < WIDTH:
        width = float(rng.uniform(34, 96))
        if rng.random() < 0.5:
            corners = (x, horizon - float(rng.uniform(24, 62)), x + width, horizon + 2.0)
            windows += _draw_building(rng, brush, corners, wall_kelvin=climate.wall)
        else:
            _draw_tree(rng, brush, x + width / 2, horizon=horizon)
        x += width + float(rng.uniform(-6, 24))
    return tuple(windows)


def _draw_building(
    rng: Generator,
    brush: _Brush,
    corners: tuple[float, float, float, float],
    *,
    wall_kelvin: float,
) -> list[tuple[float, float]]:
    x1, y1, x2, y2 = corners
    wall = _tone(rng, WALLS[int(rng.integers(len(WALLS)))], spread=0.12)
    brush.box(corners, wall, wall_kelvin + float(rng.uniform(-1.0, 1.0)))
    brush.box((x1 - 1, y1 - 2, x2 + 1, y1 + 1), (88, 84, 84), wall_kelvin - 3.0)
    centres = [
        (x + 3.0, y + 3.5)
        for y in np.arange(y1 + 6, y2 - 11, 13.0).tolist()
        for x in np.arange(x1 + 5, x2 - 9, 12.0).tolist()
    ]
    for x, y in centres:
        brush.box((x - 3, y - 3.5, x + 3, y + 3.5), (62, 72, 86), wall_kelvin - 4.0)
    return [(x, y) for x, y in centres if 0 <= x < WIDTH and y >= 0]


def _draw_tree(rng: Generator, brush: _Brush, x: float, *, horizon: int) -> None:
    height, crown = float(rng.uniform(26, 56)), CROWNS[int(rng.integers(len(CROWNS)))]
    brush.box((x - 2, horizon - height * 0.5, x + 2, horizon + 4), (78, 62, 48), 0.5)
    for _ in range(9):
        cx = x + float(rng.uniform(-0.34, 0.34)) * height
        cy = horizon - height * float(rng.uniform(0.45, 0.95))
        radius = height * float(rng.uniform(0.14, 0.24))
        corners = (cx - radius, cy - radius, cx + radius, cy + radius)
        brush.ellipse(corners, _tone(rng, crown, spread=0.2), float(rng.uniform(-2.2, -1.2)))


def _draw_road(rng: Generator, brush: _Brush, *, climate: Climate, horizon: int) -> None:
    vanish = float(rng.uniform(60, 260))
    centre, half = float(rng.uniform(60, 260)), float(rng.uniform(70, 120))
    grey = _tone(rng, (98, 98, 102), spread=0.12)

    def quad(left: float, right: float, *, top: float, bottom: float) -> list[tuple[float, float]]:
        """Return a stretch of a lane; left and right are shares of the half width."""

        def at(side: float, depth: float) -> tuple[float, float]:
            x = vanish + (centre + side * half - vanish) * depth + 3 * side * (1 - depth)
            return x, horizon + (HEIGHT - horizon) * depth

        return [at(left, top), at(right, top), at(right, bottom), at(left, bottom)]

    brush.polygon(quad(-1.16, 1.16, top=0, bottom=1), (146, 142, 134), climate.road * 0.5)
    brush.polygon(quad(-1.0, 1.0, top=0, bottom=1), grey, climate.road)
    for start in (0.05, 0.14, 0.27, 0.46, 0.72):
        dash = quad(-0.02, 0.02, top=start, bottom=start * 1.28)
        brush.polygon(dash, (206, 204, 192), climate.road - 0.6)
