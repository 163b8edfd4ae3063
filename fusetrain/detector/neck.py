"""The neck: lets the three levels of the pyramid speak to each other.

A top-down path brings meaning to the fine levels (FPN, arXiv 1612.03144), a bottom-up path brings
position to the coarse ones (PANet, arXiv 1803.01534). Shapes are kept level by level.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusetrain.detector.backbone import Scale
from fusetrain.detector.layers import ConvBnAct, CspStage


class PathAggregation(nn.Module):
    """Top-down, then bottom-up over P3, P4, P5.

    Args:
        channels: Channels of P3, P4 and P5.
        scale: Depth multiple of the stages.
    """

    def __init__(self, channels: Sequence[int], scale: Scale) -> None:
        super().__init__()
        c3, c4, c5 = channels
        depth = scale.blocks(3)
        self.channels = (c3, c4, c5)
        self.down4 = CspStage(c4 + c5, c4, depth=depth, shortcut=False)
        self.down3 = CspStage(c3 + c4, c3, depth=depth, shortcut=False)
        self.halve3 = ConvBnAct(c3, c3, stride=2)
        self.up4 = CspStage(c3 + c4, c4, depth=depth, shortcut=False)
        self.halve4 = ConvBnAct(c4, c4, stride=2)
        self.up5 = CspStage(c4 + c5, c5, depth=depth, shortcut=False)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Return the three maps of ``levels`` after both paths; shapes are kept."""
        p3, p4, p5 = levels
        down4 = self.down4(torch.cat((_double(p5), p4), dim=1))
        n3 = self.down3(torch.cat((_double(down4), p3), dim=1))
        n4 = self.up4(torch.cat((self.halve3(n3), down4), dim=1))
        n5 = self.up5(torch.cat((self.halve4(n4), p5), dim=1))
        return [n3, n4, n5]


def _double(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")
