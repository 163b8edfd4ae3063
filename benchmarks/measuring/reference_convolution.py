"""A convolution as the yardstick of a training step: what this processor or GPU computes at best.

3x3, 256 channels, 40 x 40 cells, channels innermost, forward and backward, in the precision of the
training: wide enough that a library reaches its best rate, small enough to be timed often.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from measuring.clocks import Clock, clock_of
from torch import Tensor, nn

CHANNELS = 256
CELLS = 40
KERNEL = 3
PAIRS = 2
CPU = torch.device("cpu")


@dataclass(frozen=True)
class ReferenceConvolution:
    """One convolution with its input, forward and backward.

    Attributes:
        dtype: Type that it computes in.
        device: Where.
        pairs: Size of its batch; a GPU needs a large one to have all of it at work.
        convolution: The layer.
        image: Its input (pairs, CHANNELS, CELLS, CELLS).
    """

    dtype: torch.dtype
    device: torch.device = CPU
    pairs: int = PAIRS
    convolution: nn.Conv2d = field(init=False)
    image: Tensor = field(init=False)
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        layer = nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=KERNEL // 2, bias=False)
        layer = layer.to(self.device, self.dtype, memory_format=torch.channels_last)
        image = torch.zeros(self.pairs, CHANNELS, CELLS, CELLS, dtype=self.dtype)
        image = image.normal_(generator=torch.Generator().manual_seed(0)).to(self.device)
        object.__setattr__(self, "convolution", layer)
        object.__setattr__(
            self, "image", image.to(memory_format=torch.channels_last).requires_grad_()
        )
        object.__setattr__(self, "clock", clock_of(self.device))

    @property
    def flop(self) -> int:
        """Return the operations of one run; a multiplication and an addition count as two.

        The backward pass makes twice those of the forward pass.
        """
        return 3 * 2 * KERNEL**2 * CHANNELS**2 * CELLS**2 * self.pairs

    def run(self) -> None:
        """Run it once, and wait for nothing."""
        self.convolution.weight.grad = self.image.grad = None
        self.convolution(self.image).sum().backward()

    def seconds(self) -> float:
        """Run it once; return the time it took, of the processor or on the GPU."""
        started = self.clock.mark()
        self.run()
        return self.clock.seconds(started, self.clock.mark())
