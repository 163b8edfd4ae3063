"""Makes the files of `disk_cache.py`: one process builds, the others wait.

A file is written beside its place under a name that says it is partial, and is renamed when every
byte is on disk. The kernel frees the lock of a process that dies, whatever killed it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.cache import IS_FILLED, OFFSET
from fusetrain.data.decode import ImageError
from fusetrain.data.disk_cache import (
    COLUMNS,
    HEAD_BYTES,
    PAGE,
    DamagedCacheError,
    DiskCache,
    cache_key,
    file_name,
    head_bytes,
)
from fusetrain.data.disk_fill import fill_pairs
from fusetrain.data.image import read_header
from fusetrain.data.reader import PairReader
from fusetrain.errors import DataError, ResourceError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PLACE_REMEDY = "name another folder by `prepare cache --out` or the variable FUSETRAIN_CACHE"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BuiltCache:
    """A cache file that is there now.

    Attributes:
        cache: The file, opened.
        was_there: It had been made before.
        num_unreadable: Pairs whose images cannot be read; they are not in it.
    """

    cache: DiskCache
    was_there: bool
    num_unreadable: int


def default_folder() -> Path:
    """Return where cache files lie: FUSETRAIN_CACHE, else ``~/.cache/fusetrain``."""
    given = os.environ.get("FUSETRAIN_CACHE")
    return Path(given).expanduser() if given else Path("~/.cache/fusetrain").expanduser()


def open_or_build(
    reader: PairReader,
    folder: Path,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    announce: Callable[[str], None] | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> BuiltCache | None:
    """Return the cache file that fits a reader, made now where it is missing or damaged.

    Args:
        reader: Reads the pairs; its own cache is not looked at.
        folder: Where cache files lie; never inside the data set.
        workers: Threads that decode.
        progress: Is told the pairs that are done and their total.
        announce: Is told in a sentence where the file lies and how large it is or will be.
        interrupted: Asked now and then; once true, nothing is built.

    Returns:
        The file, or None where building was interrupted.

    Raises:
        DataError: The folder is inside the data set, or images changed while they were read.
        ResourceError: The disk is full, or the folder cannot be written.
    """
    _refuse_inside(folder, Path(reader.index.root))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        key = cache_key(reader)
        path = folder / file_name(reader, key)
        found = _opened(path, key)
        if found is None:
            with _lock(path, interrupted) as is_held:
                if not is_held:
                    return None
                found = _opened(path, key)
                if found is None:
                    job = _Job(reader, path, key, workers, progress, announce, interrupted)
                    return job.build()
        if announce is not None:
            announce(f"cache of {reader.index.split}: {found.cache.num_bytes / 1e9:.2f} GB, {path}")
        return found
    except OSError as error:
        raise _as_resource_error(error, folder) from error


def cache_bytes(reader: PairReader) -> int:
    """Return how large the cache file of a reader is, from the headers of its images."""
    table = _layout(reader)
    return _end(table)


def _refuse_inside(folder: Path, root: Path) -> None:
    inside, outside = os.path.realpath(folder), os.path.realpath(root)
    if os.path.commonpath([inside, outside]) == outside:
        raise DataError(
            "the cache may not lie inside the data set, which is never written to",
            where=str(folder),
            remedy=PLACE_REMEDY,
        )


def _opened(path: Path, key: str) -> BuiltCache | None:
    """Return the file if it is there and sound."""
    try:
        cache = DiskCache(path)
        if cache.header["key"] != key:
            raise DamagedCacheError("it was made from other images")
        return BuiltCache(cache, was_there=True, num_unreadable=cache.header["unreadable"])
    except FileNotFoundError:
        return None
    except (DamagedCacheError, ValueError, KeyError) as error:
        warnings.warn(f"{path} is made anew: {error}", RuntimeWarning, stacklevel=3)
        return None


@contextmanager
def _lock(path: Path, interrupted: Callable[[], bool]) -> Iterator[bool]:
    """Hold the lock of a cache file; False where the waiting was interrupted."""
    with path.with_name(f".{path.stem}.lock").open("ab") as file:
        while not interrupted():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.2)
                continue
            # What others that died have left of this file; the lock tells that none is alive.
            for leftover in path.parent.glob(f"{path.stem}.partial-*"):
                leftover.unlink(missing_ok=True)
            yield True
            return
        yield False


@dataclass(frozen=True)
class _Job:
    """One file that is to be made by this process, which holds its lock."""

    reader: PairReader
    path: Path
    key: str
    workers: int
    progress: Progress | None
    announce: Callable[[str], None] | None
    interrupted: Callable[[], bool]

    def build(self) -> BuiltCache | None:
        table = _layout(self.reader)
        num_bytes = _end(table)
        _require_space(self.path.parent, num_bytes)
        if self.announce is not None:
            self.announce(
                f"cache of {self.reader.index.split}: decoding {len(table)} pairs once into "
                f"{num_bytes / 1e9:.2f} GB, {self.path}"
            )
        staging = self.path.with_name(f"{self.path.stem}.partial-{os.getpid()}")
        try:
            with staging.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, num_bytes)
            if not self._fill(staging, table):
                return None
            if cache_key(self.reader) != self.key:
                raise DataError(
                    "images changed while the cache was built from them",
                    where=self.reader.index.root,
                    remedy="run the command again when the data set is at rest",
                )
            unreadable = len(table) - int(table[:, IS_FILLED].sum())
            _finish(staging, self.path, table, {"key": self.key, "unreadable": unreadable})
        finally:
            staging.unlink(missing_ok=True)
        return BuiltCache(DiskCache(self.path), was_there=False, num_unreadable=unreadable)

    def _fill(self, staging: Path, table: NDArray[np.int64]) -> bool:
        """Write all pairs and complete the table; False where it was interrupted."""
        rows = np.flatnonzero(table[:, 1]).tolist()
        bare = replace(self.reader, cache=None)
        with closing(fill_pairs(bare, staging, table, rows, workers=self.workers)) as pairs:
            for done, (row, crc) in enumerate(pairs, start=1):
                if crc is not None:
                    table[row, IS_FILLED:] = (1, crc)
                if self.progress is not None:
                    self.progress(done, len(rows))
                if self.interrupted():
                    return False
        return True


def _layout(reader: PairReader) -> NDArray[np.int64]:
    """Return the table of contents, nothing filled yet; unreadable pairs take no room."""
    table = np.zeros((len(reader.index), COLUMNS), np.int64)
    for row in range(len(table)):
        with suppress(ImageError):
            path, storage = reader.index.rgb_path(row), reader.index.storage
            original_hw = read_header(path, storage=storage).size_hw
            table[row, 1:IS_FILLED] = (*reader.working_size(original_hw), 4, *original_hw)
    sizes = -(-table[:, 1:4].prod(axis=1) // PAGE) * PAGE
    table[:, OFFSET] = _data_offset(len(table)) + np.cumsum(sizes) - sizes
    return table


def _table_offset() -> int:
    return -(-(HEAD_BYTES + 4096) // PAGE) * PAGE


def _data_offset(num_pairs: int) -> int:
    return _table_offset() + -(-num_pairs * COLUMNS * 8 // PAGE) * PAGE


def _end(table: NDArray[np.int64]) -> int:
    if not len(table):
        return _data_offset(0)
    last = table[-1]
    return int(last[OFFSET] + -(-last[1:4].prod() // PAGE) * PAGE)


def _require_space(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise ResourceError(
            f"the cache takes {num_bytes / 1e9:.2f} GB, {free / 1e9:.2f} GB are free",
            where=str(folder),
            remedy=f"{PLACE_REMEDY}, or set `train.cache: none`",
        )


def _finish(staging: Path, path: Path, table: NDArray[np.int64], facts: dict[str, object]) -> None:
    """Write table and header, force everything to disk, and give the file its name."""
    header = {
        **facts,
        "pairs": len(table),
        "bytes": _end(table),
        "table_offset": _table_offset(),
        "table_sha256": hashlib.sha256(table.tobytes()).hexdigest(),
    }
    with staging.open("r+b") as file:
        file.seek(_table_offset())
        file.write(table.tobytes())
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        file.write(head_bytes(header))
        file.flush()
        os.fsync(file.fileno())
    staging.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_resource_error(error: OSError, folder: Path) -> ResourceError:
    if error.errno in DISK_FULL:
        return ResourceError(
            f"the disk is full: {error.strerror}", where=str(folder), remedy=PLACE_REMEDY
        )
    return ResourceError(
        f"the cache cannot be written: {error.strerror or error}",
        where=str(folder),
        expected="a folder that may be created and written",
        remedy=PLACE_REMEDY,
    )
