"""The lock of a run folder: one process at a time, and no lock outlives its process.

The file names host, process and when the process started, so that a number that was given to
another process later is not taken for the holder. Looking and taking are one step for processes of
one host, by a lock of the operating system that only lasts for that step.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fusetrain.errors import ResourceError, RunError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_START_TIME_FIELD = 19  # of /proc/PID/stat, counted behind the name of the program


@dataclass(frozen=True)
class Holder:
    """Who holds a run.

    Attributes:
        host: Name of its computer.
        pid: Number of the process.
        started: When the process started, in ticks since the computer did; empty if unknown.
    """

    host: str
    pid: int
    started: str = ""

    @classmethod
    def here(cls) -> Holder:
        """Return this process."""
        return cls(socket.gethostname(), os.getpid(), _start_of(os.getpid()))

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        """Return who is named in a lock file; None where it names nobody."""
        words = text.split()
        if len(words) not in (2, 3) or not (words[1].isascii() and words[1].isdigit()):
            return None
        return cls(words[0], int(words[1]), words[2] if len(words) == 3 else "")

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started}".rstrip()

    def may_live(self) -> bool:
        """Return whether the process is there, or is on another host, where none can see."""
        if self.host != socket.gethostname():
            return True
        if not _is_alive(self.pid):
            return False
        started = _start_of(self.pid)
        if self.started and started:
            return self.started == started
        return self.pid != os.getpid()  # a container gives the same number again and again


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock at ``path`` for this process.

    Raises:
        RunError: Another process holds it, and lives or cannot be seen from here.
        ResourceError: The folder cannot be written.
    """
    mine = str(Holder.here())
    try:
        with alone_with(path) as file:
            text = file.read()
            _refuse_living(text, path)
            file.seek(0)
            file.truncate()
            file.write(mine + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ResourceError(f"{path.parent} cannot be written: {error}") from error
    try:
        yield
    finally:
        _release(path, mine)


def is_held(path: Path) -> bool:
    """Return whether a process that lives, or that cannot be seen from here, holds a lock."""
    with contextlib.suppress(OSError):
        holder = Holder.parse(path.read_text(encoding="utf-8", errors="replace"))
        return holder is not None and holder.may_live()
    return False


def _refuse_living(text: str, path: Path) -> None:
    """Raise if the process that a lock names may be alive."""
    if not text.strip():
        return
    holder = Holder.parse(text)
    if holder is not None and not holder.may_live():
        return
    if holder is None:
        who, remedy = "a lock that cannot be read", f"if no training runs in it, delete {path}"
    elif holder.host == socket.gethostname():
        who = f"process {holder.pid} on this computer ({holder.host})"
        remedy = f"wait for it, or stop it with `kill {holder.pid}`"
    else:
        who = f"process {holder.pid} on {holder.host}, which cannot be seen from here"
        remedy = f"stop it there; if it is gone, delete {path}"
    raise RunError(f"{path.parent} is in use by {who}", remedy=remedy)


@contextlib.contextmanager
def alone_with(path: Path) -> Iterator[IO[str]]:
    """Open a file, made if need be, while no other process of this host has it open so.

    Others wait; this is for what takes a moment.
    """
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
            if fcntl is not None:
                with contextlib.suppress(OSError):  # a file system without such locks
                    fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file):
                yield file
                return


def _is_at(path: Path, file: IO[str]) -> bool:
    """Return whether an open file still is the one of that name; its holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _release(path: Path, mine: str) -> None:
    """Remove the lock if it is still ours; a folder that is gone needs no release."""
    with contextlib.suppress(OSError):
        if not path.exists():
            return
        with alone_with(path) as file:
            if file.read().strip() == mine:
                path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _start_of(pid: int) -> str:
    """Return when a process started; empty where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[_START_TIME_FIELD]
