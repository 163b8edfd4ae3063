"""What is needed soon, done in a thread while something else is waited for.

Processes started meanwhile must not be forks of this one: another thread is at work. Modules may be
imported in both threads, as no two of ours import each other.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from types import TracebackType
from typing import Generic, TypeVar

from fusetrain.errors import StoppedError

T = TypeVar("T")


class Ahead(Generic[T]):
    """A function that is called, and modules that are imported after it, within a ``with``.

    At the end of the ``with`` all of it is done. If the function raised, so does the end, whatever
    else was raised: what is told does not depend on who was first. After another error no more
    modules are imported.
    """

    def __init__(self, function: Callable[[], T], modules: Sequence[str] = ()) -> None:
        """Take what is to be done; nothing begins yet.

        Args:
            function: Called first.
            modules: Names of modules; one that cannot be imported is left to whoever needs it.
        """
        self._function = function
        self._modules = modules
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._is_found = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="ahead")

    def __enter__(self) -> Ahead[T]:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the end; after an interrupt or a signal for nothing."""
        self._is_stopped = kind is not None
        if kind is None or (issubclass(kind, Exception) and not issubclass(kind, StoppedError)):
            self.result()
        if kind is None:
            self._thread.join()

    def check(self) -> None:
        """Raise what the function raised, if it did so far."""
        if self._error is not None:
            raise self._error

    def result(self) -> T:
        """Return what the function returned, as soon as it has; or raise what it raised."""
        self._is_found.wait()
        self.check()
        return self._found[0]

    def _run(self) -> None:
        with _without_collecting():
            try:
                self._found.append(self._function())
            except BaseException as error:
                self._error = error
            finally:
                self._is_found.set()
            for name in self._modules:
                if self._is_stopped or self._error is not None:
                    return
                with suppress(Exception):  # or the program ends meanwhile
                    import_module(name)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Look for no garbage: what an import makes stays, and looking takes a fifth of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
