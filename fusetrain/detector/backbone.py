"""The feature pyramid of one stream; a two-stream detector builds it twice.

Shape legend: an image (B, C, H, W), H and W multiples of 32, becomes maps at strides 8, 16 and 32
(P3, P4, P5) with `channels` channels; for small objects, one at stride 4 (P2) before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from fusetrain.detector.layers import ConvBnAct, CspStage, PyramidPooling

STRIDES_PX = (8, 16, 32)
P2_STRIDE_PX = 4
P2_CHANNELS = 128  # at width 1


@dataclass(frozen=True)
class Scale:
    """Multiples of a detector size.

    Attributes:
        depth: Factor on the number of bottlenecks of a stage.
        width: Factor on the number of channels.
        max_channels: Limit of the channels before the factor.
    """

    depth: float
    width: float
    max_channels: int

    def channels(self, base: int) -> int:
        """Return the channels for ``base`` channels at width 1, rounded up to a multiple of 8."""
        return max(8, -(-int(min(base, self.max_channels) * self.width + 0.5) // 8) * 8)

    def blocks(self, base: int) -> int:
        """Return the bottlenecks for ``base`` at depth 1, at least one."""
        return max(1, round(base * self.depth))


SCALES = {
    "n": Scale(1 / 3, 0.25, 1024),
    "s": Scale(1 / 3, 0.50, 1024),
    "m": Scale(2 / 3, 0.75, 768),
    "l": Scale(1.0, 1.00, 512),
    "x": Scale(1.0, 1.25, 512),
}


class Pyramid(nn.Module):
    """What a backbone is: four steps, each halving the map but the first, which quarters it.

    A fused detector may cut a pyramid between two steps and join another stream there.

    Attributes:
        steps: Image to stride 4, stride 4 to 8, 8 to 16, 16 to 32.
        step_channels: Channels behind each step.
        outlets: What the last three steps give to P3, P4 and P5.
        outlet_p2: What the first step gives to P2; None unless it was opened.
        channels: Channels of the levels: P3, P4 and P5, and of P2 before them once it is open.
    """

    steps: nn.ModuleList
    step_channels: tuple[int, ...]
    outlets: nn.ModuleList
    outlet_p2: nn.Module | None
    channels: tuple[int, ...]

    def __init__(self) -> None:
        super().__init__()
        self.outlet_p2 = None

    def open_p2(self, scale: Scale) -> None:
        """Give P2 out, too.

        Args:
            scale: Width multiple of P2, where the pyramid does not give its steps out as they are.
        """
        self.outlet_p2 = nn.Identity()
        self.channels = (self.step_channels[0], *self.channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the levels of a (B, C, H, W) image in [0, 1], fine ones first."""
        maps = [image]
        for step in self.steps:
            maps.append(step(maps[-1]))
        return levels_of(maps, self.outlets, self.outlet_p2)


def levels_of(
    maps: Sequence[Tensor], outlets: nn.ModuleList, outlet_p2: nn.Module | None
) -> list[Tensor]:
    """Return the levels of the maps behind the steps of a pyramid, of which the last four count."""
    levels = [outlet(features) for outlet, features in zip(outlets, maps[-3:], strict=True)]
    return levels if outlet_p2 is None else [outlet_p2(maps[-4]), *levels]


class CspBackbone(Pyramid):
    """Five halvings with a CSP stage after each of the last four.

    Args:
        in_channels: Channels of the image: 3 for RGB, 1 for IR.
        scale: Depth and width multiples.
    """

    def __init__(self, in_channels: int, scale: Scale) -> None:
        super().__init__()
        widths = [scale.channels(base) for base in (64, 128, 256, 512, 1024)]
        depths = [scale.blocks(base) for base in (3, 6, 6, 3)]
        self.step_channels = tuple(widths[1:])
        self.channels = self.step_channels[1:]
        self.outlets = nn.ModuleList(nn.Identity() for _ in self.channels)
        stem = ConvBnAct(in_channels, widths[0], stride=2)
        stages = [
            nn.Sequential(
                ConvBnAct(widths[level], widths[level + 1], stride=2),
                CspStage(widths[level + 1], widths[level + 1], depth=depths[level]),
            )
            for level in range(4)
        ]
        stages[0].insert(0, stem)
        stages[3].append(PyramidPooling(widths[4]))
        self.steps = nn.ModuleList(stages)
