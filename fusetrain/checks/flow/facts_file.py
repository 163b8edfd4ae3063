"""Files of measured facts: written whole or not at all, without pickled objects, checked when read.

One file holds a few tables and a header that says what they are; `shards.py` and `kept.py` decide
what goes in and whether it still holds.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from fusetrain import __version__
from fusetrain.errors import DataError, ResourceError

FORMAT = "fusetrain facts 1"
SUFFIX = ".npz"
HEADER = "header"
DAMAGES = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    MemoryError,
    zipfile.BadZipFile,
)
MEASURING_FOLDERS = ("checks", "checks/flow", "checks/registration", "data")


class NoFactsError(DataError):
    """A file that holds no facts, or damaged ones."""


@dataclass(frozen=True)
class FactsFile:
    """What a file of facts holds.

    Attributes:
        header: Plain values, such as numbers, strings and dicts of them.
        arrays: Name to array.
    """

    header: Mapping[str, Any]
    arrays: dict[str, NDArray[Any]] = field(repr=False)

    def take(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays under ``name.``, without that prefix; they are here no longer."""
        start = f"{name}."
        names = [key for key in self.arrays if key.startswith(start)]
        return {key.removeprefix(start): self.arrays.pop(key) for key in names}


def write_facts(content: FactsFile, path: Path) -> None:
    """Write a file of facts; what was there is replaced, but only by a whole file.

    Raises:
        ResourceError: It cannot be written.
    """
    header = json.dumps({"format": FORMAT, **content.header}).encode()
    arrays = {HEADER: np.frombuffer(header, np.uint8), **content.arrays}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            # Names such as "file" are arguments of np.savez; a slash keeps ours apart from them.
            np.savez(file, **{f"facts/{name}": array for name, array in arrays.items()})  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ResourceError(
            f"cannot be written: {error.strerror or error}", where=str(path)
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def read_facts(path: Path) -> FactsFile:
    """Read a file of facts; every byte is checked against its checksum.

    Raises:
        NoFactsError: It holds no facts, is damaged, or of another version of the format.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            arrays = {name.removeprefix("facts/"): members[name] for name in members.files}
        header = json.loads(arrays.pop(HEADER).tobytes())
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']!r}")
    except OSError as error:
        raise NoFactsError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except DAMAGES as error:
        raise NoFactsError(
            f"no file of facts, or a damaged one: {error}", where=str(path)
        ) from error
    return FactsFile(header, arrays)


@cache
def measured_by() -> str:
    """Return a digest of all that measurements depend on besides the images: code and decoders.

    Facts of equal digest may stand side by side; a check that is changed measures anew.
    """
    package = Path(__file__).parents[2]
    versions = (__version__, PIL.__version__, np.__version__)
    decoders = [str(features.version(name)) for name in ("jpg", "zlib", "libtiff", "webp")]
    digest = sha256("\0".join((*versions, *decoders)).encode())
    for folder in MEASURING_FOLDERS:
        for path in sorted((package / folder).glob("*.py")):
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]
