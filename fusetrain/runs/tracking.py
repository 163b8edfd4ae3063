"""Tell trackers how a run goes: numbers and learning rates of every epoch, pictures, remarks.

The trackers themselves are in `results/trackers`. A tracker that fails or hangs leaves one remark
behind and the training as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from fusetrain import distributed
from fusetrain.config.keys import values_by_key
from fusetrain.config.schema import Config
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.errors import AbortedError, StoppedError
from fusetrain.results.run_dir import Row, RunDir
from fusetrain.results.trackers import TRACKERS
from fusetrain.results.trackers.courier import Courier, News
from fusetrain.results.trackers.tracker import Ending, TrackedRun, Tracker
from fusetrain.runs import artifacts
from fusetrain.runs.reporters import PassingOn, RunReporter
from fusetrain.runs.session import Session
from fusetrain.runs.val_pictures import CURVES, VAL_SHEETS, WORST_SHEET

START_PICTURES = ("labels.png", *artifacts.TRAIN_SHEETS)
END_PICTURES = ("results.png", "lr.png", *CURVES, *VAL_SHEETS, WORST_SHEET)
EVENT = "tracker"
# How long the end of a run waits for trackers: a stopped process has little time left.
PATIENCE_SECONDS: Mapping[Ending, float] = {"finished": 30.0, "failed": 30.0, "stopped": 5.0}


@contextmanager
def tracked(
    reporter: RunReporter, run: RunDir, config: Config, state: TrainState
) -> Iterator[RunReporter]:
    """Yield a reporter that tells the trackers of a run, too; on the main rank only.

    Args:
        reporter: Is told as before, and of trackers that fail.
        run: The folder, which is held; its events name what trackers know the run as.
        config: Names the trackers.
        state: Where the run stands.
    """
    if not config.run.trackers or not distributed.is_main():
        yield reporter
        return
    telling = TrackingReporter(reporter, run, config.run.trackers)
    telling.begin(config, state)
    ending: Ending = "failed"
    try:
        yield telling
        ending = "finished"
    except StoppedError:
        ending = "stopped"
        raise
    except (AbortedError, KeyboardInterrupt):
        telling.abandon()
        raise
    finally:
        telling.end(ending)


class TrackingReporter(PassingOn):
    """Passes on what it is told to another reporter and to trackers.

    Args:
        inner: The other reporter.
        run: The run folder.
        names: Names of the trackers.
    """

    def __init__(self, inner: RunReporter, run: RunDir, names: Sequence[str]) -> None:
        super().__init__(inner)
        self._run = run
        self._epoch = 0
        self._couriers = [Courier(name, partial(_made, name)) for name in dict.fromkeys(names)]

    def begin(self, config: Config, state: TrainState) -> None:
        """Have every tracker begin the run, or go on with it."""
        self._epoch = state.epoch
        known = {event.get("tracker"): str(event.get("id")) for event in self._run.events(EVENT)}
        settings = values_by_key(config.model_dump(mode="json"))
        for courier in self._couriers:
            known_as = known.get(courier.name, "")
            run = TrackedRun(self._run.path, settings, state.epoch, known_as)
            courier.tell(partial(self._start, courier.name, run))

    def on_note(self, text: str) -> None:
        """Pass on a remark."""
        super().on_note(text)
        epoch = self._epoch
        self._tell(lambda tracker: tracker.note(epoch, text))

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        """Pass on the row of an epoch; the first one brings the pictures of the start along."""
        super().on_epoch(state, validation)
        is_first = self._epoch == 0
        epoch = self._epoch = state.epoch
        values = tracked_values(state.history[-1])
        self._tell(lambda tracker: tracker.metrics(epoch, values))
        if is_first:
            self._show(START_PICTURES)

    def on_finish(self, session: Session, state: TrainState, validation: Validation) -> None:
        """Pass on what the best weights reach, and the pictures of the end."""
        super().on_finish(session, state, validation)
        epoch, metrics = state.epoch, validation.metrics
        best = {
            "best/epoch": float(state.best_epoch),
            "best/precision": metrics.precision,
            "best/recall": metrics.recall,
            "best/mAP50": metrics.map50,
            "best/mAP50-95": metrics.map50_95,
        }
        self._tell(lambda tracker: tracker.metrics(epoch, best))
        self._show(END_PICTURES)

    def abandon(self) -> None:
        """Tell nobody anything any more."""
        self._couriers = []

    def end(self, ending: Ending) -> None:
        """Say how the run ended, and wait a little until all is told."""
        self._tell(lambda tracker: tracker.finish(ending))
        seconds = PATIENCE_SECONDS[ending]
        for courier in self._couriers:
            if not courier.close(seconds=seconds):
                self.inner.on_note(
                    f"tracker {courier.name} was not done within {seconds:.0f} s; what it has not "
                    "taken is lost to it, the run folder has all"
                )
        self._tell_failures()

    def _start(self, name: str, run: TrackedRun, tracker: Tracker) -> None:
        """Start a tracker, in its own thread, and keep what it knows the run as."""
        known_as = tracker.start(run)
        if known_as != run.known_as:
            self._run.event(EVENT, tracker=name, id=known_as)

    def _show(self, names: Sequence[str]) -> None:
        for name in names:
            path = self._run.path / name
            if path.is_file():
                self._tell(partial(_show_one, self._epoch, path))

    def _tell(self, news: News) -> None:
        self._tell_failures()
        for courier in self._couriers:
            courier.tell(news)

    def _tell_failures(self) -> None:
        for courier in self._couriers:
            if failure := courier.failure():
                self.inner.on_note(
                    f"tracker {courier.name} is left out from here on: {failure}; "
                    "the training goes on"
                )


def tracked_values(row: Row) -> dict[str, float]:
    """Return the numbers of a row of results.csv under names that every tracker takes."""
    return {
        name.replace("(B)", ""): float(value)
        for name, value in row.items()
        if value is not None and name != "epoch"
    }


def _made(name: str) -> Tracker:
    tracker: Tracker = TRACKERS.get(name)()
    return tracker


def _show_one(epoch: int, path: Path, tracker: Tracker) -> None:
    tracker.picture(epoch, path.stem, path)
