"""An index as one file that is mapped, not read: a million pairs are there at once.

Processes that map the same file share its pages, and a mapped index that is sent to another process
sends the name of its file alone. Whether a stored index is still true is for the caller to know, by
its fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.index import DatasetIndex, PackedPaths
from fusetrain.data.storage import Storage
from fusetrain.errors import DataError, ResourceError

MAGIC = b"fusetrain index 1\n"
DIGEST_BYTES = 32
LENGTH_BYTES = 8
ALIGNMENT = 64
MAX_HEADER_BYTES = 2**24
BLOCK_BYTES = 2**20
# Fields that are no column, and what makes them from plain values.
PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "split": str,
    "root": str,
    "class_names": tuple,
    "storage": lambda value: Storage(**value),
}


class StoredIndexError(DataError):
    """A file that is no stored index, or a damaged one."""


class MappedIndex(DatasetIndex):
    """An index whose arrays lie in a mapped file.

    Attributes:
        path: The file.
        header_digest: Tells whether another process finds the same file there.
        stored_fingerprint: The fingerprint when it was saved.
    """

    path: Path
    header_digest: str
    stored_fingerprint: str

    def fingerprint(self) -> str:
        """Return the fingerprint without reading the arrays."""
        return self.stored_fingerprint if self._is_whole else super().fingerprint()

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._is_whole:
            return DatasetIndex, tuple(getattr(self, entry.name) for entry in fields(self))
        return _reopened, (self.path, self.root, self.header_digest)

    @property
    def _is_whole(self) -> bool:
        """Return whether this is what the file holds, not a copy with changed fields."""
        return "path" in self.__dict__


def save_index(index: DatasetIndex, path: Path) -> None:
    """Write an index to a file, whole or not at all; one that is there is replaced.

    Raises:
        ResourceError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
        try:
            with open(descriptor, "wb") as file:
                _write(index, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        finally:
            with suppress(OSError):
                os.unlink(name)
    except OSError as error:
        raise ResourceError(f"cannot be written: {error.strerror}", where=str(path)) from error


def load_index(path: Path, *, root: str | None = None, verify: bool = True) -> MappedIndex:
    """Map a stored index.

    Args:
        path: The file.
        root: Where the data set is now; None takes what the file says.
        verify: Read the file once and compare its digest; without it, its header and length alone
            are checked.

    Raises:
        StoredIndexError: There is no stored index, or it is damaged.
    """
    try:
        with open(path, "rb") as file:
            header, header_digest, start = _read_header(file)
            if verify:
                _verify(file, header["digest"])
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _mapped(path, root, header=header, digest=header_digest, body=memory, start=start)
    except OSError as error:
        raise StoredIndexError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoredIndexError(
            f"no stored index, or a damaged one: {error}", where=str(path)
        ) from error


def stored_index(
    path: Path, make: Callable[[], DatasetIndex], *, fingerprint: str, root: str | None = None
) -> MappedIndex:
    """Return a mapped index; it is made and saved where none with this fingerprint is stored.

    Args:
        path: The file.
        make: Makes the index.
        fingerprint: What `DatasetIndex.fingerprint` must return.
        root: Where the data set is now; None takes what the file says.

    Raises:
        ResourceError: It cannot be written.
    """
    with suppress(StoredIndexError):
        index = load_index(path, root=root)
        if index.stored_fingerprint == fingerprint:
            return index
    save_index(make(), path)
    return load_index(path, root=root)


def _write(index: DatasetIndex, file: BinaryIO) -> None:
    columns = dict(_columns(index))
    placed: dict[str, dict[str, Any]] = {}
    position = 0
    for name, array in columns.items():
        placed[name] = {"dtype": array.dtype.str, "shape": array.shape, "at": position}
        position += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    header = {
        "values": {name: _plain(getattr(index, name)) for name in PLAIN},
        "columns": placed,
        "num_bytes": position,
        "fingerprint": index.fingerprint(),
        "digest": _digest(columns),
    }
    text = json.dumps(header).encode("utf-8", "surrogateescape")
    head = MAGIC + len(text).to_bytes(LENGTH_BYTES, "little") + hashlib.sha256(text).digest() + text
    file.write(_padded(head))
    for array in columns.values():
        file.write(_padded(array.tobytes()))


def _columns(index: DatasetIndex) -> Iterator[tuple[str, NDArray[Any]]]:
    for entry in fields(DatasetIndex):
        value = getattr(index, entry.name)
        if isinstance(value, PackedPaths):
            yield f"{entry.name}.blob", np.frombuffer(value.blob, np.uint8)
            yield f"{entry.name}.ends", value.ends
        elif entry.name not in PLAIN:
            assert isinstance(value, np.ndarray), f"{entry.name} cannot be stored"
            yield entry.name, np.ascontiguousarray(value)


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Storage) else value


def _digest(columns: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in columns.values():
        digest.update(_padded(array.tobytes()))
    return digest.hexdigest()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], str, int]:
    """Return the header, its digest, and where the columns start.

    Raises:
        ValueError: It is damaged, or the file is too short or too long.
    """
    head = file.read(len(MAGIC) + LENGTH_BYTES + DIGEST_BYTES)
    length = int.from_bytes(head[len(MAGIC) : len(MAGIC) + LENGTH_BYTES], "little")
    if not head.startswith(MAGIC) or length > MAX_HEADER_BYTES:
        raise ValueError("another format")
    text = file.read(length)
    digest = hashlib.sha256(text).digest()
    if digest != head[-DIGEST_BYTES:]:
        raise ValueError("the header does not fit its digest")
    header: dict[str, Any] = json.loads(text.decode("utf-8", "surrogateescape"))
    start = -(-(len(head) + length) // ALIGNMENT) * ALIGNMENT
    if os.fstat(file.fileno()).st_size != start + header["num_bytes"]:
        raise ValueError("the file is not complete")
    file.seek(start)
    return header, digest.hex(), start


def _verify(file: BinaryIO, expected: str) -> None:
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    if digest.hexdigest() != expected:
        raise ValueError("the columns do not fit their digest")


def _mapped(
    path: Path,
    root: str | None,
    *,
    header: Mapping[str, Any],
    digest: str,
    body: mmap.mmap,
    start: int,
) -> MappedIndex:
    values = {name: make(header["values"][name]) for name, make in PLAIN.items()}
    for name, place in header["columns"].items():
        values[name] = np.ndarray(
            tuple(place["shape"]), np.dtype(place["dtype"]), body, start + place["at"]
        )
    for entry in fields(DatasetIndex):
        if f"{entry.name}.ends" in values:
            blob = memoryview(values.pop(f"{entry.name}.blob"))
            values[entry.name] = PackedPaths(blob, values.pop(f"{entry.name}.ends"))
    index = MappedIndex(**values)
    if root is not None:
        object.__setattr__(index, "root", root)
    object.__setattr__(index, "path", Path(os.path.abspath(path)))
    object.__setattr__(index, "header_digest", digest)
    object.__setattr__(index, "stored_fingerprint", header["fingerprint"])
    return index


def _reopened(path: Path, root: str, header_digest: str) -> MappedIndex:
    """Map the file of an index again, in another process.

    Raises:
        StoredIndexError: It is gone, or another index took its place.
    """
    index = load_index(path, root=root, verify=False)
    if index.header_digest != header_digest:
        raise StoredIndexError("another index took the place of this one", where=str(path))
    return index
