"""Run a function over many items in child processes, and survive the crash of a child.

The order of the results is the order of the items, whatever the number of processes. Nothing here
knows what is computed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import TypeVar

CHUNK = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_contained(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    crashed: Callable[[Item], Result],
    workers: int,
) -> Iterator[Result]:
    """Yield ``function(item)`` for every item, in order.

    Args:
        function: A function of a module; it must not raise.
        items: Picklable items.
        crashed: Gives the result of an item whose child process died; runs in this process.
        workers: Child processes, 1 or more.
    """
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    with _executor(function, min(workers, max(1, len(chunks)))) as executor:
        futures = [_submit(executor, function, chunk) for chunk in chunks]
        for chunk, future in zip(chunks, futures, strict=True):
            try:
                if future is None:
                    raise BrokenProcessPool
                yield from future.result()
            except BrokenProcessPool:
                yield from _run_singly(function, chunk, crashed=crashed)


def default_workers() -> int:
    """Return the number of cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _run_singly(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    crashed: Callable[[Item], Result],
) -> Iterator[Result]:
    """Yield the results of a chunk that lost its process; every item gets one of its own."""
    for item in items:
        try:
            with _executor(function, 1) as executor:
                yield executor.submit(function, item).result()
        except BrokenProcessPool:
            yield crashed(item)


def _submit(
    executor: ProcessPoolExecutor, function: Callable[[Item], Result], chunk: Sequence[Item]
) -> Future[list[Result]] | None:
    """Submit a chunk; None where the executor is already broken."""
    try:
        return executor.submit(_run_chunk, function, chunk)
    except BrokenProcessPool:
        return None


def _run_chunk(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    return [function(item) for item in chunk]


def _executor(function: Callable[[Item], Result], workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers, mp_context=_context(function), initializer=_ignore_interrupt
    )


def _context(function: Callable[[Item], Result]) -> BaseContext:
    """Return how children start: from a server without threads or torch where there is one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    return context


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
