"""Where objects and decoys of a scene stand, and which camera is to see each of them.

Regions where the visible camera fails are drawn first and without regard to the objects, so that
no glare, smoke, shade or darkness betrays one. Nothing is drawn into an image here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from fusetrain.data.scenes.kinds import CLASS_NAMES, CLASS_SHARES, Kind
from fusetrain.data.scenes.surface import HEIGHT, WIDTH, Float32, noise, spot

MAX_OBJECTS = 5
GAP_PX = 5
PLACE_TRIES = 40
DECOYS = ("rock", "vent", "bush", "poster")
DECOY_SHARES = (0.3, 0.3, 0.25, 0.15)
# Height of far and of near ones, px; least and greatest width for height.
SIZES: dict[str, tuple[float, float, float, float]] = {
    "person": (36, 88, 0.42, 0.48),
    "car": (24, 50, 2.2, 2.5),
    "animal": (23, 44, 1.25, 1.45),
    "rock": (16, 44, 0.6, 1.3),
    "vent": (22, 54, 0.45, 0.8),
    "bush": (18, 42, 0.9, 1.6),
    "poster": (38, 80, 0.60, 0.64),
}
# Mean cover of a place where the visible camera sees nothing, and of one where it sees well.
HIDDEN = 0.88
OPEN = 0.35


@dataclass(frozen=True)
class Thing:
    """One object or decoy.

    Attributes:
        name: One of `CLASS_NAMES` or `DECOYS`.
        left: Left edge of its sprite, px; also `top`, `width`, `height`.
        seen_rgb: The visible camera is to see it.
        seen_ir: The infrared camera is to see it.
        car_state: What a car is like, a key of `looks.CAR_KELVIN`.
        camouflaged: It stands in the shade and has the tone of its background.
    """

    name: str
    left: int
    top: int
    width: int
    height: int
    seen_rgb: bool = True
    seen_ir: bool = True
    car_state: str = ""
    camouflaged: bool = False

    @property
    def is_object(self) -> bool:
        """Whether it is labelled; decoys are not."""
        return self.name in CLASS_NAMES

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns that it fills in an image."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    def touches(self, other: Thing) -> bool:
        """Return whether less than the gap lies between the two."""
        return (
            self.left < other.left + other.width + GAP_PX
            and other.left < self.left + self.width + GAP_PX
            and self.top < other.top + other.height + GAP_PX
            and other.top < self.top + self.height + GAP_PX
        )


def draw_cover(
    rng: Generator, rules: Kind, *, horizon: int
) -> tuple[Float32, tuple[tuple[float, float], ...]]:
    """Draw the regions where the visible camera fails, before anything is placed.

    They do not follow the objects, so that glare, smoke, shade or darkness betrays none of them.

    Returns:
        How much is hidden, (HEIGHT, WIDTH), 0 to 1; and the centres of the regions, (x, y) px. At
        night the regions are the pools of lamps, and all but them is hidden.
    """
    regions = np.zeros((HEIGHT, WIDTH), np.float32)
    centres = []
    for _ in range(int(rng.integers(2, 4))):
        centre = (float(rng.uniform(20, WIDTH - 20)), float(rng.uniform(horizon + 10, HEIGHT - 30)))
        radius = (float(rng.uniform(44, 84)), float(rng.uniform(34, 60)))
        regions += 7.0 * spot(centre, radius)
        centres.append(centre)
    if not rules.is_dark:
        regions *= 1.0 + 0.15 * noise(rng, cell=14)
    if rules.shade:
        regions[:horizon] = 0.0
    regions = np.clip(regions, 0.0, 0.995)
    return (1.0 - regions if rules.is_dark else regions), tuple(centres)


def place_things(
    rng: Generator, rules: Kind, *, cover: Float32, horizon: int, num_objects: int
) -> list[Thing]:
    """Choose objects and decoys and find free places for them; far ones come first."""
    names = [CLASS_NAMES[i] for i in rng.choice(len(CLASS_NAMES), num_objects, p=CLASS_SHARES)]
    names += [DECOYS[i] for i in rng.choice(len(DECOYS), int(rng.integers(0, 4)), p=DECOY_SHARES)]
    placed: list[Thing] = []
    for name in names:
        hidden = name in CLASS_NAMES and bool(rng.random() < rules.only_ir)
        thing = _find_place(rng, name, cover=cover, horizon=horizon, hidden=hidden, placed=placed)
        if thing is not None:
            placed.append(_draw_visibility(rng, rules, thing, cover=cover))
    return sorted(placed, key=lambda thing: thing.top + thing.height)


def _find_place(
    rng: Generator,
    name: str,
    *,
    cover: Float32,
    horizon: int,
    hidden: bool,
    placed: Sequence[Thing],
) -> Thing | None:
    """Return a free place that is covered, or open, as asked; else any free one; else none."""
    free = None
    for _ in range(PLACE_TRIES):
        thing = _draw_place(rng, name, horizon=horizon)
        if any(thing.touches(other) for other in placed):
            continue
        free = thing
        covered = _mean_cover(cover, thing)
        if covered > HIDDEN if hidden else covered < OPEN:
            return thing
    return free


def _draw_place(rng: Generator, name: str, *, horizon: int) -> Thing:
    """Draw a foot point on the ground; what stands nearer to the camera is larger."""
    foot = int(rng.integers(horizon + 14, HEIGHT - 3))
    depth = (foot - horizon) / (HEIGHT - horizon)
    far, near, narrow, wide = SIZES[name]
    height = round((far + (near - far) * depth) * float(rng.uniform(0.92, 1.08)))
    width = round(height * float(rng.uniform(narrow, wide)))
    left = int(rng.integers(2, WIDTH - width - 2))
    return Thing(name, left, max(2, foot - height), width, height)


def _mean_cover(cover: Float32, thing: Thing) -> float:
    return float(cover[thing.slices][::3, ::3].mean())


def _draw_visibility(rng: Generator, rules: Kind, thing: Thing, *, cover: Float32) -> Thing:
    """Decide which cameras see a thing; what the visible one misses is always seen by infrared."""
    covered = _mean_cover(cover, thing)
    seen_ir = bool(rng.random() < 1.0 - rules.only_rgb) or covered > OPEN or not thing.is_object
    state = rules.car_states[int(rng.integers(len(rules.car_states)))]
    seen_rgb = covered <= HIDDEN
    camouflaged = thing.is_object and not seen_rgb and rules.shade > 0.0
    return replace(
        thing, seen_rgb=seen_rgb, seen_ir=seen_ir, car_state=state, camouflaged=camouflaged
    )
