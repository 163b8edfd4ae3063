"""Find and read files of a data set: regular ones of sane size, read-only.

Nothing here knows what the files hold. Special files (FIFOs, devices) are refused before they can
block or flood the reader.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

RETRIED_ERRNOS = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
RETRY_PAUSES_S = (0.05, 0.2, 0.8)


def walk_files(root: Path, folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield the files below a folder, recursively; hidden ones and loops of links are left out."""
    pending = [os.path.join(root, folder) if folder else os.fspath(root)]
    seen = set()
    while pending:
        current = pending.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    pending.append(entry.path)
                else:
                    yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether there is a folder; a link to itself is a file that cannot be read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def relative_files(root: Path, folder: str, *, suffixes: frozenset[str]) -> list[str]:
    """Return the files below a folder as paths relative to the root, with forward slashes.

    Args:
        root: Absolute root.
        folder: Folder below the root; files in its subfolders count.
        suffixes: Accepted suffixes, in lower case with their dot.
    """
    start = len(os.fspath(root)) + 1
    return [
        entry.path[start:].replace(os.sep, "/")
        for entry in walk_files(root, folder)
        if os.path.splitext(entry.name)[1].lower() in suffixes
    ]


def open_regular(path: str | os.PathLike[str], *, max_bytes: int) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        OSError: It cannot be opened; EINVAL if it is no regular file, EFBIG if it is too large.
    """
    return open(_opened_regular(path, max_bytes)[0], "rb")


def _opened_regular(path: str | os.PathLike[str], max_bytes: int) -> tuple[int, int]:
    """Return the descriptor of a regular file of sane size, and its size."""
    # Without O_NONBLOCK the opening of a FIFO would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        if status.st_size > max_bytes:
            size, limit = status.st_size / 2**20, max_bytes / 2**20
            raise OSError(errno.EFBIG, f"{size:.0f} MiB exceed the limit of {limit:.0f} MiB")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, status.st_size


def read_bytes(path: str | os.PathLike[str], *, max_bytes: int) -> bytes:
    """Read a regular file; errors that network file systems recover from are tried again.

    Raises:
        OSError: As `open_regular`, or still failing after the last pause.
    """
    for pause_s in RETRY_PAUSES_S:
        try:
            return _read_regular(path, max_bytes)
        except OSError as error:
            if error.errno not in RETRIED_ERRNOS:
                raise
            time.sleep(pause_s)
    return _read_regular(path, max_bytes)


def _read_regular(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Return the content of a regular file; a buffer around it would only cost time."""
    descriptor, size = _opened_regular(path, max_bytes)
    try:
        parts = []
        while part := os.read(descriptor, size + 1):
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(descriptor)
