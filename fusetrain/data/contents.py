"""A digest of some pictures of a split, for what names, sizes and labels do not tell.

Frames without compression all have one size, so that another export of the same set looks the same
by its names; a set that was copied or moved has other times. Only contents tell them apart.
"""

from __future__ import annotations

import hashlib
import os

from fusetrain.data.files import open_regular
from fusetrain.data.index import DatasetIndex

MAX_PAIRS = 32
MAX_FILE_BYTES = 8 * 2**20
ANY_SIZE = 2**62


def sampled_contents(index: DatasetIndex) -> str:
    """Return the sha256 (hex) over both files of up to MAX_PAIRS pairs, evenly spaced.

    Of each file the first MAX_FILE_BYTES count; one that cannot be read counts as empty.
    """
    digest = hashlib.sha256()
    for row in range(0, len(index), max(1, -(-len(index) // MAX_PAIRS))):
        for path in (index.rgb_path(row), index.ir_path(row)):
            data = _head(path)
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    return digest.hexdigest()


def _head(path: str | os.PathLike[str]) -> bytes:
    try:
        with open_regular(path, max_bytes=ANY_SIZE) as file:
            return file.read(MAX_FILE_BYTES)
    except OSError:
        return b""
