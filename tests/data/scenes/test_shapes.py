"""Sprites: outline, colour and temperature agree, whatever the shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fusetrain.data.scenes import looks, shapes
from fusetrain.data.scenes.shapes import Look, Silhouette, Sprite

GREY = (120, 120, 120)
DESIGNS: dict[
    str, tuple[Callable[[np.random.Generator], Silhouette], Callable[[np.random.Generator], Look]]
] = {
    "person": (shapes.person, lambda rng: looks.person_look(rng, GREY)),
    "car": (shapes.car, lambda rng: looks.car_look(rng, GREY, state="driven")),
    "animal": (shapes.animal, lambda rng: looks.animal_look(rng, GREY)),
    "rock": (shapes.rock, looks.rock_look),
    "vent": (shapes.vent, looks.vent_look),
    "bush": (shapes.bush, looks.bush_look),
    "poster": (shapes.poster, looks.poster_look),
}


def _sprite(name: str, *, mirrored: bool = False, seed: int = 5) -> Sprite:
    rng = np.random.default_rng(seed)
    outline, look = DESIGNS[name]
    return shapes.render(outline(rng), look(rng), size_hw=(48, 60), mirrored=mirrored, sun=0.0)


@pytest.mark.parametrize("name", DESIGNS)
def test_nothing_is_drawn_outside_the_outline(name: str) -> None:
    sprite = _sprite(name)
    outside = sprite.coverage == 0
    assert sprite.coverage.max() == 1.0
    assert not sprite.colour[:, outside].any()
    assert not sprite.warmth[outside].any()


@pytest.mark.parametrize("name", DESIGNS)
def test_a_mirrored_sprite_is_the_sprite_from_the_other_side(name: str) -> None:
    plain, mirrored = _sprite(name), _sprite(name, mirrored=True)
    difference = np.abs(plain.coverage[:, ::-1] - mirrored.coverage)
    assert difference.mean() < 0.03
    assert np.abs(plain.warmth[:, ::-1] - mirrored.warmth).mean() < 0.25


@pytest.mark.parametrize("name", ["person", "car", "animal"])
def test_an_object_nearly_fills_its_sprite(name: str) -> None:
    for seed in range(10):
        x1, y1, x2, y2 = _sprite(name, seed=seed).extent_xyxy_px
        assert x2 - x1 >= 0.8 * 60
        assert y2 - y1 >= 0.85 * 48


@pytest.mark.parametrize(("state", "sign"), [("driven", 1), ("cold", -1), ("sunlit", 1)])
def test_a_bonnet_tells_a_driven_car_from_a_cold_one(state: str, sign: int) -> None:
    rng = np.random.default_rng(0)
    look = looks.car_look(rng, GREY, state=state)
    sprite = shapes.render(shapes.car(rng), look, size_hw=(40, 96), mirrored=False, sun=0.0)
    bonnet = sprite.warmth[20:24, 74:86].mean()
    assert bonnet == pytest.approx(look["bonnet"][1], abs=0.3)
    assert sign * bonnet > 3.0


def test_clothes_and_paint_stand_out_from_what_is_behind() -> None:
    rng = np.random.default_rng(0)
    for behind in ((104, 122, 70), (98, 98, 102), (230, 230, 230), (20, 20, 20)):
        for _ in range(20):
            for colour in (
                looks.person_look(rng, behind)["top"][0],
                looks.car_look(rng, behind, state="cold")["body"][0],
                looks.animal_look(rng, behind)["fur"][0],
            ):
                distance = max(abs(a - b) for a, b in zip(colour, behind, strict=True))
                assert distance >= looks.CONTRAST


def test_a_painted_person_has_the_temperature_of_the_board() -> None:
    sprite = _sprite("poster")
    board = sprite.warmth[sprite.coverage == 1.0]
    assert np.ptp(board) < 0.01
