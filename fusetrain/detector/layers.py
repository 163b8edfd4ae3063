"""The building blocks that backbone, neck and head share.

Shape legend: (B, C, H, W) feature maps throughout; only `ConvBnAct` with a stride changes H and W.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvBnAct(nn.Module):
    """Convolution, batch normalisation, SiLU: (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-3)

    def forward(self, *maps: Tensor) -> Tensor:
        """Return the activated map of one or more (B, C, H, W), side by side of ``in_channels``.

        Several are for a convolution of one group.
        """
        return functional.silu(self.norm(self._convolved(maps)))

    def _convolved(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Return the convolution of all maps.

        Where a processor trains, several are not copied side by side: the convolution is the sum of
        one over each. Gradients then need not be taken out of a common one, piece by piece, which
        takes longer than the sum.
        """
        if len(maps) == 1:
            found: Tensor = self.conv(maps[0])
        elif not self.training or maps[0].device.type != "cpu":
            found = self.conv(torch.cat(maps, dim=1))
        else:
            weights = self.conv.weight.split([each.shape[1] for each in maps], dim=1)
            stride, padding = self.conv.stride, self.conv.padding
            found = functional.conv2d(maps[0], weights[0], self.conv.bias, stride, padding)
            for each, weight in zip(maps[1:], weights[1:], strict=True):
                found = found + functional.conv2d(each, weight, None, stride, padding)
        return found


class Bottleneck(nn.Module):
    """Two 3x3 convolutions with an optional shortcut; the shape is kept."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.reduce = ConvBnAct(channels, channels)
        self.expand = ConvBnAct(channels, channels)
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """Return a map of the same shape."""
        out: Tensor = self.expand(self.reduce(features))
        return features + out if self.shortcut else out


class CspStage(nn.Module):
    """A cross-stage partial stage whose every intermediate map reaches its output.

    Half of the channels pass untouched, the other half runs through ``depth`` bottlenecks, and all
    intermediate maps are joined by a 1x1 convolution (CSPNet, arXiv 1911.11929; the aggregation of
    all depths follows ELAN, arXiv 2211.04800). (B, in, H, W) -> (B, out, H, W).
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, depth: int, shortcut: bool = True
    ) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.enter = ConvBnAct(in_channels, 2 * hidden, kernel=1)
        self.blocks = nn.ModuleList(Bottleneck(hidden, shortcut=shortcut) for _ in range(depth))
        self.join = ConvBnAct((2 + depth) * hidden, out_channels, kernel=1)

    def forward(self, *maps: Tensor) -> Tensor:
        """Return the joined map of one or more (B, C, H, W), side by side of ``in_channels``."""
        parts = list(self.enter(*maps).chunk(2, dim=1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        joined: Tensor = self.join(torch.cat(parts, dim=1))
        return joined


class PyramidPooling(nn.Module):
    """Maximum over windows of 5, 9 and 13 pixels beside the map itself (SPP, arXiv 1406.4729).

    The larger windows are the smaller one applied again, which gives the same maxima for less work.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.enter = ConvBnAct(channels, hidden, kernel=1)
        self.join = ConvBnAct(4 * hidden, channels, kernel=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return a map of the same shape."""
        maps = [self.enter(features)]
        for _ in range(3):
            maps.append(functional.max_pool2d(maps[-1], 5, stride=1, padding=2))
        joined: Tensor = self.join(torch.cat(maps, dim=1))
        return joined
