"""Files that are replaced so that no instant of a crash leaves less than the old or the new one.

A file is written beside its place, flushed to the disk, read back and compared; only then it takes
the name. What is written is the business of the callers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fusetrain.errors import ResourceError
from fusetrain.failpoints import failpoint

Parts = Sequence[bytes | memoryview]
READ_BYTES = 1 << 20


def write_durably(path: Path, data: bytes | Parts, *, previous: Path | None = None) -> None:
    """Put ``data`` at ``path`` so that a crash leaves the old file or the new one, never a part.

    Args:
        path: Where the file goes.
        data: What it holds, whole or part behind part.
        previous: Name under which the old file is kept.

    Raises:
        ResourceError: The disk is full or refuses; the old file is untouched.
    """
    parts = [data] if isinstance(data, bytes) else data
    temporary = temporary_of(path)
    try:
        _write(temporary, parts, name=path.name)
        if not _reads_back(temporary, parts):
            raise OSError("what was read back is not what was written")
        failpoint(f"{path.name}:verified")
        if previous is not None and path.exists():
            link_durably(path, previous)
        temporary.replace(path)
        failpoint(f"{path.name}:renamed")
        sync_folder(path.parent)
        failpoint(f"{path.name}:durable")
    except OSError as error:
        temporary.unlink(missing_ok=True)
        needed = sum(len(part) for part in parts)
        raise ResourceError(
            f"{path} cannot be written ({needed} bytes): {error}",
            remedy="free disk space, then `fusetrain resume` the run; the last saved state is kept",
        ) from error


def temporary_of(path: Path) -> Path:
    """Return the name under which a file is written before it takes its place."""
    return path.with_name(f".{path.name}.tmp")


def link_durably(path: Path, other: Path) -> None:
    """Give the file at ``path`` the second name ``other``, in one step."""
    if other.exists() and other.samefile(path):
        return  # a rename between two names of one file would do nothing and leave both
    temporary = temporary_of(other)
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:  # the file system has no hard links
        temporary.write_bytes(path.read_bytes())
    failpoint(f"{other.name}:linked")
    temporary.replace(other)
    failpoint(f"{other.name}:renamed")


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable, where the system offers it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, parts: Parts, *, name: str) -> None:
    failpoint(f"{name}:begun")
    with path.open("wb") as file:
        failpoint(f"{name}:opened")
        for number, part in enumerate(parts):
            rest = memoryview(part)
            if number == len(parts) // 2:
                half = len(rest) // 2
                file.write(rest[:half])
                failpoint(f"{name}:half-written")
                rest = rest[half:]
            file.write(rest)
        failpoint(f"{name}:written")
        file.flush()
        failpoint(f"{name}:flushed")
        os.fsync(file.fileno())
        failpoint(f"{name}:synced")


def _reads_back(path: Path, parts: Parts) -> bool:
    """Return whether a file holds what was written, all of it and nothing else."""
    with path.open("rb", buffering=READ_BYTES) as file:
        for part in parts:
            for start in range(0, len(part), READ_BYTES):
                piece = bytes(part[start : start + READ_BYTES])
                if file.read(len(piece)) != piece:
                    return False
        return not file.read(1)
