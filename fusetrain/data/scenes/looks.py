"""What the demo's people, cars, animals and decoys are made of: colours and temperatures.

Colours are chosen against what stands behind an object, so that whatever is lit can be seen.
Temperatures are K above the ground at the object's foot. Outlines and sizes are said elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from numpy.random import Generator

from fusetrain.data.scenes.shapes import Look
from fusetrain.data.scenes.surface import Colour

CONTRAST = 58
CLOTHES: tuple[Colour, ...] = (
    (196, 44, 44), (36, 74, 170), (226, 196, 60), (232, 232, 228), (24, 26, 34),
    (30, 128, 84), (222, 120, 40), (120, 56, 140), (70, 160, 200),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = ((34, 42, 74), (28, 28, 32), (206, 192, 160), (60, 48, 44))
SKINS: tuple[Colour, ...] = ((224, 180, 150), (190, 136, 104), (128, 86, 62))
PAINTS: tuple[Colour, ...] = (
    (186, 28, 34), (30, 66, 150), (236, 236, 236), (20, 22, 26), (226, 186, 40),
    (28, 110, 100), (180, 186, 196),
)  # fmt: skip
FURS: tuple[Colour, ...] = (
    (96, 58, 34), (30, 26, 24), (222, 214, 200), (196, 146, 88), (62, 56, 54),
)  # fmt: skip

PERSON_KELVIN = {"skin": 9.0, "hair": 5.0, "top": 5.5, "legs": 4.5, "shoes": 2.0}
ANIMAL_KELVIN = {"fur": 5.0, "leg": 4.0, "face": 8.0}
CAR_KELVIN: Mapping[str, Mapping[str, float]] = {
    "driven": {
        "body": 2.2, "glass": -1.5, "bonnet": 9.0, "tyre": 6.0, "rim": 6.5, "lamp": 4.0,
    },
    "cold": {
        "body": -5.5, "glass": -8.0, "bonnet": -5.5, "tyre": -3.5, "rim": -5.0, "lamp": -5.5,
    },
    "sunlit": {
        "body": 7.5, "glass": 3.0, "bonnet": 8.5, "tyre": 4.0, "rim": 6.0, "lamp": 6.0,
    },
}  # fmt: skip
VENT_KELVIN = 8.0
ROCK_KELVIN = 7.0


def person_look(rng: Generator, behind: Colour) -> Look:
    """Return the materials of a person.

    Args:
        rng: Source of the choices.
        behind: Mean colour of what stands behind, 0 to 255; this holds for every look.
    """
    colours = {
        "skin": _pick(rng, SKINS),
        "hair": _pick(rng, FURS),
        "top": _against(rng, CLOTHES, behind),
        "legs": _against(rng, TROUSERS, behind),
        "shoes": (36, 32, 30),
    }
    return _with_kelvin(colours, PERSON_KELVIN, factor=float(rng.uniform(0.8, 1.25)))


def car_look(rng: Generator, behind: Colour, *, state: str) -> Look:
    """Return the materials of a car that is driven, parked in the cold or heated by the sun."""
    paint = _against(rng, PAINTS, behind)
    colours: dict[str, Colour] = {
        "body": paint,
        "bonnet": paint,
        "glass": (44, 54, 66),
        "tyre": (24, 24, 26),
        "rim": (150, 152, 156),
        "lamp": (250, 244, 214),
    }
    return _with_kelvin(colours, CAR_KELVIN[state], factor=float(rng.uniform(0.85, 1.2)))


def animal_look(rng: Generator, behind: Colour) -> Look:
    """Return the materials of an animal; its face is the warmest part."""
    fur = _against(rng, FURS, behind)
    dark = (round(fur[0] * 0.8), round(fur[1] * 0.8), round(fur[2] * 0.8))
    colours = {"fur": fur, "leg": dark, "face": fur}
    return _with_kelvin(colours, ANIMAL_KELVIN, factor=float(rng.uniform(0.8, 1.25)))


def rock_look(rng: Generator) -> Look:
    """Return the materials of a boulder that is still hot from the sun."""
    tone = int(rng.integers(112, 168))
    kelvin = ROCK_KELVIN * float(rng.uniform(0.8, 1.2))
    return {
        "stone": ((tone, tone - 4, tone - 14), kelvin),
        "shade": ((tone - 38, tone - 42, tone - 50), kelvin),
    }


def vent_look(rng: Generator) -> Look:
    """Return the materials of an exhaust cabinet."""
    tone = int(rng.integers(120, 190))
    kelvin = VENT_KELVIN * float(rng.uniform(0.8, 1.2))
    return {"metal": ((tone, tone + 4, tone + 6), kelvin), "slat": ((48, 50, 54), kelvin)}


def bush_look(rng: Generator) -> Look:
    """Return the materials of a shrub, a little cooler than the ground."""
    green = int(rng.integers(70, 98))
    return {
        "leaf": ((green - 30, green, green - 40), -1.0),
        "leaf light": ((green - 16, green + 20, green - 30), -0.6),
    }


def poster_look(rng: Generator) -> Look:
    """Return the materials of a painted board: its person has the board's temperature."""
    paper = _pick(rng, ((232, 226, 206), (206, 222, 232), (236, 206, 196)))
    kelvin = float(rng.uniform(-1.5, -0.5))
    painted = {part: (colour, kelvin) for part, (colour, _) in person_look(rng, paper).items()}
    return {"frame": ((70, 62, 58), kelvin), "paper": (paper, kelvin), **painted}


def _pick(rng: Generator, palette: tuple[Colour, ...]) -> Colour:
    return palette[int(rng.integers(len(palette)))]


def _against(rng: Generator, palette: tuple[Colour, ...], behind: Colour) -> Colour:
    """Return a colour that stands out from what is behind it; the best one if none does."""
    distance = {
        colour: max(abs(a - b) for a, b in zip(colour, behind, strict=True)) for colour in palette
    }
    clear = tuple(colour for colour in palette if distance[colour] >= CONTRAST)
    return _pick(rng, clear) if clear else max(palette, key=lambda colour: distance[colour])


def _with_kelvin(
    colours: Mapping[str, Colour], kelvin: Mapping[str, float], *, factor: float
) -> Look:
    return {part: (colour, kelvin[part] * factor) for part, colour in colours.items()}
