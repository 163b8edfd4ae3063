"""What all groups of settings share: unknown keys are refused, numbers finite, values fixed.

The patterns that a text of theirs has to match stand here too, with the words that tell them.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

DEVICE = r"^(auto|cpu|cuda(:\d+)?)$"
PATTERNS = {DEVICE: "auto, cpu, cuda or cuda:N"}


class Settings(BaseModel):
    """Base of all groups: unknown keys are errors, numbers are finite, values are never mutated."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
