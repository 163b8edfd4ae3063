"""Operators that weigh two maps against each other: a R + (1 - a) T with a in [0, 1].

Shape legend: R and T are (B, C, H, W) maps of RGB and IR. All start at a = 1/2, so that neither
stream is preferred before training.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusetrain.detector.layers import ConvBnAct

SQUEEZE = 4
LIGHT_SIZE_PX = 64


class Gate(nn.Module):
    """A weight for every channel and cell, told from both maps.

    Args:
        channels: Channels C of the maps.
        per: ``pixel`` weighs every channel in every cell; ``channel`` weighs channels as a whole,
            from the means of the maps (as squeeze-and-excitation does, arXiv 1709.01507).
    """

    def __init__(self, channels: int, *, per: Literal["pixel", "channel"] = "pixel") -> None:
        super().__init__()
        hidden = max(8, channels // SQUEEZE)
        self.per = per
        self.squeeze = nn.Conv2d(2 * channels, hidden, 1)
        self.weigh = nn.Conv2d(hidden, channels, 1)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)  # type: ignore[arg-type]

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Return (B, C, H, W) of two maps of that shape."""
        both = torch.cat((visible, infrared), dim=1)
        if self.per == "channel":
            both = both.mean((2, 3), keepdim=True)
        weight = torch.sigmoid(self.weigh(functional.silu(self.squeeze(both))))
        return infrared + weight * (visible - infrared)


class ChannelGate(Gate):
    """A weight for every channel; see `Gate`."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, per="channel")


class Light(nn.Module):
    """One weight for each channel, told from the light in the RGB image.

    A small network looks at the image, scaled to 64 px, as illumination-aware fusion does (Li et
    al., Pattern Recognition 85, 2019): by day RGB may speak louder, at night IR.
    """

    sees_image = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = nn.Sequential(ConvBnAct(3, 8, stride=2), ConvBnAct(8, 16, stride=2))
        self.weigh = nn.Conv2d(16, channels, 1)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)  # type: ignore[arg-type]

    def forward(self, visible: Tensor, infrared: Tensor, image: Tensor) -> Tensor:
        """Return (B, C, H, W) of two maps of that shape and of the RGB image in [0, 1]."""
        small = functional.interpolate(image, size=(LIGHT_SIZE_PX, LIGHT_SIZE_PX), mode="bilinear")
        seen = self.look(small).mean((2, 3), keepdim=True)
        weight = torch.sigmoid(self.weigh(seen))
        return infrared + weight * (visible - infrared)
