"""Draws one synthetic RGB-IR scene: who stands where, and what each camera can see of it.

About a third of the objects is lost to the visible camera (dark, glare, smoke, shade), another
third to the infrared one (as warm as what is behind them); each stays visible to one of the two.
Pixels come from numpy and Pillow and depend on the generator passed, on nothing else.
Shape legend: HEIGHT x WIDTH pixels of a scene, N objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fusetrain.data import demo_looks as looks
from fusetrain.data import demo_shapes as shapes
from fusetrain.data.demo_backdrop import HEIGHT, WIDTH, Backdrop, Climate, draw_backdrop, noise
from fusetrain.data.demo_shapes import Colour, Look, Silhouette, Sprite

Float32 = NDArray[np.float32]
Box = tuple[int, int, int, int]

CLASS_NAMES = ("person", "car", "animal")
CLASS_SHARES = (0.42, 0.30, 0.28)
MAX_OBJECTS = 5
GAP_PX = 5
PLACE_TRIES = 40
# Below this share of full light an object that infrared misses would be lost to both cameras.
LIT_ENOUGH = 0.30
LIT_AT_ALL = 0.12
CAMOUFLAGE = 0.05
IR_LEVELS_PER_KELVIN = 6.0
IR_GROUND_LEVEL = 92.0


@dataclass(frozen=True)
class Kind:
    """What one kind of scene does to the two cameras.

    Attributes:
        climate: Sky and temperatures of the stage.
        light: Light on everything, 0 to 1; lamps add to it.
        tint: Colour of the light.
        only_ir: Share of objects that the visible camera is to miss.
        only_rgb: Share of objects that the infrared camera is to miss.
        grain: Noise of the visible camera, standard deviation, 0 to 1.
        veil: Colour of glare or smoke, or none.
        car_states: What cars that infrared sees are like.
    """

    climate: Climate
    light: float
    tint: tuple[float, float, float]
    only_ir: float
    only_rgb: float
    grain: float
    veil: tuple[float, float, float] | None
    car_states: tuple[str, ...]

    @property
    def is_dark(self) -> bool:
        """Whether nothing is seen without a lamp."""
        return self.light < 0.1


KINDS: dict[str, Kind] = {
    "day": Kind(
        Climate((92, 140, 206), (196, 214, 232), road=2.5, wall=1.5, texture=0.9),
        light=1.0, tint=(1.0, 0.99, 0.96), only_ir=0.16, only_rgb=0.42, grain=0.010, veil=None,
        car_states=("driven", "sunlit", "sunlit"),
    ),
    "dusk": Kind(
        Climate((84, 92, 148), (238, 168, 116), road=2.0, wall=2.0, texture=0.6),
        light=0.44, tint=(1.06, 0.94, 0.92), only_ir=0.26, only_rgb=0.34, grain=0.018, veil=None,
        car_states=("driven", "cold"),
    ),
    "night": Kind(
        Climate((34, 40, 66), (70, 70, 92), road=1.6, wall=2.4, texture=0.5),
        light=0.012, tint=(1.04, 0.98, 0.84), only_ir=0.52, only_rgb=0.16, grain=0.014, veil=None,
        car_states=("driven", "cold"),
    ),
    "glare": Kind(
        Climate((150, 176, 210), (250, 236, 206), road=2.0, wall=1.5, texture=0.7),
        light=0.88, tint=(1.04, 1.0, 0.92), only_ir=0.36, only_rgb=0.27, grain=0.010,
        veil=(1.22, 1.18, 1.08), car_states=("driven", "sunlit", "cold"),
    ),
    "smoke": Kind(
        Climate((140, 150, 164), (186, 186, 188), road=1.8, wall=1.5, texture=0.6),
        light=0.80, tint=(1.0, 0.97, 0.93), only_ir=0.38, only_rgb=0.26, grain=0.012,
        veil=(0.70, 0.69, 0.68), car_states=("driven", "cold"),
    ),
}  # fmt: skip


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


@dataclass(frozen=True)
class _Thing:
    """One object or decoy: its place in px, and which camera is to see it."""

    name: str
    left: int
    top: int
    width: int
    height: int
    seen_rgb: bool
    seen_ir: bool
    car_state: str = ""
    camouflaged: bool = False

    @property
    def is_object(self) -> bool:
        return self.name in CLASS_NAMES

    @property
    def slices(self) -> tuple[slice, slice]:
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    @property
    def centre(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2

    def touches(self, other: _Thing) -> bool:
        """Return whether less than the gap lies between the two."""
        return (
            self.left < other.left + other.width + GAP_PX
            and other.left < self.left + self.width + GAP_PX
            and self.top < other.top + other.height + GAP_PX
            and other.top < self.top + self.height + GAP_PX
        )


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
    things = _place(rng, rules, horizon=backdrop.horizon, num_objects=wanted)
    light, veil = _atmosphere(rng, rules, things)
    things = [_settle(thing, light * (1.0 - veil)) for thing in things]
    colour, kelvin = backdrop.colour.copy(), backdrop.kelvin.copy()
    boxes = [_paste(rng, colour, kelvin, thing=thing) for thing in things]
    glows = _glows(rng, rules, backdrop=backdrop, things=things)
    objects = [(thing, box) for thing, box in zip(things, boxes, strict=True) if thing.is_object]
    return Scene(
        rgb=_visible_camera(rng, rules, colour=colour, light=light, veil=veil, glows=glows),
        ir=_infrared_camera(rng, kelvin),
        boxes_xyxy_px=np.array([box for _, box in objects], np.float32).reshape(-1, 4),
        classes=np.array([CLASS_NAMES.index(thing.name) for thing, _ in objects], np.int64),
        seen_rgb=np.array([thing.seen_rgb for thing, _ in objects], np.bool_),
        seen_ir=np.array([thing.seen_ir for thing, _ in objects], np.bool_),
        kind=kind,
    )


def _place(rng: Generator, rules: Kind, *, horizon: int, num_objects: int) -> list[_Thing]:
    """Choose objects and decoys and find free places for them; far ones come first."""
    names = [CLASS_NAMES[i] for i in rng.choice(len(CLASS_NAMES), num_objects, p=CLASS_SHARES)]
    decoys = ["rock", "vent", "bush", "poster"]
    names += [decoys[i] for i in rng.choice(4, int(rng.integers(0, 4)), p=(0.3, 0.3, 0.25, 0.15))]
    placed: list[_Thing] = []
    for name in names:
        for _ in range(PLACE_TRIES):
            thing = _draw_place(rng, name, horizon=horizon)
            if not any(thing.touches(other) for other in placed):
                placed.append(_draw_visibility(rng, rules, thing))
                break
    return sorted(placed, key=lambda thing: thing.top + thing.height)


def _draw_place(rng: Generator, name: str, *, horizon: int) -> _Thing:
    """Draw a foot point on the ground; what stands nearer to the camera is larger."""
    foot = int(rng.integers(horizon + 14, HEIGHT - 3))
    depth = (foot - horizon) / (HEIGHT - horizon)
    scale = float(rng.uniform(0.92, 1.08))
    near, far, aspect = {
        "person": (36.0, 88.0, float(rng.uniform(0.42, 0.48))),
        "car": (24.0, 50.0, float(rng.uniform(2.2, 2.5))),
        "animal": (23.0, 44.0, float(rng.uniform(1.25, 1.45))),
        "rock": (16.0, 44.0, float(rng.uniform(0.6, 1.3))),
        "vent": (22.0, 54.0, float(rng.uniform(0.45, 0.8))),
        "bush": (18.0, 42.0, float(rng.uniform(0.9, 1.6))),
        "poster": (38.0, 80.0, 0.62),
    }[name]
    height = round((near + (far - near) * depth) * scale)
    width = round(height * aspect)
    left = int(rng.integers(2, WIDTH - width - 2))
    return _Thing(name, left, max(2, foot - height), width, height, seen_rgb=True, seen_ir=True)


def _draw_visibility(rng: Generator, rules: Kind, thing: _Thing) -> _Thing:
    draw = float(rng.random())
    state = rules.car_states[int(rng.integers(len(rules.car_states)))]
    if not thing.is_object:
        return thing
    seen_rgb, seen_ir = draw >= rules.only_ir, draw < 1.0 - rules.only_rgb
    hidden_by_tone = not seen_rgb and rules.veil is None and not rules.is_dark
    return replace(
        thing, seen_rgb=seen_rgb, seen_ir=seen_ir, car_state=state, camouflaged=hidden_by_tone
    )


def _spot(centre: tuple[float, float], radius: tuple[float, float]) -> Float32:
    """Return a soft blob (1 + d^2)^-4 of height 1; sums and quotients alone are alike everywhere."""
    across = (np.arange(WIDTH, dtype=np.float32) - np.float32(centre[0])) / np.float32(radius[0])
    down = (np.arange(HEIGHT, dtype=np.float32) - np.float32(centre[1])) / np.float32(radius[1])
    fall = np.float32(1.0) + (across * across)[None, :] + (down * down)[:, None]
    square = fall * fall
    return np.float32(1.0) / (square * square)


def _atmosphere(
    rng: Generator, rules: Kind, things: Sequence[_Thing]
) -> tuple[Float32, Float32]:
    """Return the light on the scene and the opacity of what hangs in the air, both 0 to 1."""
    light = np.full((HEIGHT, WIDTH), rules.light, np.float32)
    veil = np.zeros((HEIGHT, WIDTH), np.float32)
    for thing in things:
        reach = (0.95 * thing.width, 0.85 * thing.height)
        if rules.veil is not None and not thing.seen_rgb:
            centre = (thing.centre[0] + float(rng.normal(0, 3)), thing.centre[1])
            veil += 7.0 * _spot(centre, reach)
        elif rules.is_dark and thing.seen_rgb:
            light += 4.0 * _spot(thing.centre, (reach[0] + 10, reach[1] + 8))
        elif thing.camouflaged:
            light *= 1.0 - 0.6 * _spot(thing.centre, reach)
    if rules.veil is not None:
        low = (float(rng.uniform(30, WIDTH - 30)), float(rng.uniform(40, 80)))
        veil += 0.9 * _spot(low, (float(rng.uniform(24, 60)), float(rng.uniform(16, 30))))
        veil *= 1.0 + 0.12 * noise(rng, cell=16)
    return np.minimum(light, np.float32(1.0)), np.clip(veil, 0.0, 0.995)


def _settle(thing: _Thing, clear: Float32) -> _Thing:
    """Make good the promise that one camera sees each object, whatever its neighbours bring."""
    if not thing.seen_rgb:
        return replace(thing, seen_ir=True)
    share = float(clear[thing.slices].mean())
    return replace(thing, seen_rgb=share >= LIT_AT_ALL, seen_ir=thing.seen_ir or share < LIT_ENOUGH)


def _paste(rng: Generator, colour: Float32, kelvin: Float32, *, thing: _Thing) -> Box:
    """Draw a thing into the visible colours and the temperatures, in place; return its box, px."""
    rows, columns = thing.slices
    behind = colour[rows, columns].mean(axis=(0, 1)) * 255.0
    silhouette, look = _design(rng, thing, (int(behind[0]), int(behind[1]), int(behind[2])))
    sprite = shapes.render(
        silhouette,
        look,
        size_hw=(thing.height, thing.width),
        mirrored=bool(rng.random() < 0.5),
        sun=float(rng.uniform(-1.0, 1.0)),
    )
    strength = np.float32(CAMOUFLAGE if thing.camouflaged else 1.0)
    keep = 1.0 - strength * sprite.coverage
    colour[rows, columns] *= keep[..., None]
    colour[rows, columns] += strength * sprite.colour
    if thing.seen_ir:
        foot = np.float32(kelvin[rows, columns][-2:].mean())
        kelvin[rows, columns] *= 1.0 - sprite.coverage
        kelvin[rows, columns] += foot * sprite.coverage + sprite.warmth
    left, top, right, bottom = sprite.extent_xyxy_px
    return thing.left + left, thing.top + top, thing.left + right, thing.top + bottom


def _design(rng: Generator, thing: _Thing, behind: Colour) -> tuple[Silhouette, Look]:
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


def _glows(
    rng: Generator, rules: Kind, *, backdrop: Backdrop, things: Sequence[_Thing]
) -> Float32:
    """Return the light that lamps and windows give off themselves, (HEIGHT, WIDTH, 3)."""
    glows = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    if rules.light > 0.5:
        return glows
    for x, y in backdrop.windows:
        if rng.random() < 0.25:
            _add_glow(glows, (x, y), radius=2.6, colour=(0.80, 0.62, 0.30))
    for thing in things:
        if rules.is_dark and thing.seen_rgb:
            lamp = (thing.centre[0] + float(rng.uniform(-12, 12)), thing.top - 12.0)
            _add_glow(glows, lamp, radius=3.0, colour=(1.0, 0.94, 0.74))
    return glows


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
    patch = glows[top : int(centre[1]) + reach + 1, left : int(centre[0]) + reach + 1]
    across = (np.arange(patch.shape[1], dtype=np.float32) + np.float32(left - centre[0])) / radius
    down = (np.arange(patch.shape[0], dtype=np.float32) + np.float32(top - centre[1])) / radius
    fall = 1.0 + (across * across)[None, :] + (down * down)[:, None]
    patch += np.array(colour, np.float32) / (fall * fall)[..., None]


def _visible_camera(
    rng: Generator, rules: Kind, *, colour: Float32, light: Float32, veil: Float32, glows: Float32
) -> NDArray[np.uint8]:
    """Light the scene, hang glare or smoke before it, add lamps and noise."""
    image = colour * light[..., None] * np.array(rules.tint, np.float32)
    if rules.veil is not None:
        image += (np.array(rules.veil, np.float32) - image) * veil[..., None]
    image += glows
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rules.grain)
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _infrared_camera(rng: Generator, kelvin: Float32) -> NDArray[np.uint8]:
    """Blur, then add what an uncooled sensor adds: vignette, drift, column stripes, noise."""
    gain = IR_LEVELS_PER_KELVIN * float(rng.uniform(0.85, 1.15))
    image = IR_GROUND_LEVEL + float(rng.uniform(-8, 8)) + gain * _blur(kelvin)
    across = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
    image -= 6.0 * (across * across + down * down) - 4.0
    image += 1.5 * noise(rng, cell=64)
    image += 1.0 * rng.standard_normal((1, WIDTH), dtype=np.float32)
    image += 2.6 * rng.standard_normal(image.shape, dtype=np.float32)
    return (np.clip(image, 0.0, 255.0) + 0.5).astype(np.uint8)


def _blur(image: Float32) -> Float32:
    """Return the image under the binomial kernel (1 4 6 4 1) / 16 in both directions."""
    for axis in (0, 1):
        padded = np.pad(image, [(2, 2) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        size = image.shape[axis]
        a, b, c, d, e = (np.take(padded, range(k, k + size), axis) for k in range(5))
        image = ((a + e) + 4.0 * (b + d) + 6.0 * c) * np.float32(1 / 16)
    return image
