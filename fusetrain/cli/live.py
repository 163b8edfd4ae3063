"""What a training prints: the plan at the start, a bar for the running epoch, a line an epoch."""

from __future__ import annotations

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from fusetrain import distributed
from fusetrain.cli.console import stderr_console, visible
from fusetrain.config.stages import run_epochs
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.engine.machine import describe
from fusetrain.reporters import RunReporter
from fusetrain.results.run_dir import RunDir
from fusetrain.session import Session

HEADER = "   epoch     box   cls   dfl   mAP50 mAP50-95        lr    time  *best so far"


class ConsoleReporter(RunReporter):
    """Prints on stderr, on the main rank only."""

    def __init__(self) -> None:
        self._console = stderr_console()
        self._epochs = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._seconds = 0.0

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        """Print what is trained on what."""
        if not distributed.is_main():
            return
        self._epochs = run_epochs(session.config)
        self._seconds = state.seconds
        model = session.config.model
        params = sum(parameter.numel() for parameter in session.detector.parameters())
        lines = [
            f"run: {run.path}",
            f"machine: {describe(session.machine)}",
            f"detector: {model.fusion} {model.size}, {params / 1e6:.2f} M parameters",
            f"pairs: {len(session.data.train)} train, {len(session.data.val)} val, "
            f"{session.plan.steps_per_epoch} steps an epoch, "
            f"{session.plan.total_steps} in all",
            *session.notes,
            *(f"schedule: {note}" for note in session.plan.notes),
        ]
        is_going_on = state.epoch < self._epochs and not state.stopped_early
        if state.slot and is_going_on:
            lines.append(f"resumed after step {state.slot}, in epoch {state.epoch + 1}")
        if is_going_on:
            lines.append(HEADER)
        for line in lines:
            self._print(line)

    def on_note(self, text: str) -> None:
        """Print a remark."""
        if distributed.is_main():
            self._print(f"note: {text}")

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        """Move the bar, where there is a terminal."""
        if not self._console.is_terminal or not distributed.is_main():
            return
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(
                *columns, TimeRemainingColumn(), console=self._console, transient=True
            )
            self._task = self._bar.add_task("", total=batches_per_epoch)
            self._bar.start()
        assert self._task is not None
        name = f"epoch {state.epoch + 1}"
        if state.batches == batches_per_epoch:
            name = f"{name}, validation"
        self._bar.update(self._task, completed=state.batches, description=name)

    def on_finish(self, session: Session, state: TrainState, validation: Validation) -> None:
        """Print what the best weights reach."""
        if distributed.is_main():
            metrics = validation.metrics
            self._print(
                f"best: epoch {state.best_epoch}, mAP50 {metrics.map50:.3f}, "
                f"mAP50-95 {metrics.map50_95:.3f}, precision {metrics.precision:.3f}, "
                f"recall {metrics.recall:.3f}, {state.seconds:.0f} s in all"
            )

    def on_end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        """Print the row of the epoch."""
        self.on_end()
        if not distributed.is_main():
            return
        row = state.history[-1]
        seconds = state.seconds - self._seconds
        self._seconds = state.seconds
        is_best = "*" if state.best_epoch == state.epoch else ""
        self._print(
            f"{state.epoch:4d}/{self._epochs:<4d}{_cell(row['train/box_loss'], 7, 3)}"
            f"{_cell(row['train/cls_loss'], 6, 2)}{_cell(row['train/dfl_loss'], 6, 2)}"
            f"{_cell(row['metrics/mAP50(B)'], 8, 3)}{_cell(row['metrics/mAP50-95(B)'], 9, 3)}"
            f"{row['lr0']:10.2e}{seconds:6.1f} s{is_best}"
        )

    def _print(self, line: str) -> None:
        """Print one line, which no width of the terminal breaks."""
        self._console.print(visible(line), markup=False, soft_wrap=True)


def _cell(value: float | int | None, width: int, digits: int) -> str:
    return " " * (width - 1) + "-" if value is None else f"{value:{width}.{digits}f}"
