"""A flag that is made on a device and read later, so that nobody waits for the work in between.

Reading a number with `item()` stands behind everything that was asked of a GPU up to that moment.
Here the copy is asked for at once, behind the work that makes the flag, and only the copy is waited
for.
"""

from __future__ import annotations

import torch
from torch import Tensor


class LateFlag:
    """Whether a number on a device is above 0.

    Args:
        value: () the number; its copy to the host begins here.
    """

    def __init__(self, value: Tensor) -> None:
        self._copy = value
        self._copied: torch.cuda.Event | None = None
        if value.device.type == "cuda":
            # Only page-locked memory is written to without the host waiting for it.
            self._copy = torch.empty((), dtype=value.dtype, pin_memory=True)
            self._copy.copy_(value, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(value.device))

    def is_set(self) -> bool:
        """Return whether the number was above 0; waits until it is copied."""
        if self._copied is not None:
            self._copied.synchronize()
        return bool(self._copy.item() > 0)
