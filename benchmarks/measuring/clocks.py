"""Clocks for what runs on a processor or on a GPU: the same marks, each in the time that counts.

On a CPU a mark is the processor time of this process, which other programs disturb little. On a GPU
it is an event in the stream of its work: setting one makes nobody wait, and reading the time
between two waits until both are passed.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import torch

Mark = Any


class Clock(Protocol):
    """Sets marks, and tells the time between two of them."""

    def mark(self) -> Mark:
        """Return a mark in what is being done now."""

    def seconds(self, start: Mark, end: Mark) -> float:
        """Return the time from one mark to another, in seconds."""


class ProcessorClock:
    """Seconds of the processor that this process took."""

    def mark(self) -> float:
        """Return the time up to now."""
        return time.process_time()

    def seconds(self, start: float, end: float) -> float:
        """Return the difference."""
        return end - start


class DeviceClock:
    """Seconds on the time line of a GPU, idle ones included."""

    def mark(self) -> torch.cuda.Event:
        """Return an event behind all work that was asked for up to now."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """Wait for both events; return the time between them."""
        end.synchronize()
        return start.elapsed_time(end) / 1e3


def clock_of(device: torch.device) -> Clock:
    """Return the clock of what runs on a device."""
    return DeviceClock() if device.type == "cuda" else ProcessorClock()


def wait_for(device: torch.device) -> None:
    """Wait until everything that a device was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
