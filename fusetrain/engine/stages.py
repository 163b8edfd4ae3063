"""Stages of a training: what the detector sees, and which of its parts stand still.

The rates of a stage are those of the schedule; here is what keeps a frozen part as it is, its
batch statistics included, and what takes the place of an image that is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fusetrain.data.transforms import PADDING

Inputs = Literal["rgb", "ir", "both"]


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        first_epoch: Epoch it begins with, from 0.
        name: What it is called.
        inputs: The image that is shown, or both.
        frozen: Parts that keep their weights and statistics.
    """

    first_epoch: int = 0
    name: str = ""
    inputs: Inputs = "both"
    frozen: tuple[str, ...] = ()


WHOLE_RUN = Stage()


def stage_of(stages: Sequence[Stage], epoch: int) -> Stage:
    """Return the stage that an epoch, from 0, lies in."""
    begun = [stage for stage in stages if stage.first_epoch <= epoch]
    return begun[-1] if begun else WHOLE_RUN


def freeze(parts: Mapping[str, nn.Module], frozen: Sequence[str]) -> bool:
    """Let gradients reach all parts but the frozen ones; return whether that changed anything."""
    changed = False
    for name, part in parts.items():
        for parameter in part.parameters():
            wanted = name not in frozen
            changed |= parameter.requires_grad != wanted
            parameter.requires_grad_(wanted)
    return changed


def training_mode(model: nn.Module, parts: Mapping[str, nn.Module], frozen: Sequence[str]) -> None:
    """Put a model into training mode, but its frozen parts into evaluation mode."""
    model.train()
    for name in frozen:
        if name in parts:
            parts[name].eval()


def shown(rgb: Tensor, ir: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Return both images, in [0, 1], the one that is not shown as grey as padding."""
    grey = PADDING / 255
    if inputs == "rgb":
        return rgb, torch.full_like(ir, grey)
    if inputs == "ir":
        return torch.full_like(rgb, grey), ir
    return rgb, ir
