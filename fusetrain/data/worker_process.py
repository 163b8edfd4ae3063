"""One loader process: its pipe, the memory it shares, what it does until it is told to leave.

It ignores the signals that stop a run, and is gone when the main process is. What becomes of one
that dies or hangs is decided in `workers.py`.
"""

from __future__ import annotations

import atexit
import mmap
import multiprocessing
import os
import signal
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from fusetrain.errors import FusetrainError
from fusetrain.sample import Batch

PREFETCH = 2
ORPHAN_SECONDS = 2.0
LEAVE_SECONDS = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@dataclass(frozen=True)
class Slot:
    """Shared memory for one batch.

    Attributes:
        pixels: Where the pixels of the batch are written, one sample behind the other.
        reached: (1,) row of the pair that is being read; negative before the first.
    """

    pixels: NDArray[np.uint8]
    reached: NDArray[np.int64]

    @classmethod
    def allocate(cls, num_bytes: int) -> Slot:
        """Return a slot in anonymous memory, which forked processes share."""
        memory = mmap.mmap(-1, 8 + num_bytes)
        return cls(np.frombuffer(memory, np.uint8, offset=8), np.frombuffer(memory, np.int64, 1))


class BatchSource(Protocol):
    """Batches by number."""

    def __len__(self) -> int: ...

    def read(self, number: int, slot: Slot | None = None) -> Batch | FusetrainError:
        """Return a batch, its pixels in the slot where one is given, or what was wrong."""
        ...

    def take_news(self) -> Any:
        """Return what reading has found out since this was last asked; it has to be picklable."""
        ...

    def learn(self, news: Any) -> None:
        """Take note in the main process of what `take_news` returned, here or in a worker."""
        ...

    def name(self, row: int) -> str:
        """Return how a user knows a pair."""
        ...

    def leave_out(self, row: int, fault: str) -> None:
        """Read a pair no more, in no process: workers were lost at it.

        Raises:
            DataError: It may not be left out.
        """
        ...


class Worker:
    """One process with a pipe for orders and answers and PREFETCH slots for pixels.

    Args:
        source: What it reads.
        slot_bytes: Size of the pixels of the largest batch.
        silent_seconds: Seconds without an answer after which it counts as hanging.

    Raises:
        OSError: There is no memory to share.
    """

    def __init__(self, source: BatchSource, slot_bytes: int, silent_seconds: float) -> None:
        self._source = source
        self._silent_seconds = silent_seconds
        self._slots = [Slot.allocate(slot_bytes) for _ in range(PREFETCH)]
        self._asked: list[int] = []
        self._turn = 0
        self._answer: Any = None
        self._is_silent = False
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, self._source, self._slots, os.getpid()), daemon=True
        )
        with warnings.catch_warnings():
            # From 3.12 on Python warns of every fork beside threads; workers use none of them.
            warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
            # Blocked until the worker ignores them: a signal may come before its first line.
            kept = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
            try:
                self._process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, kept)
        theirs.close()
        # Should the iteration never be closed: multiprocessing would wait for it at exit forever.
        atexit.register(self._process.kill)

    def ask(self, number: int) -> None:
        """Order a batch; at most PREFETCH may be on order."""
        slot = (self._turn + len(self._asked)) % PREFETCH
        self._slots[slot].reached[0] = -1
        self._asked.append(number)
        with suppress(OSError):  # it is dead, which is_ready() finds out
            self._pipe.send((number, slot))

    def is_ready(self) -> bool:
        """Wait for the oldest order; return False when the worker is dead or silent."""
        self._is_silent = not wait(
            [self._pipe, self._process.sentinel], timeout=self._silent_seconds
        )
        if self._is_silent:
            return False
        try:
            self._answer = self._pipe.recv() if self._pipe.poll() else None
        except (EOFError, OSError):
            self._answer = None
        return self._answer is not None

    def take(self, *, pin_memory: bool) -> Batch | FusetrainError:
        """Return a copy of the oldest order, once it is ready; its slot is free again.

        Raises:
            RuntimeError: Reading it failed through a fault of our own.
        """
        slot = self._slots[self._turn]
        self._asked.pop(0)
        self._turn = (self._turn + 1) % PREFETCH
        answer, news = self._answer
        if isinstance(answer, str):
            raise RuntimeError(f"a loader worker failed:\n{answer}")
        self._source.learn(news)
        if isinstance(answer, FusetrainError):
            return answer
        return _unpack(answer, slot, pin_memory=pin_memory)

    def reached(self) -> int:
        """Return the row of the pair in its oldest order at which the worker is, or -1."""
        return int(self._slots[self._turn].reached[0])

    def fault(self) -> str:
        """Return what is wrong with a worker that is not ready."""
        if self._is_silent:
            return f"was silent for {self._silent_seconds:g} s"
        self._process.join(LEAVE_SECONDS)
        return f"ended with code {self._process.exitcode}"

    def restart(self) -> None:
        """Replace the process and order again what it owes."""
        self.dismiss()
        self.end()
        owed, self._asked = self._asked, []
        self._start()
        for number in owed:
            self.ask(number)

    def dismiss(self) -> None:
        """Ask the process to leave."""
        with suppress(OSError):
            self._pipe.send(None)
        self._pipe.close()

    def end(self) -> None:
        """Wait a moment, then kill the process: it ignores SIGTERM and may hang in a read."""
        self._process.join(LEAVE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        atexit.unregister(self._process.kill)


def _work(pipe: Connection[Any, Any], source: BatchSource, slots: list[Slot], parent: int) -> None:
    """Answer orders until the pipe is closed or the main process is gone."""
    for stop in STOP_SIGNALS:
        signal.signal(stop, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    torch.set_num_threads(1)
    try:
        while True:
            # Later workers hold copies of this pipe, so its end alone would not tell.
            while not pipe.poll(ORPHAN_SECONDS):
                if os.getppid() != parent:
                    return
            order = pipe.recv()
            if order is None:
                return
            number, slot = order
            pipe.send((_answer(source, number, slots[slot]), source.take_news()))
    except (EOFError, OSError):
        return


def _answer(source: BatchSource, number: int, slot: Slot) -> dict[str, Any] | FusetrainError | str:
    """Return a packed batch, what a user can mend, or the traceback of our own fault."""
    try:
        result = source.read(number, slot)
    except Exception:
        return traceback.format_exc()
    return result if isinstance(result, FusetrainError) else _pack(result)


def _pack(batch: Batch) -> dict[str, Any]:
    """Return a batch as arrays, of its pixels the shape alone: they are in the slot."""
    packed = {part.name: getattr(batch, part.name).numpy() for part in fields(batch)}
    return {**packed, "pixels": tuple(batch.pixels.shape)}


def _unpack(packed: dict[str, Any], slot: Slot, *, pin_memory: bool) -> Batch:
    shape = packed.pop("pixels")
    pixels = torch.from_numpy(slot.pixels[: int(np.prod(shape))].reshape(shape))
    rest = {name: torch.from_numpy(array) for name, array in packed.items()}
    batch = Batch(pixels=pixels, **rest)
    return batch.pin_memory() if pin_memory else Batch(pixels=pixels.clone(), **rest)
