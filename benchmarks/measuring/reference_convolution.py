"""A convolution as the yardstick of a training step: what this processor computes at best.

3x3, 256 channels, 40 x 40 cells, channels innermost, forward and backward, in the precision of the
training: wide enough that a library reaches its best rate, small enough to be timed often.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

CHANNELS = 256
CELLS = 40
KERNEL = 3
PAIRS = 2
# A multiplication and an addition count as two; the backward pass makes twice those of the forward.
FLOP = 3 * 2 * KERNEL**2 * CHANNELS**2 * CELLS**2 * PAIRS


@dataclass(frozen=True)
class ReferenceConvolution:
    """One convolution with its input, forward and backward.

    Attributes:
        dtype: Type that it computes in.
        convolution: The layer.
        image: Its input (PAIRS, CHANNELS, CELLS, CELLS).
    """

    dtype: torch.dtype
    convolution: nn.Conv2d = field(init=False)
    image: Tensor = field(init=False)

    def __post_init__(self) -> None:
        layer = nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=KERNEL // 2, bias=False)
        layer = layer.to(self.dtype, memory_format=torch.channels_last)
        image = torch.zeros(PAIRS, CHANNELS, CELLS, CELLS, dtype=self.dtype)
        image = image.normal_(generator=torch.Generator().manual_seed(0))
        object.__setattr__(self, "convolution", layer)
        object.__setattr__(
            self, "image", image.to(memory_format=torch.channels_last).requires_grad_()
        )

    def cpu_seconds(self) -> float:
        """Run it once; return the processor time it took."""
        started = time.process_time()
        self.convolution.weight.grad = self.image.grad = None
        self.convolution(self.image).sum().backward()
        return time.process_time() - started
