"""The neck: lets the levels of the pyramid speak to each other.

A top-down path brings meaning to the fine levels (FPN, arXiv 1612.03144), a bottom-up path brings
position to the coarse ones (PANet, arXiv 1803.01534). Shapes are kept level by level.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from fusetrain.detector.backbone import Scale
from fusetrain.detector.layers import ConvBnAct, CspStage

COARSEST = 5  # P5, at stride 32


class PathAggregation(nn.Module):
    """Top-down, then bottom-up over P3, P4, P5, and over P2 before them where there is one.

    Args:
        channels: Channels of the levels, fine ones first.
        scale: Depth multiple of the stages.
    """

    def __init__(self, channels: Sequence[int], scale: Scale) -> None:
        super().__init__()
        depth = scale.blocks(3)
        self.channels = tuple(channels)
        widths = dict(enumerate(channels, start=COARSEST + 1 - len(channels)))
        self.fine = tuple(widths)[:-1]
        for level in reversed(self.fine):
            both, own = widths[level] + widths[level + 1], widths[level]
            self.add_module(f"down{level}", CspStage(both, own, depth=depth, shortcut=False))
        for level in self.fine:
            both, coarse = widths[level] + widths[level + 1], widths[level + 1]
            self.add_module(f"halve{level}", ConvBnAct(widths[level], widths[level], stride=2))
            self.add_module(f"up{level + 1}", CspStage(both, coarse, depth=depth, shortcut=False))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Return the maps of ``levels`` after both paths; shapes are kept."""
        down = [levels[-1]]
        for level, own in reversed(list(zip(self.fine, levels, strict=False))):
            down.insert(0, self._run(f"down{level}", _double(down[0]), own))
        up = [down[0]]
        for level, coarse in zip(self.fine, down[1:], strict=True):
            halved = self._run(f"halve{level}", up[-1])
            up.append(self._run(f"up{level + 1}", halved, coarse))
        return up

    def _run(self, name: str, *maps: Tensor) -> Tensor:
        made: Tensor = self.get_submodule(name)(*maps)
        return made


def _double(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")
