"""Decoded pairs in one memory-mapped file that outlives the run; all processes share its pages.

A file is named by what it was made from: every image by path, size and times, and every setting
that changes a pixel. It is therefore never out of date: whatever changes asks for another file.
What is damaged is not used; such a pair is read from its images again. `disk_build.py` makes the
files.

The file: MAGIC, length and sha256 of the header, the header as JSON, then at ``table_offset`` one
row of eight int64 a pair (the columns of `cache.py` and a CRC-32), then the pixels.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import platform
import warnings
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from PIL import features

from fusetrain.data.cache import (
    CHANNELS,
    HEIGHT,
    IS_FILLED,
    OFFSET,
    ORIGINAL_HEIGHT,
    ORIGINAL_WIDTH,
    WIDTH,
    Entry,
)
from fusetrain.data.index import DatasetIndex
from fusetrain.data.reader import PairReader

# To be raised whenever the same files and settings give other pixels than before.
READER_VERSION = 2
MAGIC = b"fusetrain pairs\n"
HEAD_BYTES = len(MAGIC) + 8 + 32
MAX_HEADER_BYTES = 2**20
COLUMNS = 8
CRC = IS_FILLED + 1
PAGE = 4096


class DamagedCacheError(Exception):
    """A cache file that is cut, changed, or not one at all."""


class DiskCache:
    """The pairs of one finished file; it is never written to.

    Pixels are checked against their CRC when a pair is first read, by whichever process; a pair
    that fails is left to the images. Forked processes share the mapping, a pickled copy opens the
    file again.

    Args:
        path: The file.

    Raises:
        DamagedCacheError: It is not complete, or not what it says.
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.header = read_head(file.fileno())
            # Private and writeable, so that torch takes views of it without a copy; nothing that
            # is written would reach the file.
            self._memory = np.frombuffer(
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), np.uint8
            )
        num_pairs, start = self.header["pairs"], self.header["table_offset"]
        table = self._memory[start : start + num_pairs * COLUMNS * 8]
        if hashlib.sha256(table.data).hexdigest() != self.header["table_sha256"]:
            raise DamagedCacheError("its table of contents is damaged")
        self._table = table.view(np.int64).reshape(num_pairs, COLUMNS)
        # Shared by forked workers: 0 not read yet, 1 sound, 2 damaged.
        self._state = np.frombuffer(mmap.mmap(-1, max(1, num_pairs)), np.uint8)

    @property
    def num_bytes(self) -> int:
        """Return the size of the file."""
        return len(self._memory)

    def __len__(self) -> int:
        return int(self._table[:, IS_FILLED].sum())

    def get(self, number: int) -> Entry | None:
        """Return pixels (H, W, C), a view to be left as it is, and original height and width."""
        if not 0 <= number < len(self._table) or not self._table[number, IS_FILLED]:
            return None
        row = self._table[number].tolist()
        shape = (row[HEIGHT], row[WIDTH], row[CHANNELS])
        pixels = self._memory[row[OFFSET] : row[OFFSET] + shape[0] * shape[1] * shape[2]]
        if self._state[number] != 1 and not self._is_sound(number, pixels, row[CRC]):
            return None
        return pixels.reshape(shape), (row[ORIGINAL_HEIGHT], row[ORIGINAL_WIDTH])

    def put(
        self, number: int, pixels: NDArray[np.uint8], original_size_hw: tuple[int, int]
    ) -> bool:
        """Store nothing: a finished file does not change."""
        return False

    def _is_sound(self, number: int, pixels: NDArray[np.uint8], crc: int) -> bool:
        if self._state[number] == 0:
            sound = zlib.crc32(pixels.data) == crc
            self._state[number] = 1 if sound else 2
            if not sound:
                warnings.warn(
                    f"{self.path} is damaged at pair {number}, which is read from its images; "
                    "delete the file to have it made anew",
                    RuntimeWarning,
                    stacklevel=4,
                )
        return bool(self._state[number] == 1)

    def __reduce__(self) -> tuple[type[DiskCache], tuple[Path]]:
        return DiskCache, (self.path,)


def cache_key(reader: PairReader) -> str:
    """Return the sha256 (hex) over all that decides which pixels a reader gives.

    The files are told by path, size and times, so that no image is opened. A file that was
    rewritten has another change time even where size and modification time were put back.
    """
    index = reader.index
    digest = hashlib.sha256(json.dumps(_settings(reader), sort_keys=True).encode())
    for paths in (index.rgb_paths, index.ir_paths):
        names = [os.fsencode(path) for path in paths]
        digest.update(len(names).to_bytes(8, "little"))
        digest.update(b"\0".join(names))
        digest.update(_stamps(index, names).tobytes())
    return digest.hexdigest()


def file_name(reader: PairReader, key: str) -> str:
    """Return how the cache file of a reader is called: for people first, then by its key."""
    name = Path(reader.index.root).name
    shown = "".join(char if char.isascii() and char.isalnum() else "-" for char in name)[:40]
    return f"{shown or 'set'}-{reader.index.split}-{key[:32]}.pairs"


def read_head(descriptor: int) -> dict[str, Any]:
    """Return the verified header of an open cache file.

    Raises:
        DamagedCacheError: It is not complete, or not what it says.
    """
    head = os.pread(descriptor, HEAD_BYTES, 0)
    length = int.from_bytes(head[len(MAGIC) : len(MAGIC) + 8], "little")
    if len(head) < HEAD_BYTES or not head.startswith(MAGIC) or length > MAX_HEADER_BYTES:
        raise DamagedCacheError("it does not begin as a cache file does")
    text = os.pread(descriptor, length, HEAD_BYTES)
    if hashlib.sha256(text).digest() != head[-32:]:
        raise DamagedCacheError("its header is damaged")
    header: dict[str, Any] = json.loads(text)
    size = os.fstat(descriptor).st_size
    if size != header["bytes"]:
        raise DamagedCacheError(f"it has {size} bytes instead of {header['bytes']}")
    return header


def head_bytes(header: dict[str, Any]) -> bytes:
    """Return what a cache file begins with."""
    text = json.dumps(header, sort_keys=True).encode()
    return MAGIC + len(text).to_bytes(8, "little") + hashlib.sha256(text).digest() + text


def _settings(reader: PairReader) -> dict[str, Any]:
    """Return what decides on pixels besides the images themselves."""
    return {
        "reader": READER_VERSION,
        "working_size": repr(reader.working_size),
        "window": asdict(reader.window),
        "storage": asdict(reader.index.storage),
        "pillow": PIL.__version__,
        "jpeg": features.version_feature("libjpeg_turbo") or features.version_codec("jpg"),
        "torch": str(torch.__version__),
        "machine": platform.machine(),
    }


def _stamps(index: DatasetIndex, names: list[bytes]) -> NDArray[np.int64]:
    """Return (N, 3) size, modification and change time of each file; -1 where it is missing."""
    root = os.fsencode(index.root)

    def stamp(name: bytes) -> tuple[int, int, int]:
        try:
            status = os.stat(os.path.join(root, name))
        except OSError:
            return -1, -1, -1
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns

    return np.array([stamp(name) for name in names], np.int64).reshape(-1, 3)
