"""Signals that come to the launcher: noted when they come, passed on to the ranks.

Ranks live in sessions of their own, so that ^C reaches the launcher alone and each rank once.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from fusetrain.engine.signals import tell
from fusetrain.errors import AbortedError, StoppedError
from fusetrain.interrupts import nothing_was_begun

PASSED_ON = ("SIGINT", "SIGTERM", "SIGUSR1")


class Watch:
    """Notes the signals that come to the launcher; the agent passes them on to its ranks."""

    def __init__(self) -> None:
        self.signal_number = 0
        self.pids: tuple[int, ...] = ()
        self._told: set[int] = set()
        self._interrupts = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note a signal (a handler for `signal.signal`); a second SIGINT ends all at once."""
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            for pid in self.pids:
                _send(pid, signal.SIGKILL)
            tell("\naborted\n")
            os._exit(AbortedError.exit_code)
        name = signal.Signals(number).name
        if not self.signal_number:
            again = "; ^C again ends it at once" if number == signal.SIGINT else ""
            tell(f"\n{name}: stopping after this step{again}\n")
        self.signal_number = number
        if not self.pids:
            raise self.early()

    def early(self) -> StoppedError:
        """Return the error of a stop that came before any rank could note it."""
        return nothing_was_begun(signal.Signals(self.signal_number).name)

    def pass_on(self) -> None:
        """Send the signal, if one came, to the ranks that have not had it."""
        for pid in self.pids:
            if self.signal_number and pid not in self._told:
                self._told.add(pid)
                _send(pid, self.signal_number)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note signals while the context lasts."""
        numbers = [getattr(signal, name) for name in PASSED_ON if hasattr(signal, name)]
        before = {number: signal.signal(number, self) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
