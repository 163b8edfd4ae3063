"""The one thread that writes files while the training goes on, one job at a time.

It must run no torch operation that computes: those start threads of their own beside the training.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Writer:
    """Writes files in the background, one job at a time, in order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._job: Future[None] | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Wait for the job before, raise what it raised, then start this one."""
        self.wait()
        self._job = self._pool.submit(job)

    def wait(self) -> None:
        """Wait until everything submitted is on the disk; raise what went wrong."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def close(self) -> None:
        """Wait, then end the thread."""
        try:
            self.wait()
        finally:
            self._pool.shutdown()
