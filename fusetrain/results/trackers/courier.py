"""Bring news to one tracker, in a thread of its own, and let no fault of it reach the training.

A tracker that raises is told nothing more. One that hangs, because its server does not answer, is
waited for at the end only, and not for long.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from fusetrain.results.trackers.tracker import Tracker

News = Callable[[Tracker], None]


class Courier:
    """Tells one tracker everything in order, while the training goes on.

    Args:
        name: Name of the tracker.
        make: Makes it; called at once, so that its imports do not disturb a running epoch.
    """

    def __init__(self, name: str, make: Callable[[], Tracker]) -> None:
        self.name = name
        self._failure = ""
        self._news: SimpleQueue[News | None] = SimpleQueue()
        self._thread: Thread | None = None
        try:
            tracker = make()
        except Exception as error:
            self._failure = _described(error)
            return
        self._thread = Thread(
            target=self._tell_all, args=(tracker,), name=f"tracker-{name}", daemon=True
        )
        self._thread.start()

    def tell(self, news: News) -> None:
        """Queue one piece of news; returns at once."""
        if not self._failure:
            self._news.put(news)

    def failure(self) -> str:
        """Return why the tracker is told nothing more, the first time this is asked after."""
        failure, self._failure = self._failure, self._failure and " "
        return failure.strip()

    def close(self, *, seconds: float) -> bool:
        """Wait until everything is told; return whether that was possible in time."""
        if self._thread is None:
            return True
        self._news.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _tell_all(self, tracker: Tracker) -> None:
        while (news := self._news.get()) is not None:
            try:
                news(tracker)
            except Exception as error:
                self._failure = _described(error)
                return


def _described(error: Exception) -> str:
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
