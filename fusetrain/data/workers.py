"""Batches read ahead by forked workers, delivered in order through shared memory.

Workers are replaced when they die or hang, and are gone when the iteration ends, however it ends.
What one of them does is told in `worker_process.py`, what a batch holds in `loader.py`.
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Generator
from dataclasses import dataclass

from fusetrain.data.worker_process import PREFETCH, BatchSource, Worker
from fusetrain.errors import FusetrainError, Problem, ResourceError
from fusetrain.sample import Batch

KILLED = f"ended with code {-signal.SIGKILL}" if hasattr(signal, "SIGKILL") else ""


@dataclass(frozen=True)
class Patience:
    """What is put up with from loader processes.

    Attributes:
        silent_seconds: Seconds without an answer after which a worker is replaced.
        max_restarts: Workers that are replaced in one iteration.
    """

    silent_seconds: float = 120.0
    max_restarts: int = 3


PATIENT = Patience()


def can_fork() -> bool:
    """Return whether there can be workers; off Linux, forking beside threads is not safe."""
    return sys.platform == "linux"


def read_here(
    source: BatchSource, *, pin_memory: bool, first: int = 0
) -> Generator[Batch | FusetrainError, None, None]:
    """Yield the batches of a source in order, from the ``first`` on, read in this process."""
    for number in range(first, len(source)):
        result = source.read(number)
        source.learn(source.take_news())
        yield result.pin_memory() if pin_memory and isinstance(result, Batch) else result


def read_ahead(
    source: BatchSource,
    *,
    workers: int,
    slot_bytes: int,
    pin_memory: bool,
    patience: Patience = PATIENT,
) -> Generator[Batch | FusetrainError, None, None]:
    """Yield all batches of a source in order, computed by forked workers.

    A worker that dies or is silent is replaced and does its batches again; a pair at which that
    happens twice is left out. Once too many are lost, the rest is read in this process, where that
    is safe: where the workers were killed from outside, as for want of memory.

    Args:
        source: What is read.
        workers: Number of processes, at least 1.
        slot_bytes: Size of the pixels of the largest batch.
        pin_memory: Yield batches in page-locked memory.
        patience: How long a worker may be silent, how many may be lost.

    Raises:
        DataError: Workers were lost twice at one pair, which may not be left out.
        ResourceError: Too many workers broke down by themselves.
    """
    crew: list[Worker] = []
    losses = _Losses(source, patience.max_restarts)
    try:
        try:
            crew += (
                Worker(source, slot_bytes, patience.silent_seconds)
                for _ in range(min(workers, len(source)))
            )
        except OSError as error:
            warnings.warn(
                f"no memory to share with {workers} loader workers ({error}); reading in this "
                "process, as --set train.workers=0 does",
                RuntimeWarning,
                stacklevel=2,
            )
            yield from read_here(source, pin_memory=pin_memory)
            return
        ahead = PREFETCH * len(crew)
        for number in range(min(ahead, len(source))):
            crew[number % len(crew)].ask(number)
        for number in range(len(source)):
            worker = crew[number % len(crew)]
            while not worker.is_ready():
                if losses.are_too_many(worker):
                    yield from read_here(source, pin_memory=pin_memory, first=number)
                    return
                worker.restart()
            yield worker.take(pin_memory=pin_memory)
            if number + ahead < len(source):
                worker.ask(number + ahead)
    finally:
        for worker in crew:
            worker.dismiss()
        for worker in crew:
            worker.end()


class _Losses:
    """The workers that were lost in one iteration, and what follows from each."""

    def __init__(self, source: BatchSource, most: int) -> None:
        self._source = source
        self._most = most
        self._rows: list[int] = []
        self._faults: list[str] = []

    def are_too_many(self, worker: Worker) -> bool:
        """Warn of a lost worker; return whether the rest has to be read in this process.

        Raises:
            DataError: It is the second at one pair, which may not be left out.
            ResourceError: It is one too many, and the main process would not survive either.
        """
        row, fault = worker.reached(), worker.fault()
        where = f"at {self._source.name(row)}" if row >= 0 else "before its first pair"
        told = f"a loader worker {fault} {where}"
        if row >= 0 and row in self._rows:
            self._source.leave_out(row, fault)
            place = self._rows.index(row)
            del self._rows[place], self._faults[place]
            _warn(f"{told}, as one did before; the pair is left out from now on")
            return False
        self._rows.append(row)
        self._faults.append(fault)
        if len(self._rows) <= self._most:
            _warn(f"{told}; it is replaced")
            return False
        if any(fault != KILLED for fault in self._faults):
            raise self._broken()
        _warn(f"{told}; reading in this process from now on")
        return True

    def _broken(self) -> ResourceError:
        lost = zip(self._rows, self._faults, strict=True)
        return ResourceError(
            f"{len(self._rows)} loader workers were lost in one epoch",
            problems=[
                Problem(fault, where=self._source.name(row) if row >= 0 else "")
                for row, fault in lost
            ],
            expected="workers that answer, and images that no decoder breaks down at",
            remedy="`fusetrain check-data DATA` decodes every image in a process of its own; a "
            "slow disk needs a larger `train.worker_timeout`; then `fusetrain resume`",
        )


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=4)
