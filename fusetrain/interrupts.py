"""Signals that come before a run has begun: the command ends at once, and says that nothing was.

Not in the middle of an import: an exception there may leave the import system locked, so that a
thread that imports, and whoever waits for that, would stand still for good. Nor while a process or
a thread is started, which would then complain of what it was not told. The signal is sent again a
moment later.
"""

from __future__ import annotations

import _thread
import multiprocessing.process
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fusetrain.errors import StoppedError

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGBREAK")
AGAIN_SECONDS = 0.05
IMPORTING = "<frozen importlib"
STARTING = (
    multiprocessing.process.BaseProcess.start.__code__,
    threading.Thread.start.__code__,
)


@contextmanager
def nothing_begun() -> Iterator[list[str]]:
    """Let a signal end what is done in this context; outside the main thread nothing changes.

    Yields:
        The names of the signals that came.

    Raises:
        StoppedError: One did. A second one is met as it was before.
    """
    came: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if _is_at_it(frame):
            _thread.start_new_thread(_send_again, (number,))  # takes no lock of threading's
            return
        came.append(signal.Signals(number).name)
        restore()
        raise nothing_was_begun(came[0])

    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.signal(number, stop) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield came
    finally:
        restore()
    if came:  # its exception was lost, as in a finalizer
        raise nothing_was_begun(came[0])


def nothing_was_begun(name: str) -> StoppedError:
    """Return the error of a signal that came before a run had begun."""
    return StoppedError(f"{name} came: nothing was begun", remedy="the same command again")


def _send_again(number: int) -> None:
    time.sleep(AGAIN_SECONDS)
    os.kill(os.getpid(), number)


def _is_at_it(frame: FrameType | None) -> bool:
    """Return whether a module is being imported, or a process or a thread started."""
    while frame is not None:
        if frame.f_code in STARTING or frame.f_code.co_filename.startswith(IMPORTING):
            return True
        frame = frame.f_back
    return False
