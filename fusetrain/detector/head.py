"""The head: one branch says what stands at an anchor point, another where its sides are.

A 1x1 stem and two decoupled branches a level follow YOLOX (arXiv 2107.08430), distances as a
distribution over bins follow GFL (arXiv 2006.04388), a second head of one point a box follows
YOLOv10 (arXiv 2405.14458, section 3.1). Shape legend: see `sample.RawPredictions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fusetrain.detector.layers import ConvBnAct
from fusetrain.sample import RawPredictions

NUM_BINS = 16
PRIOR = 0.01
DISTANCE_FALL = 0.5  # of the first distance logits, a bin


class DecoupledHead(nn.Module):
    """Class and distance logits for every cell of every level.

    Args:
        channels: Channels of the levels.
        strides_px: Strides of the levels.
        num_classes: Number of classes C.
        num_bins: Bins R of a distance; the farthest side lies R - 1 strides away.
        one_to_one: Add a head of the same structure whose predictions need no suppression. It sees
            the levels without sending gradients into them, so that it changes nothing else.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        strides_px: Sequence[int],
        num_classes: int,
        num_bins: int = NUM_BINS,
        one_to_one: bool = False,
    ) -> None:
        super().__init__()
        self.strides_px = tuple(strides_px)
        self.num_classes = num_classes
        self.num_bins = num_bins
        widths = [min(level, channels[-3]) for level in channels]  # at most that of P3
        self.stems = nn.ModuleList(
            ConvBnAct(level, width, kernel=1) for level, width in zip(channels, widths, strict=True)
        )
        self.class_branches = nn.ModuleList(_branch(width, num_classes) for width in widths)
        self.box_branches = nn.ModuleList(_branch(width, 4 * num_bins) for width in widths)
        self._set_biases()
        self.one_to_one: DecoupledHead | None = None
        if one_to_one:
            self.one_to_one = DecoupledHead(
                channels, strides_px=strides_px, num_classes=num_classes, num_bins=num_bins
            )

    def forward(self, levels: Sequence[Tensor]) -> RawPredictions:
        """Return the logits of all anchor points, fine levels first."""
        stems = [stem(level) for stem, level in zip(self.stems, levels, strict=True)]
        sides = _by_anchor(self.box_branches, stems)
        anchors, strides = self._anchors(levels)
        return RawPredictions(
            class_logits=_by_anchor(self.class_branches, stems),
            distance_logits=sides.reshape(*sides.shape[:2], 4, self.num_bins),
            anchors_xy_px=anchors,
            strides_px=strides,
            one_to_one=self._without_gradient(levels),
        )

    def _without_gradient(self, levels: Sequence[Tensor]) -> RawPredictions | None:
        """Return what the second head says of levels that learn nothing from it."""
        if self.one_to_one is None:
            return None
        predictions: RawPredictions = self.one_to_one([level.detach() for level in levels])
        return predictions

    def _anchors(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the cell centres (A, 2) and strides (A,) in the order of the logits."""
        centres, strides = [], []
        for level, stride in zip(levels, self.strides_px, strict=True):
            height, width = level.shape[-2:]
            y = (torch.arange(height, device=level.device, dtype=torch.float32) + 0.5) * stride
            x = (torch.arange(width, device=level.device, dtype=torch.float32) + 0.5) * stride
            grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
            centres.append(torch.stack((grid_x, grid_y), dim=-1).reshape(-1, 2))
            strides.append(torch.full((height * width,), float(stride), device=level.device))
        return torch.cat(centres), torch.cat(strides)

    def _set_biases(self) -> None:
        """Start at rare objects (focal loss, arXiv 1708.02002) and at boxes of a few strides.

        Equal bins would mean boxes of 15 strides, which hardly overlap a small object: the
        assignment would have nothing to go by. Falling bins start at sides of about 1.5 strides.
        """
        rare = -math.log((1 - PRIOR) / PRIOR)
        near = (-DISTANCE_FALL * torch.arange(self.num_bins)).repeat(4)
        for branches, bias in (
            (self.class_branches, torch.full((self.num_classes,), rare)),
            (self.box_branches, near),
        ):
            for branch in branches:
                *_, last = branch.children()
                with torch.no_grad():
                    last.get_parameter("bias").copy_(bias)


def _branch(width: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvBnAct(width, width), ConvBnAct(width, width), nn.Conv2d(width, out_channels, 1)
    )


def _by_anchor(branches: nn.ModuleList, levels: Sequence[Tensor]) -> Tensor:
    """Return (B, A, channels) of the branches' (B, channels, H, W) maps, level after level."""
    maps = [branch(level) for branch, level in zip(branches, levels, strict=True)]
    return torch.cat([level.flatten(2).transpose(1, 2) for level in maps], dim=1)
