"""The five kinds of scenes: what hour and weather do to the stage and to the two cameras.

Everything that is tuned per kind stands here, as numbers; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass

from fusetrain.data.scenes.surface import Colour

CLASS_NAMES = ("person", "car", "animal")
CLASS_SHARES = (0.42, 0.30, 0.28)


@dataclass(frozen=True)
class Climate:
    """What the hour of the day does to the empty stage.

    Attributes:
        sky_top: Colour of the sky at the upper edge, 0 to 255.
        sky_low: Colour of the sky at the horizon.
        road: Temperature of asphalt above the open ground, K.
        wall: Temperature of walls above the open ground, K.
        texture: Standard deviation of the ground's temperature, K.
    """

    sky_top: Colour
    sky_low: Colour
    road: float
    wall: float
    texture: float


@dataclass(frozen=True)
class Kind:
    """What one kind of scene does to the two cameras.

    Attributes:
        climate: Sky and temperatures of the stage.
        light: Light on everything, 0 to 1; lamps add to it.
        tint: Colour of the light.
        grain: Noise of the visible camera, standard deviation, 0 to 1.
        only_ir: Share of objects that the visible camera is to miss.
        only_rgb: Share of the others that the infrared camera is to miss.
        car_states: What cars that infrared sees are like, keys of `looks.CAR_KELVIN`.
        veil: Colour of glare or smoke; black where there is neither.
        puffs: How uneven the veil is, as a share of its brightness.
        shade: Share of the light that shade takes away; objects in it are of its tone.
    """

    climate: Climate
    light: float
    tint: tuple[float, float, float]
    grain: float
    only_ir: float
    only_rgb: float
    car_states: tuple[str, ...]
    veil: tuple[float, float, float] = (0.0, 0.0, 0.0)
    puffs: float = 0.0
    shade: float = 0.0

    @property
    def is_dark(self) -> bool:
        """Whether nothing is seen without a lamp."""
        return self.light < 0.1

    @property
    def is_veiled(self) -> bool:
        """Whether glare or smoke hangs before the scene."""
        return any(self.veil)


KINDS: dict[str, Kind] = {
    "day": Kind(
        Climate((92, 140, 206), (196, 214, 232), road=2.5, wall=1.5, texture=0.9),
        light=1.0,
        tint=(1.0, 0.99, 0.96),
        grain=0.010,
        only_ir=0.18,
        only_rgb=0.50,
        car_states=("driven", "sunlit", "sunlit"),
        shade=0.5,
    ),
    "dusk": Kind(
        Climate((84, 92, 148), (238, 168, 116), road=2.0, wall=2.0, texture=0.6),
        light=0.5,
        tint=(1.06, 0.94, 0.92),
        grain=0.018,
        only_ir=0.26,
        only_rgb=0.46,
        car_states=("driven", "cold"),
        shade=0.45,
    ),
    "night": Kind(
        Climate((34, 40, 66), (70, 70, 92), road=1.6, wall=2.4, texture=0.5),
        light=0.012,
        tint=(1.04, 0.98, 0.84),
        grain=0.014,
        only_ir=0.48,
        only_rgb=0.34,
        car_states=("driven", "cold"),
    ),
    "glare": Kind(
        Climate((150, 176, 210), (250, 236, 206), road=2.0, wall=1.5, texture=0.7),
        light=0.88,
        tint=(1.04, 1.0, 0.92),
        grain=0.010,
        only_ir=0.36,
        only_rgb=0.44,
        car_states=("driven", "sunlit", "cold"),
        veil=(1.22, 1.18, 1.08),
    ),
    "smoke": Kind(
        Climate((140, 150, 164), (186, 186, 188), road=1.8, wall=1.5, texture=0.6),
        light=0.80,
        tint=(1.0, 0.97, 0.93),
        grain=0.012,
        only_ir=0.38,
        only_rgb=0.44,
        car_states=("driven", "cold"),
        veil=(0.70, 0.69, 0.68),
        puffs=0.06,
    ),
}
