"""Run a function over many items in child processes, and survive children that crash or hang.

The order of the results is the order of the items, whatever the number of processes. Only a bounded
number of items is on its way at any time. Nothing here knows what is computed.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from fusetrain import environment
from fusetrain.checks.flow.pool_child import IDLE, ONE_THREAD, TwoSteps, serve
from fusetrain.errors import ResourceError

CHUNK = 16
TIMEOUT_S = 30.0
# Chunks on their way for each child: enough that one slow item does not stop the others.
LOOK_AHEAD = 16
# A crash may be bad luck (the memory went to somebody else), so each item gets a second child.
ATTEMPTS = 2
POLL_S = 1.0
LEAVE_S = 2.0
START_S = 120.0
MAX_FALSE_STARTS = 5

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_contained(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    crashed: Callable[[Item], Result],
    hung: Callable[[Item], Result] | None = None,
    workers: int,
    timeout_s: float = TIMEOUT_S,
    chunk: int = CHUNK,
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for every item, in order.

    The arguments, and what is raised, are those of `run_in_blocks`.
    """
    blocks = run_in_blocks(
        function,
        items,
        crashed=crashed,
        hung=hung,
        workers=workers,
        timeout_s=timeout_s,
        chunk=chunk,
    )
    with closing(blocks):
        for block in blocks:
            yield from block


def run_in_blocks(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    crashed: Callable[[Item], Result],
    hung: Callable[[Item], Result] | None = None,
    workers: int,
    timeout_s: float = TIMEOUT_S,
    chunk: int = CHUNK,
) -> Generator[Sequence[Result], None, None]:
    """Yield ``function(item)`` for every item, in order, as the sequences that children send.

    Args:
        function: A function of a module; what it raises ends the whole run. The second step of
            `TwoSteps` decides what a sequence is; a list where some of its items were lost.
        items: Picklable items; may be made when they are asked for.
        crashed: Gives the result of an item whose child died twice; runs in this process.
        hung: The same for an item that twice took longer than ``timeout_s``; ``crashed`` if None.
        workers: Child processes, 1 or more.
        timeout_s: Longest time for one item, s.
        chunk: Items that a child is sent at once; small ones keep all children busy to the end.

    Raises:
        ResourceError: Child processes cannot be started here.
    """
    size = max(1, min(chunk, -(-len(items) // (2 * workers))))
    crew = _Crew(function, workers=min(workers, -(-len(items) // size)), timeout_s=timeout_s)
    try:
        yield from _in_order(crew, items, size=size, crashed=crashed, hung=hung or crashed)
    finally:
        crew.dismiss()


def default_workers() -> int:
    """Return the number of cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@dataclass
class _Job(Generic[Item, Result]):
    """A chunk of items and what is known of their results."""

    items: Sequence[Item]
    parts: list[tuple[Sequence[int], Sequence[Result]]] = field(default_factory=list)
    losses: dict[int, int] = field(default_factory=dict)

    @property
    def open_items(self) -> list[tuple[int, Item]]:
        known = {number for numbers, _ in self.parts for number in numbers}
        return [pair for pair in enumerate(self.items) if pair[0] not in known]

    @property
    def is_done(self) -> bool:
        return sum(len(numbers) for numbers, _ in self.parts) == len(self.items)

    def blocks(self) -> Iterator[Sequence[Result]]:
        """Yield all results in the order of the items; as they came where they came in order."""
        parts = sorted(self.parts, key=lambda part: part[0][0])
        numbers = [number for own, _ in parts for number in own]
        if numbers == list(range(len(numbers))):
            yield from (results for _, results in parts)
            return
        single = [pair for own, results in parts for pair in zip(own, results, strict=True)]
        yield [result for _, result in sorted(single, key=lambda pair: pair[0])]


def _in_order(
    crew: _Crew[Item, Result],
    items: Sequence[Item],
    *,
    size: int,
    crashed: Callable[[Item], Result],
    hung: Callable[[Item], Result],
) -> Iterator[Sequence[Result]]:
    """Keep all children busy and yield the results of the chunks in their order."""
    ahead: deque[_Job[Item, Result]] = deque()
    waiting: deque[_Job[Item, Result]] = deque()
    start = 0
    while start < len(items) or ahead:
        while start < len(items) and len(ahead) < LOOK_AHEAD * crew.size:
            ahead.append(_Job([items[row] for row in range(start, min(start + size, len(items)))]))
            waiting.append(ahead[-1])
            start += size
        while waiting and crew.has_idle:
            crew.give(waiting.popleft())
        for job, position, was_hung in crew.losses():
            if position >= 0:
                job.losses[position] = job.losses.get(position, 0) + 1
                if job.losses[position] >= ATTEMPTS:
                    verdict = hung if was_hung else crashed
                    job.parts.append(([position], [verdict(job.items[position])]))
            if not job.is_done:
                waiting.appendleft(job)
        while ahead and ahead[0].is_done:
            yield from ahead.popleft().blocks()


@dataclass
class _Child(Generic[Item, Result]):
    """A process, the pipe to it, and where it stands in its job."""

    process: Any
    pipe: Connection
    reached: Any  # shared integer: the item in work, IDLE before the first
    job: _Job[Item, Result] | None = None
    seen: int = IDLE
    since_s: float = 0.0


class _Crew(Generic[Item, Result]):
    """The child processes of one run; lost ones are replaced."""

    def __init__(
        self, function: Callable[[Item], Result], *, workers: int, timeout_s: float
    ) -> None:
        self.size = workers
        self._function = function
        self._timeout_s = timeout_s
        self._context = _context(function)
        self._children: list[_Child[Item, Result]] = []
        self._false_starts = 0

    @property
    def has_idle(self) -> bool:
        """Return whether a child is free, or one more can be started."""
        return len(self._children) < self.size or any(c.job is None for c in self._children)

    def give(self, job: _Job[Item, Result]) -> None:
        """Send a job to a free child; whether it arrived shows in `losses`."""
        free = [child for child in self._children if child.job is None]
        child = free[0] if free else self._start()
        child.job, child.seen, child.since_s = job, IDLE, time.monotonic()
        child.reached.value = IDLE
        with suppress(OSError):  # a child that died is found by `losses`
            child.pipe.send(job.open_items)

    def losses(self) -> Iterator[tuple[_Job[Item, Result], int, bool]]:
        """Wait for news, take in results, and yield what was lost.

        Yields:
            The job of a lost child, the item it was at (IDLE: at none) and whether it hung.
        """
        pipes = {child.pipe: child for child in self._children if child.job is not None}
        for pipe in wait(list(pipes), timeout=min(POLL_S, self._timeout_s / 4)):
            child = pipes[pipe]  # type: ignore[index]
            if not self._receive(child):
                yield self._bury(child, was_hung=False)
        now = time.monotonic()
        for child in [child for child in self._children if child.job is not None]:
            if child.seen != child.reached.value:
                child.seen, child.since_s = child.reached.value, now
            elif now - child.since_s > (START_S if child.seen == IDLE else self._timeout_s):
                yield self._bury(child, was_hung=True)

    def dismiss(self) -> None:
        """End all children; one that is busy is ended at once."""
        for child in self._children:
            child.pipe.close()
            if child.job is not None:
                child.process.kill()
        for child in self._children:
            child.process.join(LEAVE_S)
        self._children.clear()

    def _start(self) -> _Child[Item, Result]:
        ours, theirs = self._context.Pipe()
        reached = self._context.RawValue("q", IDLE)
        process = self._context.Process(
            target=serve, args=(self._function, theirs, reached), daemon=True
        )
        try:
            with environment.variables(ONE_THREAD), environment.without_main():
                process.start()
        except OSError as error:
            raise ResourceError(f"no child process can be started: {error}") from error
        theirs.close()
        child: _Child[Item, Result] = _Child(process, ours, reached)
        self._children.append(child)
        return child

    def _receive(self, child: _Child[Item, Result]) -> bool:
        """Take in a message; False where the child is gone."""
        assert child.job is not None
        try:
            numbers, results, error = child.pipe.recv()
        except (EOFError, OSError):
            return False
        if error is not None:
            raise error
        child.job.parts.append((numbers, results))
        child.since_s = time.monotonic()
        self._false_starts = 0
        if child.job.is_done:
            child.job = None
        return True

    def _bury(
        self, child: _Child[Item, Result], *, was_hung: bool
    ) -> tuple[_Job[Item, Result], int, bool]:
        job, position = child.job, int(child.reached.value)
        assert job is not None
        child.process.kill()
        child.process.join(LEAVE_S)  # one that waits for a dead server may not even be killed
        child.pipe.close()
        self._children.remove(child)
        self._false_starts += position == IDLE
        if self._false_starts > MAX_FALSE_STARTS:
            raise ResourceError(
                "child processes end before they begin to work",
                remedy="more memory or more processes for this user; or a smaller --workers",
            )
        return job, position, was_hung


def _context(function: Callable[[Item], Result]) -> Any:
    """Return how children start: from a server without threads or torch where there is one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    first = function.first if isinstance(function, TwoSteps) else function
    context.set_forkserver_preload([__name__, first.__module__])
    return context
