"""Silhouettes of the demo's people, cars, animals and decoys, each as one small sprite.

A sprite carries visible colour and temperature together, so that both modalities show the same
outline. Where sprites go, how a scene is lit and what the sensors do to it is said elsewhere.
Shape legend: h x w pixels of one sprite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from fusetrain.data.scenes.surface import INK_MODE, Colour, Float32, ink, read_ink

Points = tuple[tuple[float, float], ...]
Silhouette = list[tuple[str, Points]]
Look = Mapping[str, tuple[Colour, float]]

SUPERSAMPLE = 3
OPAQUE = 0.5


@dataclass(frozen=True, eq=False)
class Sprite:
    """One object as it is pasted onto a scene.

    Attributes:
        colour: Visible colour times coverage, (3, h, w), 0 to 1.
        warmth: Temperature above the surroundings in K, times coverage, (h, w).
        coverage: Share of each pixel that the object fills, (h, w), 0 to 1.
    """

    colour: Float32
    warmth: Float32
    coverage: Float32

    @property
    def extent_xyxy_px(self) -> tuple[int, int, int, int]:
        """The tight box around the pixels that are covered by half or more."""
        rows = np.flatnonzero((self.coverage >= OPAQUE).any(axis=1))
        columns = np.flatnonzero((self.coverage >= OPAQUE).any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def person(rng: Generator) -> Silhouette:
    """Return a walking or standing person: shoes, legs, arms, torso, head, hair.

    Points lie in the unit square, x to the right and y down; two points are the corners of an
    ellipse, more are a polygon. Parts are listed from back to front; this holds for every shape.
    """
    stride = float(rng.uniform(0.04, 0.30))
    swing = float(rng.uniform(0.0, 0.05))
    left, right = 0.5 - stride, 0.5 + stride
    return [
        (
            "shoes",
            ((left - 0.10, 0.94), (left + 0.14, 0.94), (left + 0.17, 1.0), (left - 0.1, 1.0)),
        ),
        (
            "shoes",
            ((right - 0.10, 0.94), (right + 0.14, 0.94), (right + 0.17, 1.0), (right - 0.1, 1.0)),
        ),
        ("legs", ((0.30, 0.50), (0.54, 0.50), (left + 0.11, 0.96), (left - 0.09, 0.96))),
        ("legs", ((0.46, 0.50), (0.70, 0.50), (right + 0.09, 0.96), (right - 0.11, 0.96))),
        (
            "top",
            ((0.24, 0.19), (0.36, 0.20), (0.20 - swing, 0.53), (0.06 - swing / 2, 0.51)),
        ),
        (
            "top",
            ((0.64, 0.20), (0.76, 0.19), (0.94 + swing / 2, 0.51), (0.80 + swing, 0.53)),
        ),
        ("skin", ((0.05 - swing, 0.50), (0.20 - swing, 0.565))),
        ("skin", ((0.80 + swing, 0.50), (0.95 + swing, 0.565))),
        ("skin", ((0.43, 0.12), (0.57, 0.12), (0.57, 0.19), (0.43, 0.19))),
        (
            "top",
            ((0.24, 0.18), (0.40, 0.16), (0.60, 0.16), (0.76, 0.18), (0.71, 0.54), (0.29, 0.54)),
        ),
        ("skin", ((0.35, 0.0), (0.65, 0.15))),
        ("hair", ((0.35, 0.06), (0.38, 0.01), (0.50, 0.0), (0.62, 0.01), (0.65, 0.06))),
    ]


def car(rng: Generator) -> Silhouette:
    """Return a car from the side: body, cabin, windows, warm bonnet, wheels, head lamp."""
    rear = float(rng.uniform(0.03, 0.20))
    front = float(rng.uniform(0.56, 0.66))
    roof = float(rng.uniform(0.0, 0.10))
    belt = 0.42
    return [
        ("tyre", ((0.11, 0.58), (0.29, 1.0))),
        ("tyre", ((0.71, 0.58), (0.89, 1.0))),
        (
            "body",
            (
                (0.0, 0.86),
                (0.0, 0.50),
                (0.03, belt),
                (0.74, belt),
                (0.96, 0.52),
                (1.0, 0.62),
                (1.0, 0.86),
            ),
        ),
        ("body", ((rear, belt), (rear + 0.09, roof), (front, roof), (front + 0.17, belt))),
        (
            "glass",
            ((rear + 0.05, 0.38), (rear + 0.11, roof + 0.08), (0.37, roof + 0.08), (0.37, 0.38)),
        ),
        (
            "glass",
            ((0.40, 0.38), (0.40, roof + 0.08), (front - 0.02, roof + 0.08), (front + 0.10, 0.38)),
        ),
        ("bonnet", ((0.72, belt), (0.96, 0.52), (0.98, 0.64), (0.72, 0.66))),
        ("tyre", ((0.12, 0.60), (0.28, 0.98))),
        ("tyre", ((0.72, 0.60), (0.88, 0.98))),
        ("rim", ((0.165, 0.705), (0.235, 0.875))),
        ("rim", ((0.765, 0.705), (0.835, 0.875))),
        ("lamp", ((0.955, 0.56), (1.0, 0.66))),
    ]


def animal(rng: Generator) -> Silhouette:
    """Return a four-legged animal from the side: tail, legs, body, neck, head, ears."""
    step = float(rng.uniform(0.0, 0.06))
    tail = float(rng.uniform(0.10, 0.60))
    head = float(rng.uniform(0.0, 0.12))
    legs = [
        ("leg", ((x, 0.55), (x + 0.11, 0.55), (x + 0.09 + lean, 1.0), (x + 0.01 + lean, 1.0)))
        for x, lean in ((0.17, -step), (0.28, step), (0.60, -step), (0.70, step))
    ]
    return [
        ("fur", ((0.12, 0.36), (0.20, 0.40), (0.06, tail + 0.05), (0.0, tail))),
        *legs,
        ("fur", ((0.13, 0.30), (0.50, 0.68))),
        ("fur", ((0.26, 0.30), (0.70, 0.30), (0.70, 0.66), (0.26, 0.66))),
        ("fur", ((0.55, 0.28), (0.84, 0.70))),
        ("fur", ((0.62, 0.34), (0.72, 0.12 + head), (0.86, 0.20 + head), (0.82, 0.46))),
        ("face", ((0.70, 0.06 + head), (0.90, 0.32 + head))),
        (
            "face",
            ((0.84, 0.15 + head), (0.99, 0.18 + head), (1.0, 0.28 + head), (0.84, 0.31 + head)),
        ),
        ("face", ((0.72, 0.12 + head), (0.74, head), (0.82, 0.09 + head))),
    ]


def rock(rng: Generator) -> Silhouette:
    """Return a boulder that the sun has heated."""
    lean = float(rng.uniform(-0.12, 0.12))
    return [
        (
            "stone",
            (
                (0.0, 1.0),
                (0.08, 0.45),
                (0.34 + lean, 0.06),
                (0.68 + lean, 0.0),
                (0.94, 0.40),
                (1.0, 1.0),
            ),
        ),
        ("shade", ((0.06, 1.0), (0.30, 0.62), (0.62 + lean, 0.55), (0.96, 1.0))),
    ]


def vent(rng: Generator) -> Silhouette:
    """Return an exhaust cabinet: a warm box whose slats only the visible image shows."""
    slats = int(rng.integers(4, 7))
    heights = [0.12 + 0.8 * index / slats for index in range(slats)]
    return [
        ("metal", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))),
        *[("slat", ((0.14, y), (0.86, y), (0.86, y + 0.06), (0.14, y + 0.06))) for y in heights],
    ]


def bush(rng: Generator) -> Silhouette:
    """Return a round shrub of some overlapping clumps."""
    clumps = rng.uniform((0.0, 0.0), (0.55, 0.45), size=(6, 2))
    return [
        (("leaf", "leaf", "leaf light")[index % 3], ((x, y), (x + 0.45, y + 0.55)))
        for index, (x, y) in enumerate(clumps.tolist())
    ]


def poster(rng: Generator) -> Silhouette:
    """Return a framed board with a person painted on it, whom only the visible image shows."""
    painted: Silhouette = [
        (material, tuple((0.22 + 0.56 * x, 0.10 + 0.72 * y) for x, y in points))
        for material, points in person(rng)
    ]
    return [
        ("frame", ((0.0, 0.0), (1.0, 0.0), (1.0, 0.9), (0.0, 0.9))),
        ("paper", ((0.08, 0.05), (0.92, 0.05), (0.92, 0.85), (0.08, 0.85))),
        ("frame", ((0.12, 0.9), (0.22, 0.9), (0.22, 1.0), (0.12, 1.0))),
        ("frame", ((0.78, 0.9), (0.88, 0.9), (0.88, 1.0), (0.78, 1.0))),
        *painted,
    ]


def render(
    silhouette: Silhouette, look: Look, *, size_hw: tuple[int, int], mirrored: bool, sun: float
) -> Sprite:
    """Draw a silhouette at its size in pixels, shaded from above and from one side.

    Args:
        silhouette: Parts from back to front, in the unit square.
        look: Material to visible colour (0 to 255) and to K above the surroundings (-20 to 20).
        size_hw: Height and width of the sprite, px.
        mirrored: Faces left instead of right.
        sun: Side the light comes from, -1 (left) to 1 (right); its size is the shading's depth.
    """
    height, width = size_hw[0] * SUPERSAMPLE, size_hw[1] * SUPERSAMPLE
    surface = Image.new(INK_MODE, (width, height))
    mask = Image.new("L", (width, height))
    brush, mask_brush = ImageDraw.Draw(surface), ImageDraw.Draw(mask)
    for material, points in silhouette:
        outline = [
            ((1.0 - x if mirrored else x) * (width - 1), y * (height - 1)) for x, y in points
        ]
        _draw_part(brush, outline, fill=ink(*look[material]))
        _draw_part(mask_brush, outline, fill=255)
    coverage = np.asarray(mask.reduce(SUPERSAMPLE), dtype=np.float32) / 255.0
    colour, warmth = read_ink(surface, supersample=SUPERSAMPLE, coverage=coverage)
    across = np.linspace(-sun, sun, size_hw[1], dtype=np.float32) * 0.22
    down = np.linspace(1.08, 0.80, size_hw[0], dtype=np.float32)
    shading = down[:, None] * (1.0 + across[None, :])
    return Sprite(np.clip(colour * shading, 0.0, 1.0), warmth, coverage)


def _draw_part(
    brush: ImageDraw.ImageDraw, outline: list[tuple[float, float]], *, fill: int | tuple[int, ...]
) -> None:
    if len(outline) > 2:
        brush.polygon(outline, fill=fill)
        return
    (x1, y1), (x2, y2) = outline
    brush.ellipse((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), fill=fill)
