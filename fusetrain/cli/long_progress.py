"""Progress of work that may take hours: a bar with rate and time left, or a line now and then.

Without a terminal a line is printed after three seconds and then every ten, so that a log shows
that the work goes on, also while nothing is counted yet, or any more; short work prints nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console

from fusetrain.cli.console import safe, stderr_console

FIRST_LINE_S = 3.0
LINE_S = 10.0
REFRESH_S = 0.1


class LongProgress(Protocol):
    """Where progress is told.

    Attributes:
        console: What to print other lines on meanwhile; they come to stand above a bar.
    """

    console: Console

    def __call__(self, done: int, total: int, /) -> None:
        """Take what is done, and the total."""


@contextmanager
def long_progress(description: str, unit: str) -> Iterator[LongProgress]:
    """Show how far a long work is, on stderr.

    Args:
        description: What is done.
        unit: What is counted, as a plural.

    Yields:
        What to call with what is done and the total, as often as one likes.
    """
    console = stderr_console()
    if not console.is_terminal:
        with _Lines(console, description, unit) as lines:
            yield lines
        return
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    # As wide as it may be in 80 columns; a narrower terminal cuts the end of the text.
    numbers = TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True))
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=18), numbers)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(safe(description), total=None, rate="")
        yield _Bar(console, bar, task)


class _Pace:
    """How fast it goes, and how long it will take."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()
        self._first = 0

    def text(self, done: int, total: int) -> str:
        """Return ``, 203/s, 1 h 21 min left``; nothing before there is a rate."""
        if done <= 1:  # listing files and starting children took its time before
            self._start_s, self._first = time.monotonic(), done
            return ""
        rate = (done - self._first) / max(time.monotonic() - self._start_s, 1e-9)
        return f", {rate:,.0f}/s, {duration((total - done) / rate)} left" if rate else ""


class _Lines:
    """Progress as lines, printed by a thread of its own: the work may be silent for long."""

    def __init__(self, console: Console, description: str, unit: str) -> None:
        self.console = console
        self._description = description
        self._unit = unit
        self._pace = _Pace()
        self._told: tuple[int, int, str] | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._print, daemon=True)

    def __enter__(self) -> _Lines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def __call__(self, done: int, total: int) -> None:
        self._told = done, total, self._pace.text(done, total)

    def _print(self) -> None:
        wait_s = FIRST_LINE_S
        while not self._end.wait(wait_s):
            line = f"{self._description}: {self._text()}"
            self.console.print(line, markup=False, soft_wrap=True)
            wait_s = LINE_S

    def _text(self) -> str:
        if self._told is None:
            return "getting ready"
        done, total, pace = self._told
        counted = f"{done:,} of {total:,} {self._unit}"
        return f"{counted}, finishing" if done >= total else f"{counted}{pace}"


class _Bar:
    """Progress as a bar."""

    def __init__(self, console: Console, bar: Any, task: Any) -> None:
        self.console = console
        self._bar = bar
        self._task = task
        self._pace = _Pace()
        self._next_s = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if 1 < done < total and now < self._next_s:
            return
        self._next_s = now + REFRESH_S
        rate = f"{done:,} of {total:,}{self._pace.text(done, total)}"
        self._bar.update(self._task, completed=done, total=total, rate=rate)


def duration(seconds: float) -> str:
    """Return a time as two units at most, such as ``1 h 21 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
