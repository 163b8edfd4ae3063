"""Operators that join two maps cell by cell: (B, C, H, W) x 2 -> (B, C, H, W)."""

from __future__ import annotations

from torch import Tensor, nn

from fusetrain.detector.layers import ConvBnAct


class Concat(nn.Module):
    """Both maps side by side, mixed by a 1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = ConvBnAct(2 * channels, channels, kernel=1)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Return (B, C, H, W) of two maps of that shape."""
        mixed: Tensor = self.mix(visible, infrared)
        return mixed


class Add(nn.Module):
    """The sum of both maps; it has no weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Return (B, C, H, W) of two maps of that shape."""
        return visible + infrared
