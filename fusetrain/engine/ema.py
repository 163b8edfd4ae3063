"""The exponential moving average of the weights, which is what is validated and kept.

After u updates the decay is ``decay * (1 - exp(-u / ramp))``: short at first, so that the average
forgets the random start, long in the end. Batch statistics are averaged like weights; integer
buffers are copied.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

DECAY = 0.9999
RAMP_UPDATES = 2000.0


class WeightAverage:
    """A second copy of a model that follows the first.

    Args:
        model: The model that is trained.
        decay: Decay in the long run, in [0, 1).
        ramp: Updates after which 63 % of the decay is reached.
    """

    def __init__(
        self, model: nn.Module, *, decay: float = DECAY, ramp: float = RAMP_UPDATES
    ) -> None:
        self.decay = decay
        self.ramp = ramp
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        source, target = model.state_dict(), self.model.state_dict()
        floating = [name for name, value in source.items() if value.is_floating_point()]
        self._source = [source[name] for name in floating]
        self._target = [target[name] for name in floating]
        counters = [name for name in source if not source[name].is_floating_point()]
        self._source_counters = [source[name] for name in counters]
        self._target_counters = [target[name] for name in counters]

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Move the average towards the model after its ``updates``-th update (from 1)."""
        decay = self.decay * (1.0 - math.exp(-updates / self.ramp))
        torch._foreach_lerp_(self._target, self._source, 1.0 - decay)
        if self._target_counters:
            torch._foreach_copy_(self._target_counters, self._source_counters)
