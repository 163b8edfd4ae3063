"""What a tracker is: five methods, and what it is told about a run at the start.

A tracker is called from one thread of its own (`courier.py`), in order. It may fail and it may be
slow; it must neither draw from random generators that the training uses nor compute with torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

Ending = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers see it.

    Attributes:
        folder: The run folder.
        settings: Dotted key of every setting to its value, as JSON has it.
        epochs_done: Epochs that were trained before, where the run is resumed.
        known_as: What `start` returned when the run was begun; empty for a new one.
    """

    folder: Path
    settings: Mapping[str, Any]
    epochs_done: int = 0
    known_as: str = ""

    @property
    def name(self) -> str:
        """Return the name of the run."""
        return self.folder.name

    @property
    def project(self) -> str:
        """Return the name of the folder that holds this run and others like it."""
        return self.folder.parent.name


class Tracker(Protocol):
    """Who shows a run beside others."""

    def start(self, run: TrackedRun) -> str:
        """Begin a run, or go on with the one that is known; return what it is known as."""

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Take the numbers of an epoch, which counts from 1."""

    def picture(self, epoch: int, name: str, path: Path) -> None:
        """Take a PNG or JPEG file, which stays where it is."""

    def note(self, epoch: int, text: str) -> None:
        """Take a remark about the run."""

    def finish(self, ending: Ending) -> None:
        """End the run, or this part of it; nothing is told after this."""
