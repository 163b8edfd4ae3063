"""What all groups of settings share: unknown keys are refused, numbers finite, values fixed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of all groups: unknown keys are errors, numbers are finite, values are never mutated."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
