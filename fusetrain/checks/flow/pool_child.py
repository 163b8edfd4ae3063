"""The child's side of `pool.py`: take jobs from a pipe, say which item is in work, send results.

A child ignores Ctrl-C, as the parent decides what that means, and leaves when its pipe closes. It
offers itself to the kernel when memory runs out, so that the parent lives on.
"""

from __future__ import annotations

import gc
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from fusetrain.allocator import keep_small_blocks

IDLE = -1
FLUSH_S = 0.5
# New objects before garbage is looked for; nearly all go by themselves.
GARBAGE_OBJECTS = 20_000
# Children are one a core.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Item = TypeVar("Item")
Part = TypeVar("Part")
Result = TypeVar("Result")


@dataclass(frozen=True)
class TwoSteps(Generic[Item, Part, Result]):
    """A function that does part of its work on many items at once.

    Attributes:
        first: What is done with each item; whatever may crash or hang.
        rest: Gives the results of one or more items from what `first` gave of them.
    """

    first: Callable[[Item], Part]
    rest: Callable[[Sequence[Part]], Sequence[Result]]

    def __call__(self, item: Item) -> Result:
        """Return the result of one item."""
        return self.rest([self.first(item)])[0]


def serve(function: Callable[[Item], Result], pipe: Connection, reached: Any) -> None:
    """Work on jobs until the pipe closes; the body of a child process.

    Args:
        function: What is done with each item.
        pipe: Brings lists of (number, item); takes (numbers, their results, error or None).
        reached: Shared integer, set to the number of each item before it is begun.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What Pillow warns of is found, or harmless; it must not run through somebody's progress bar.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("800")
    keep_small_blocks()
    gc.freeze()  # modules are not garbage; what is collected is only what the work leaves behind
    gc.set_threshold(GARBAGE_OBJECTS)
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            _work(function, pipe, reached)


def _work(function: Callable[[Item], Result], pipe: Connection, reached: Any) -> None:
    """Do one job; results are sent every half a second, so that little is lost in a crash."""
    job: list[tuple[int, Item]] = pipe.recv()
    for results in _results(function, job, reached):
        pipe.send(results)


def _results(
    function: Callable[[Item], Result], job: Sequence[tuple[int, Item]], reached: Any
) -> Iterator[tuple[list[int], Sequence[Result], Exception | None]]:
    """Yield numbers and results; the last time maybe none and what was raised."""
    first = function.first if isinstance(function, TwoSteps) else function
    parts: dict[int, Any] = {}
    flushed_s = time.monotonic()
    try:
        for number, item in job:
            reached.value = number
            parts[number] = first(item)
            if time.monotonic() - flushed_s > FLUSH_S:
                yield list(parts), _finished(function, parts), None
                parts, flushed_s = {}, time.monotonic()
        if parts:
            yield list(parts), _finished(function, parts), None
    except MemoryError:
        os._exit(1)  # as if the kernel had ended it
    except Exception as error:
        error.add_note(traceback.format_exc())
        yield [], [], error


def _finished(function: Callable[[Item], Result], parts: dict[int, Any]) -> Sequence[Result]:
    done = list(parts.values())
    return function.rest(done) if isinstance(function, TwoSteps) else done
