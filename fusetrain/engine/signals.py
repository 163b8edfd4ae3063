"""Signals that ask a run to stop: noted when they come, obeyed between two optimizer steps.

The first SIGINT, SIGTERM or SIGUSR1 sets a flag that all ranks agree on; the run then saves and
ends resumable. A second SIGINT ends the process at once. What is said about it goes straight to the
file descriptor: a handler must not enter a stream that the interrupted code may be writing to.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from fusetrain import distributed
from fusetrain.errors import AbortedError
from fusetrain.launched import launcher

STDERR = 2
SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


class StopFlag:
    """The signal that asked for a stop, or none yet.

    Attributes:
        signal_number: The last one that came; 0 for none.
        received: All that came.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self.received: set[int] = set()
        self._interrupts = 0

    def name(self) -> str:
        """Return the name of the signal, for messages."""
        return signal.Signals(self.signal_number).name if self.signal_number else "a signal"

    def has_received(self, name: str) -> bool:
        """Return whether a signal came at any time; never one that this system does not have."""
        return getattr(signal, name, None) in self.received

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note the signal (a handler for `signal.signal`)."""
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            tell(f"{SHOW_CURSOR if os.isatty(STDERR) else ''}\naborted\n")
            os._exit(AbortedError.exit_code)
        if not self.signal_number and distributed.is_main() and launcher() != "fusetrain":
            again = "; ^C again ends it at once" if number == signal.SIGINT else ""
            tell(f"\n{signal.Signals(number).name}: stopping after this step{again}\n")
        self.signal_number = number
        self.received.add(number)


def tell(text: str) -> None:
    """Write to the error stream at once, as a signal handler may."""
    with suppress(OSError):
        os.write(STDERR, text.encode())


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Note stop signals while the context lasts, then restore what was there before.

    Outside the main thread no handler can be set, and the flag stays as it is.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    names = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, flag) for number in numbers}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
