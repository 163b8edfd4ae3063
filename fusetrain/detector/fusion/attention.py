"""Operators in which each stream tells the other where, or at what, to look.

Shape legend: R and T are (B, C, H, W) maps of RGB and IR; a token is one cell of a map that was
averaged down to 16 x 16 cells or fewer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusetrain.detector.layers import ConvBnAct

MAX_TOKENS_A_SIDE = 16
HEAD_CHANNELS = 16
ITERATIONS = 2
SQUEEZE = 4


class CrossAttention(nn.Module):
    """Cells of one stream attend to those of the other, some rounds with the same weights.

    Queries of either stream look at keys and values of the other (arXiv 2308.07504: the iterations
    share their weights); what they find is added to the stream, and both are mixed at the end.

    Args:
        channels: Channels C of the maps.
        iterations: Rounds.
    """

    needs_fixed_canvas = True  # in a file: how many cells make a token follows from the canvas

    def __init__(self, channels: int, *, iterations: int = ITERATIONS) -> None:
        super().__init__()
        self.iterations = iterations
        self.to_visible = _Attend(channels)
        self.to_infrared = _Attend(channels)
        self.mix = ConvBnAct(2 * channels, channels, kernel=1)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Return (B, C, H, W) of two maps of that shape."""
        tokens_visible, tokens_infrared = _pooled(visible), _pooled(infrared)
        first_visible, first_infrared = tokens_visible, tokens_infrared
        for _ in range(self.iterations):
            tokens_visible, tokens_infrared = (
                tokens_visible + self.to_visible(tokens_visible, tokens_infrared),
                tokens_infrared + self.to_infrared(tokens_infrared, tokens_visible),
            )
        visible = visible + _spread(tokens_visible - first_visible, visible)
        infrared = infrared + _spread(tokens_infrared - first_infrared, infrared)
        mixed: Tensor = self.mix(visible, infrared)
        return mixed


class _Attend(nn.Module):
    """What the cells of one map find in those of another: (B, C, h, w) x 2 -> (B, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        most = max(1, channels // HEAD_CHANNELS)
        self.heads = next(heads for heads in range(most, 0, -1) if channels % heads == 0)
        self.norm = nn.LayerNorm(channels)
        self.norm_other = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        height, width = own.shape[-2:]
        query = self._by_head(self.query(self.norm(own.flatten(2).transpose(1, 2))))
        seen = self.key_value(self.norm_other(other.flatten(2).transpose(1, 2)))
        key, value = (self._by_head(part) for part in seen.chunk(2, dim=-1))
        found = functional.scaled_dot_product_attention(query, key, value)
        found = self.out(found.transpose(1, 2).flatten(2))
        return torch.unflatten(found.transpose(1, 2), 2, (height, width))

    def _by_head(self, tokens: Tensor) -> Tensor:
        return torch.unflatten(tokens, 2, (self.heads, -1)).transpose(1, 2)


class MutualGates(nn.Module):
    """Each stream is gated by the other: first its channels, then its cells.

    The channel gate comes from the means of the other map, the cell gate from the mean and the
    maximum over its channels; both streams are mixed at the end. It follows the idea of DEYOLO's
    dual semantic and spatial enhancement (arXiv 2412.04931), not its layers.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels_by_visible = _channel_gate(channels)
        self.channels_by_infrared = _channel_gate(channels)
        self.cells_by_visible = nn.Conv2d(2, 1, 7, padding=3)
        self.cells_by_infrared = nn.Conv2d(2, 1, 7, padding=3)
        self.mix = ConvBnAct(2 * channels, channels, kernel=1)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Return (B, C, H, W) of two maps of that shape."""
        visible, infrared = (
            visible * (1 + self.channels_by_infrared(infrared.mean((2, 3), keepdim=True))),
            infrared * (1 + self.channels_by_visible(visible.mean((2, 3), keepdim=True))),
        )
        visible, infrared = (
            visible * (1 + torch.sigmoid(self.cells_by_infrared(_summary(infrared)))),
            infrared * (1 + torch.sigmoid(self.cells_by_visible(_summary(visible)))),
        )
        mixed: Tensor = self.mix(visible, infrared)
        return mixed


def _channel_gate(channels: int) -> nn.Sequential:
    hidden = max(8, channels // SQUEEZE)
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1), nn.SiLU(), nn.Conv2d(hidden, channels, 1), nn.Sigmoid()
    )


def _summary(features: Tensor) -> Tensor:
    """Return (B, 2, H, W), the mean and the maximum over the channels."""
    return torch.cat((features.mean(1, keepdim=True), features.amax(1, keepdim=True)), dim=1)


def _pooled(features: Tensor) -> Tensor:
    """Return the map averaged over whole squares of cells, at most 16 a side left."""
    cell = math.ceil(max(features.shape[-2:]) / MAX_TOKENS_A_SIDE)
    return functional.avg_pool2d(features, cell, ceil_mode=True) if cell > 1 else features


def _spread(tokens: Tensor, like: Tensor) -> Tensor:
    """Return tokens (B, C, h, w) as a smooth map of the size of ``like``."""
    return functional.interpolate(tokens, size=like.shape[-2:], mode="bilinear")
