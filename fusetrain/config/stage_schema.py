"""The settings of one stage of a training, and the parts of a detector that it can speak of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fusetrain.config.base import Settings

PARTS = ("backbone", "backbone_ir", "fusion", "neck", "head")
Part = Literal["backbone", "backbone_ir", "fusion", "neck", "head"]
NonNegative = Annotated[float, Field(ge=0.0)]


class StageSettings(Settings):
    """One stage of a staged training."""

    name: str | None = Field(None, description="What it is called; none: what it does.")
    epochs: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Length; none, for the last one: what is left of the run."
    )
    inputs: Literal["rgb", "ir", "both"] = Field(
        "both", description="What the detector sees; the other image is blank."
    )
    freeze: list[Part] = Field([], description="Parts that keep their weights and statistics.")
    lr_scale: dict[Part, NonNegative] = Field({}, description="Part to factor on its rate.")
    rewarm: dict[Literal["epochs", "steps"], NonNegative] = Field(
        {}, max_length=1, description="Length of a warmup at the start of the stage."
    )

    @model_validator(mode="after")
    def _something_is_trained(self) -> StageSettings:
        if set(self.freeze) == set(PARTS):
            raise ValueError("freeze names all parts: nothing would be trained")
        return self
