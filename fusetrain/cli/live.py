"""What a training prints: the plan at the start, a view of the running epoch, a line an epoch.

With a terminal the view is drawn anew some times a second, by the training itself and without a
thread; without one, each epoch leaves its line and nothing else is printed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.live import Live

from fusetrain import distributed
from fusetrain.build import batch_size
from fusetrain.cli.console import stderr_console, visible
from fusetrain.cli.epoch_lines import epoch_line, header
from fusetrain.cli.live_panel import Glance, panel
from fusetrain.config.stages import run_epochs
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.engine.machine import describe
from fusetrain.engine.pulse import memory_in_use
from fusetrain.results.run_dir import Row, RunDir
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.session import Session

SECONDS_BETWEEN_LOOKS = 0.25
MAX_TRAIL = 600
RECENT_EPOCHS = 5


class ConsoleReporter(RunReporter):
    """Prints on stderr, on the main rank only.

    Attributes:
        example: RGB and infrared image of the first validation pair, once a run has begun.
    """

    def __init__(self) -> None:
        self.example: tuple[Path, Path] | None = None
        self._console = stderr_console()
        self._width = self._console.width if self._console.is_terminal else None
        self._epochs = 0
        self._live: Live | None = None
        self._view: _View | None = None
        self._seconds = 0.0

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        """Print what is trained on what."""
        if not distributed.is_main():
            return
        self._epochs = run_epochs(session.config)
        self._seconds = state.seconds
        self._view = _View(session, epochs=self._epochs)
        val = session.data.val
        self.example = (val.rgb_path(0), val.ir_path(0)) if len(val) else None
        for line in _plan_lines(session, run):
            self._print(line)
        is_going_on = state.epoch < self._epochs and not state.stopped_early
        if state.slot and is_going_on:
            self._print(f"resumed after step {state.slot}, in epoch {state.epoch + 1}")
        if is_going_on:
            self._print(header(self._width))

    def on_note(self, text: str) -> None:
        """Print a remark."""
        if distributed.is_main():
            self._print(f"note: {text}")

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        """Draw the view anew, where there is a terminal and the last one is old enough."""
        if not self._console.is_terminal or self._view is None:
            return
        is_over = state.batches == batches_per_epoch
        if not self._view.is_due(state) and not is_over:
            return
        glance = self._view.glance(state, batches_per_epoch)
        is_unicode = self._console.encoding.startswith("utf")
        shown = panel(glance, width=self._console.width - 1, is_unicode=is_unicode)
        if self._live is None:
            self._live = Live(
                shown,
                console=self._console,
                transient=True,
                auto_refresh=False,
                vertical_overflow="crop",
            )
            self._live.start(refresh=True)
        else:
            self._live.update(shown, refresh=True)

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
        """Take the view away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        """Print the row of the epoch."""
        self.on_end()
        if not distributed.is_main():
            return
        seconds = state.seconds - self._seconds
        self._seconds = state.seconds
        is_best = state.best_epoch == state.epoch
        row = state.history[-1]
        line = epoch_line(row, self._epochs, seconds, is_best=is_best, width=self._width)
        self._print(line)
        if self._view is not None:
            self._view.begin_epoch()

    def _print(self, line: str) -> None:
        """Print one line, which no width of the terminal breaks."""
        self._console.print(visible(line), markup=False, soft_wrap=True)


class _View:
    """Looks at a running training often enough to see it move, seldom enough to cost nothing."""

    def __init__(self, session: Session, *, epochs: int) -> None:
        self._session = session
        self._epochs = epochs
        self._trail: list[float] = []
        self._looked = 0.0
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Forget the speed of the epoch before."""
        self._first: tuple[float, int, float] | None = None

    def is_due(self, state: TrainState) -> bool:
        """Return whether it is time to look again; the first step of an epoch is the clock's."""
        now = time.perf_counter()
        if self._first is None:
            self._first = (now, state.batches, self._session.pulse.waited)
        return now - self._looked >= SECONDS_BETWEEN_LOOKS

    def glance(self, state: TrainState, batches_per_epoch: int) -> Glance:
        """Return what is to be seen now."""
        self._looked = now = time.perf_counter()
        session = self._session
        start, first, waited = self._first or (now, state.batches, session.pulse.waited)
        seconds, batches = now - start, state.batches - first
        rate = batches / seconds if seconds > 0 and batches > 0 else None
        losses = self._losses()
        pairs = batch_size(session.config)
        return Glance(
            epoch=state.epoch + 1,
            epochs=self._epochs,
            batches=state.batches,
            batches_per_epoch=batches_per_epoch,
            losses=losses,
            trail=self._trail,
            rates=self._rates(),
            pairs_per_second=None if rate is None else rate * pairs,
            waited_share=min(1.0, (session.pulse.waited - waited) / seconds) if seconds else 0.0,
            memory_bytes=memory_in_use(session.machine.device),
            seconds_left=_seconds_left(state, rate, batches_per_epoch, epochs=self._epochs),
            best=(state.best_epoch, state.best_score) if state.best_epoch else None,
        )

    def _losses(self) -> list[float]:
        """Return the losses of the last step, and remember their sum."""
        losses = self._session.pulse.losses()
        if losses:
            self._trail.append(sum(losses))
        if len(self._trail) > MAX_TRAIL:
            self._trail = self._trail[::2]
        return losses

    def _rates(self) -> list[tuple[str, float]]:
        """Return each learning rate with the groups that have it; unnamed where all have one."""
        groups: dict[float, list[str]] = {}
        for key, rate in self._session.pulse.rates():
            name = f"{key.part} {key.kind}" if key.part else key.kind
            groups.setdefault(rate, []).append(name)
        if len(groups) == 1:
            return [("", rate) for rate in groups]
        return [(_named(names), rate) for rate, names in groups.items()]


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}"


def _seconds_left(
    state: TrainState, rate: float | None, batches_per_epoch: int, *, epochs: int
) -> float | None:
    """Return how long the rest takes: by the last epochs, else by the batches a second."""
    share_left = epochs - state.epoch - state.batches / batches_per_epoch
    recent: Sequence[Row] = state.history[-RECENT_EPOCHS - 1 :]
    if len(recent) > 1:
        spent = (recent[-1]["time"] or 0.0) - (recent[0]["time"] or 0.0)
        return share_left * spent / (len(recent) - 1)
    return None if rate is None else share_left * batches_per_epoch / rate


def _plan_lines(session: Session, run: RunDir) -> list[str]:
    model = session.config.model
    params = sum(parameter.numel() for parameter in session.detector.parameters())
    with_p2 = " with P2" if model.finest == "p2" else ""
    return [
        f"run: {run.path}",
        f"machine: {describe(session.machine)}",
        f"detector: {model.fusion} {model.size}{with_p2}, {params / 1e6:.2f} M parameters",
        f"pairs: {len(session.data.train)} train, {len(session.data.val)} val, "
        f"{session.plan.steps_per_epoch} steps an epoch, "
        f"{session.plan.total_steps} in all",
        *session.notes,
        *(f"schedule: {note}" for note in session.plan.notes),
    ]
