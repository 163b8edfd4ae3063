"""The feature pyramid of one stream; a two-stream detector builds it twice.

Shape legend: an image (B, C, H, W), H and W multiples of 32, becomes maps at strides 8, 16 and 32
(P3, P4, P5) with `channels` channels.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from fusetrain.detector.layers import ConvBnAct, CspStage, PyramidPooling

STRIDES_PX = (8, 16, 32)


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
        channels: Channels of P3, P4 and P5.
    """

    steps: nn.ModuleList
    step_channels: tuple[int, ...]
    outlets: nn.ModuleList
    channels: tuple[int, ...]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return [P3, P4, P5] of a (B, C, H, W) image in [0, 1]."""
        features = self.steps[0](image)
        levels = []
        for step, outlet in zip(self.steps[1:], self.outlets, strict=True):
            features = step(features)
            levels.append(outlet(features))
        return levels


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
