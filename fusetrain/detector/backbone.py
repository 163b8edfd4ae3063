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
    """What a backbone is: a module that knows the channels of its levels P3, P4 and P5."""

    channels: tuple[int, ...]


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
        self.channels = tuple(widths[2:])
        self.stem = ConvBnAct(in_channels, widths[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                ConvBnAct(widths[level], widths[level + 1], stride=2),
                CspStage(widths[level + 1], widths[level + 1], depth=depths[level]),
            )
            for level in range(4)
        )
        self.pool = PyramidPooling(widths[4])

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return [P3, P4, P5] of a (B, C, H, W) image in [0, 1]."""
        features = self.stages[0](self.stem(image))
        p3 = self.stages[1](features)
        p4 = self.stages[2](p3)
        p5 = self.pool(self.stages[3](p4))
        return [p3, p4, p5]
