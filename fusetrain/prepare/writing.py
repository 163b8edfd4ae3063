"""Carries a plan out: a folder beside the target, everything in it, then one rename.

A process that is killed on the way leaves a hidden folder that says it is partial; the next command
with the same target clears it away. The source is opened for reading only.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fusetrain.data.files import read_bytes
from fusetrain.errors import DataError, ResourceError
from fusetrain.prepare.manifest import ManifestRow, write_manifest
from fusetrain.prepare.plans import Plan, PlannedFile
from fusetrain.results.out_place import require_no_file_above

Link = Literal["none", "hard", "symbolic"]
LINKS: tuple[Link, ...] = ("none", "hard", "symbolic")
HOLD = ".writing"
CHUNK = 32
MAX_SOURCE_BYTES = 2**31
# Above this many files one sync of everything is faster than one of each file.
SYNC_SINGLY = 512
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class WrittenSet:
    """A new data set that is complete.

    Attributes:
        folder: Where it is.
        num_files: Files, the manifest included.
        num_bytes: Their size in all; links count as what they lead to.
    """

    folder: Path
    num_files: int
    num_bytes: int


def check_target(out: Path, root: Path) -> Path:
    """Return the absolute target of a new data set.

    Raises:
        DataError: It is in use, or inside the source.
        ResourceError: It lies in a file.
    """
    target = Path(os.path.abspath(out))
    real, source = os.path.realpath(target), os.path.realpath(root)
    if os.path.commonpath([real, source]) == source:
        raise DataError(
            "the new data set may not lie inside the old one",
            where=str(out),
            expected=f"a folder outside {root}",
        )
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(
            "the folder is not empty" if target.is_dir() else "there is a file of this name",
            where=str(out),
            expected="a folder that does not exist yet, or an empty one",
        )
    require_no_file_above(out, flag="--out")
    return target


def write_plan(
    plan: Plan,
    out: Path,
    *,
    link: Link = "none",
    workers: int = 2,
    progress: Progress | None = None,
) -> WrittenSet:
    """Write a new data set as a plan says.

    Args:
        plan: What to write.
        out: A folder that does not exist yet, or an empty one.
        link: hard or symbolic makes links where files would be copied.
        workers: Threads that copy and transform.
        progress: Is told the files that are done and their total.

    Raises:
        DataError: The target is in use or inside the source, or a file cannot be read.
        ResourceError: The target cannot be written, or the disk is full.
    """
    target = check_target(out, plan.spec.root)
    try:
        with _staged(target) as staging:
            _require_space(staging, plan, link)
            writer = _Writer(plan, staging, link)
            rows = list(_written(writer, plan.files, workers=workers, progress=progress))
            write_manifest(plan, staging, rows)
            if len(rows) > SYNC_SINGLY:
                os.sync()
    except OSError as error:
        raise _as_our_error(error, out) from error
    size = sum(row.num_bytes for row in rows)
    return WrittenSet(target, len(rows) + 2, size)


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Give a folder beside the target, and move it there when the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    staging = target.parent / f".{target.name}.partial-{os.getpid()}"
    staging.mkdir()
    try:
        with (staging / HOLD).open("wb") as hold:
            fcntl.flock(hold, fcntl.LOCK_EX)
            yield staging
            _sync_folder(staging)
            os.rename(staging, target)  # onto an empty folder, too; never onto a full one
            (target / HOLD).unlink()
        _sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _clear_leftovers(target: Path) -> None:
    """Remove what killed processes have left for this target.

    Raises:
        DataError: Another process is writing to it.
    """
    for leftover in target.parent.glob(f".{target.name}.partial-*"):
        try:
            with (leftover / HOLD).open("ab") as hold:
                fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(leftover)
        except BlockingIOError as error:
            raise DataError(
                "another process is writing this data set", where=str(target)
            ) from error
        except FileNotFoundError:
            shutil.rmtree(leftover, ignore_errors=True)


def _require_space(staging: Path, plan: Plan, link: Link) -> None:
    copied = sum(file.num_bytes for file in plan.files if link == "none" or not _can_be_link(file))
    free = shutil.disk_usage(staging).free
    if copied > free:
        raise ResourceError(
            f"the new data set takes {copied / 1e9:.2f} GB, {free / 1e9:.2f} GB are free",
            where=str(staging.parent),
            remedy="another --out, or --link hard|symbolic",
        )


def _can_be_link(file: PlannedFile) -> bool:
    return file.text is None and file.transform is None


def _written(
    writer: _Writer, files: Sequence[PlannedFile], *, workers: int, progress: Progress | None
) -> Iterator[ManifestRow]:
    for folder in sorted({os.path.dirname(file.target) for file in files}):
        (writer.staging / folder).mkdir(parents=True, exist_ok=True)
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    done = 0
    executor = ThreadPoolExecutor(workers)
    try:
        for rows in executor.map(writer.write, chunks):
            yield from rows
            done += len(rows)
            if progress is not None:
                progress(done, len(files))
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _Writer:
    """Writes files into the staging folder."""

    def __init__(self, plan: Plan, staging: Path, link: Link) -> None:
        self.staging = staging
        self._root = os.path.join(plan.spec.root, "")
        self._link = link
        self._syncs = len(plan.files) <= SYNC_SINGLY
        self._digests: dict[str, str] = {}

    def write(self, files: Sequence[PlannedFile]) -> list[ManifestRow]:
        try:
            return [self._write(file) for file in files]
        except FileExistsError as error:
            place = str(error.filename2 or error.filename)
            raise DataError(f"two files get one name: {error.strerror}", where=place) from error

    def _write(self, file: PlannedFile) -> ManifestRow:
        target = self.staging / file.target
        if file.text is not None:
            data = file.text.encode("utf-8", "surrogateescape")
            self._put(target, data)
            digest = self._digest_of(file.source) if file.source else ""
            return self._row(file, digest, len(data), "text")
        content = _read_source(file.source)
        digest = hashlib.sha256(content).hexdigest()
        if file.transform is not None:
            data = file.transform.apply(file.source)
            self._put(target, data)
            return self._row(file, digest, len(data), str(file.transform))
        if self._link == "none":
            self._put(target, content)
        elif self._link == "hard":
            os.link(os.path.realpath(file.source), target)
        else:
            os.symlink(os.path.realpath(file.source), target)
        change = "copy" if self._link == "none" else f"{self._link} link"
        return self._row(file, digest, len(content), change)

    def _put(self, target: Path, data: bytes) -> None:
        with target.open("xb") as file:
            file.write(data)
            file.flush()
            if self._syncs:
                os.fsync(file.fileno())

    def _digest_of(self, source: str) -> str:
        """Return the digest of a label file, which may hold the labels of many images."""
        if source not in self._digests:
            self._digests[source] = hashlib.sha256(_read_source(source)).hexdigest()
        return self._digests[source]

    def _row(self, file: PlannedFile, digest: str, size: int, change: str) -> ManifestRow:
        return ManifestRow(file.target, file.source.removeprefix(self._root), digest, size, change)


def _read_source(path: str) -> bytes:
    try:
        return read_bytes(path, max_bytes=MAX_SOURCE_BYTES)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=path) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_our_error(error: OSError, out: Path) -> ResourceError:
    if error.errno in DISK_FULL:
        return ResourceError(
            f"the disk is full: {error.strerror}",
            where=str(out),
            remedy="free some space, another --out, or --link hard|symbolic",
        )
    remedy = "--link symbolic, or none" if error.errno in NO_LINKS else "choose another --out"
    return ResourceError(
        f"the new data set cannot be written: {error.strerror or error}",
        where=str(error.filename2 or error.filename or out),
        remedy=remedy,
    )
