"""Draws one synthetic RGB-IR scene: stage, objects, decoys, and how two cameras see them.

About a third of the objects is lost to the visible camera (dark, glare, smoke, shade), another
third to the infrared one (as warm as what is behind them); each stays visible to one of the two.
Pixels come from numpy and Pillow and depend on the generator passed, on nothing else.
Shape legend: HEIGHT x WIDTH pixels of a scene, N objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fusetrain.data.scenes import looks, shapes
from fusetrain.data.scenes.backdrop import draw_backdrop
from fusetrain.data.scenes.cameras import draw_glows, infrared_camera, visible_camera
from fusetrain.data.scenes.kinds import CLASS_NAMES, KINDS
from fusetrain.data.scenes.placement import MAX_OBJECTS, Thing, draw_cover, place_things
from fusetrain.data.scenes.surface import Colour, Float32

Box = tuple[int, int, int, int]

# What is left of an object's colours in the shade, where it has the tone of its background.
CAMOUFLAGE = 0.05


@dataclass(frozen=True, eq=False)
class Scene:
    """One pair with its truth.

    Attributes:
        rgb: Visible image, (HEIGHT, WIDTH, 3), uint8.
        ir: Infrared image, white is hot, (HEIGHT, WIDTH), uint8.
        boxes_xyxy_px: Tight boxes inside the image, (N, 4), float32, px.
        classes: Index into `CLASS_NAMES`, (N,), int64.
        seen_rgb: Whether the visible image shows the object, (N,), bool.
        seen_ir: Whether the infrared image shows the object, (N,), bool.
        kind: Key of `KINDS`.
    """

    rgb: NDArray[np.uint8]
    ir: NDArray[np.uint8]
    boxes_xyxy_px: Float32
    classes: NDArray[np.int64]
    seen_rgb: NDArray[np.bool_]
    seen_ir: NDArray[np.bool_]
    kind: str


def draw_scene(rng: Generator, kind: str, *, num_objects: int | None = None) -> Scene:
    """Draw one scene.

    Args:
        rng: Source of all choices; equal generators give equal bytes.
        kind: Key of `KINDS`.
        num_objects: Objects to place, 0 to `MAX_OBJECTS`; none: 1 to `MAX_OBJECTS` are drawn. Where
            no free place is found, fewer are placed.
    """
    rules = KINDS[kind]
    backdrop = draw_backdrop(rng, rules.climate)
    wanted = int(rng.integers(1, MAX_OBJECTS + 1)) if num_objects is None else num_objects
    cover, centres = draw_cover(rng, rules, horizon=backdrop.horizon)
    things = place_things(rng, rules, cover=cover, horizon=backdrop.horizon, num_objects=wanted)
    colour, kelvin = backdrop.colour.copy(), backdrop.kelvin.copy()
    boxes = [_paste(rng, colour, kelvin, thing=thing) for thing in things]
    glows = draw_glows(rng, rules, windows=backdrop.windows, lamps=centres)
    objects = [(thing, box) for thing, box in zip(things, boxes, strict=True) if thing.is_object]
    return Scene(
        rgb=visible_camera(rng, rules, colour=colour, cover=cover, glows=glows),
        ir=infrared_camera(rng, kelvin),
        boxes_xyxy_px=np.array([box for _, box in objects], np.float32).reshape(-1, 4),
        classes=np.array([CLASS_NAMES.index(thing.name) for thing, _ in objects], np.int64),
        seen_rgb=np.array([thing.seen_rgb for thing, _ in objects], np.bool_),
        seen_ir=np.array([thing.seen_ir for thing, _ in objects], np.bool_),
        kind=kind,
    )


def _paste(rng: Generator, colour: Float32, kelvin: Float32, *, thing: Thing) -> Box:
    """Draw a thing into the visible colours and the temperatures, in place; return its box, px."""
    rows, columns = thing.slices
    red, green, blue = (int(255 * plane[rows, columns].mean()) for plane in colour)
    silhouette, look = _design(rng, thing, (red, green, blue))
    sprite = shapes.render(
        silhouette,
        look,
        size_hw=(thing.height, thing.width),
        mirrored=bool(rng.random() < 0.5),
        sun=float(rng.uniform(-1.0, 1.0)),
    )
    strength = np.float32(CAMOUFLAGE if thing.camouflaged else 1.0)
    keep = 1.0 - strength * sprite.coverage
    colour[:, rows, columns] *= keep
    colour[:, rows, columns] += strength * sprite.colour
    if thing.seen_ir:
        foot = np.float32(kelvin[rows, columns][-2:].mean())
        kelvin[rows, columns] *= 1.0 - sprite.coverage
        kelvin[rows, columns] += foot * sprite.coverage + sprite.warmth
    left, top, right, bottom = sprite.extent_xyxy_px
    return thing.left + left, thing.top + top, thing.left + right, thing.top + bottom


def _design(rng: Generator, thing: Thing, behind: Colour) -> tuple[shapes.Silhouette, shapes.Look]:
    if thing.name == "person":
        return shapes.person(rng), looks.person_look(rng, behind)
    if thing.name == "car":
        return shapes.car(rng), looks.car_look(rng, behind, state=thing.car_state)
    if thing.name == "animal":
        return shapes.animal(rng), looks.animal_look(rng, behind)
    if thing.name == "rock":
        return shapes.rock(rng), looks.rock_look(rng)
    if thing.name == "vent":
        return shapes.vent(rng), looks.vent_look(rng)
    if thing.name == "bush":
        return shapes.bush(rng), looks.bush_look(rng)
    return shapes.poster(rng), looks.poster_look(rng)
