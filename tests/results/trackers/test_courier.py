"""A courier tells one tracker everything in order; its faults and its slowness stay with it."""

import threading
from collections.abc import Mapping
from pathlib import Path

from fusetrain.results.trackers.courier import Courier
from fusetrain.results.trackers.tracker import Ending, TrackedRun


class Diary:
    """A tracker that writes down what it is told, fails at one epoch and waits at another."""

    def __init__(self, *, fails_at: int = -1, waits_at: int = -1) -> None:
        self.heard: list[object] = []
        self.go_on = threading.Event()
        self._fails_at = fails_at
        self._waits_at = waits_at

    def start(self, run: TrackedRun) -> str:
        self.heard.append(run.name)
        return "known"

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        if epoch == self._fails_at:
            raise ConnectionError("no answer\nafter seven tries")
        if epoch == self._waits_at:
            self.go_on.wait(30)
        self.heard.append((epoch, dict(values)))

    def picture(self, epoch: int, name: str, path: Path) -> None:
        self.heard.append(name)

    def note(self, epoch: int, text: str) -> None:
        self.heard.append(text)

    def finish(self, ending: Ending) -> None:
        self.heard.append(ending)


def tell_epochs(courier: Courier, count: int) -> None:
    for epoch in range(1, count + 1):
        courier.tell(lambda tracker, epoch=epoch: tracker.metrics(epoch, {"loss": 1.0 / epoch}))


def test_everything_is_told_in_order() -> None:
    diary = Diary()
    courier = Courier("diary", lambda: diary)
    courier.tell(lambda tracker: tracker.note(0, "begun"))
    tell_epochs(courier, 2)
    courier.tell(lambda tracker: tracker.finish("finished"))
    assert courier.close(seconds=10)
    assert diary.heard == ["begun", (1, {"loss": 1.0}), (2, {"loss": 0.5}), "finished"]
    assert courier.failure() == ""


def test_a_failure_is_told_once_and_silences_the_tracker() -> None:
    diary = Diary(fails_at=2)
    courier = Courier("diary", lambda: diary)
    tell_epochs(courier, 4)
    assert courier.close(seconds=10)
    assert diary.heard == [(1, {"loss": 1.0})]
    assert courier.failure() == "ConnectionError: no answer"
    assert courier.failure() == ""
    tell_epochs(courier, 1)
    assert diary.heard == [(1, {"loss": 1.0})]


def test_a_tracker_that_cannot_be_made_is_a_failure_too() -> None:
    courier = Courier("diary", lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    courier.tell(lambda tracker: tracker.finish("finished"))
    assert courier.failure().startswith("ZeroDivisionError: ")
    assert courier.close(seconds=10)


def test_a_tracker_that_hangs_is_not_waited_for() -> None:
    diary = Diary(waits_at=1)
    courier = Courier("diary", lambda: diary)
    tell_epochs(courier, 1)
    assert not courier.close(seconds=0.05)
    diary.go_on.set()
    assert courier.close(seconds=10)
