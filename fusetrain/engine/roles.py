"""What a trainer works with beside the step: its limits, who is told, who keeps.

They are written down here so that the training loop in `trainer.py` stays readable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.engine.stages import Inputs

Validate = Callable[[nn.Module, Inputs, Callable[[], bool]], Validation]
"""(model, what it is shown, whether to stop) to a validation, joined over the ranks."""


@dataclass(frozen=True)
class Limits:
    """When a run validates, saves and ends.

    Attributes:
        epochs: Epochs of the whole run.
        batches_per_epoch: Micro-steps of an epoch.
        accumulate: Micro-steps of an optimizer step.
        patience: Epochs without a better score after which the run ends, looked at when one is
            validated; 0 is off.
        val_every: Epochs from one validation to the next.
        save_steps: Optimizer steps from one save to the next, or None.
        save_minutes: Minutes from one save to the next, or None.
        save_epochs: Epochs from one save to the next, or None.
    """

    epochs: int
    batches_per_epoch: int
    accumulate: int
    patience: int
    val_every: int
    save_steps: int | None
    save_minutes: float | None
    save_epochs: int | None

    def saves_after(self, slot: int, *, minutes: float = 0.0) -> bool:
        """Return whether the state is saved after so many optimizer steps.

        Args:
            slot: Optimizer steps of the run.
            minutes: Time since the last save; none asks whether the steps alone are a reason.
        """
        by_steps = self.save_steps is not None and slot % self.save_steps == 0
        return by_steps or (self.save_minutes is not None and minutes >= self.save_minutes)


class Reporter(Protocol):
    """Who is told how the run goes."""

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        """An optimizer step is done."""

    def on_note(self, text: str) -> None:
        """Something happened that a user should know."""

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        """An epoch is done; its row is the last of ``state.history``."""


class Keeper(Protocol):
    """Who keeps the state of the run."""

    def save(self, state: TrainState, *, new_best: bool, good: bool = False) -> None:
        """Keep everything; may return before it is on the disk.

        A good state is kept until the next one, for rollbacks.
        """

    def keep_good(self, state: TrainState) -> None:
        """Keep the state at the start for rollbacks alone, and wait until it is on the disk."""

    def last_good(self, slot: int) -> dict[str, Any]:
        """Return the content of the good state at a slot, or of the newest one."""

    def dump(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a JSON file for people into the run folder."""

    def wait(self) -> None:
        """Wait until everything is on the disk."""

    def log(self, kind: str, **values: Any) -> None:
        """Append a line to the log of the run."""
