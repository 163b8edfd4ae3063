"""Who is told how a run goes: the command line prints, trackers show, a search for settings judges.

What a trainer tells is written down in `engine/roles.py`; a whole run tells a little more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.engine.roles import Reporter
from fusetrain.results.run_dir import RunDir

if TYPE_CHECKING:
    from fusetrain.runs.session import Session


class RunReporter(Reporter):
    """Who is told how a run begins and goes; as it stands, it keeps everything to itself."""

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        """The run is put together."""

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        """An optimizer step is done."""

    def on_note(self, text: str) -> None:
        """Something is other than one might expect."""

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        """An epoch is done; its row is the last of ``state.history``."""

    def on_finish(self, session: Session, state: TrainState, validation: Validation) -> None:
        """Everything is done; ``validation`` judges the best weights."""

    def on_end(self) -> None:
        """The run ends here, in whichever way."""


class PassingOn(RunReporter):
    """Passes everything on to another; what listens in overrides some of it.

    Args:
        inner: Who is told.
    """

    def __init__(self, inner: RunReporter) -> None:
        self.inner = inner

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        """Pass on that the run is put together."""
        self.inner.on_start(session, run, state)

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        """Pass on that a step is done."""
        self.inner.on_step(state, batches_per_epoch)

    def on_note(self, text: str) -> None:
        """Pass on a remark."""
        self.inner.on_note(text)

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        """Pass on that an epoch is done."""
        self.inner.on_epoch(state, validation)

    def on_finish(self, session: Session, state: TrainState, validation: Validation) -> None:
        """Pass on that everything is done."""
        self.inner.on_finish(session, state, validation)

    def on_end(self) -> None:
        """Pass on that the run ends here."""
        self.inner.on_end()
