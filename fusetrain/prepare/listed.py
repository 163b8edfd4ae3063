"""Lists that say which pairs make up a split: one name or path a line, as authors publish them.

Nothing here reads images; names are held against those of the pairs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.files import read_bytes
from fusetrain.data.pairing import pair_key
from fusetrain.data.sources import SPLITS
from fusetrain.errors import DataError, Problem, reason
from fusetrain.prepare.names import shared_key

MAX_LIST_BYTES = 256 * 2**20
UNLISTED = -1
WORD = re.compile("train|val|test")


def listed_splits(paths: Sequence[Path], names: Sequence[str]) -> NDArray[np.int64]:
    """Return (N,) the split of each pair as a number in SPLITS, UNLISTED where no list names it.

    Args:
        paths: Lists; the name of each contains train, val or test.
        names: Names of the pairs, with folders, without suffix.

    Raises:
        DataError: A list cannot be read, says no split, or names no pair or one of another list.
    """
    finders = [_finder(names, key) for key in (pair_key, _last, shared_key, _last_shared)]
    found = np.full(len(names), UNLISTED, np.int64)
    problems: list[Problem] = []
    for path in paths:
        split = _split_of(path)
        for number, line in enumerate(_lines(path), start=1):
            row = next((row for find in finders if (row := find(line)) is not None), None)
            where = f"{path}:{number}"
            if row is None:
                problems.append(Problem(f"{line!r} is no pair of the data set", where))
            elif found[row] not in (UNLISTED, split):
                other = SPLITS[found[row]]
                problems.append(Problem(f"{line!r} stands in the list of {other} too", where))
            else:
                found[row] = split
    if problems:
        raise DataError("the lists do not fit the data set", problems=problems)
    return found


def _split_of(path: Path) -> int:
    words = WORD.findall(path.stem.casefold())
    if len(set(words)) != 1:
        raise DataError(
            "the name of the list does not say its split",
            where=str(path),
            expected="train, val or test in the name",
        )
    return SPLITS.index(words[0])


def _lines(path: Path) -> list[str]:
    try:
        text = read_bytes(path, max_bytes=MAX_LIST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {reason(error)}", where=str(path)) from error
    return [line.strip().replace("\\", "/") for line in text.splitlines() if line.strip()]


def _finder(names: Sequence[str], key: Callable[[str], str]) -> Callable[[str], int | None]:
    """Return a function from a line to the one pair with its key; None where none or several."""
    rows: dict[str, int | None] = {}
    for row, name in enumerate(names):
        own = key(f"{name}.x")
        rows[own] = None if own in rows else row

    def find(line: str) -> int | None:
        for text in (line, f"{line}.x"):  # with a suffix, or a bare name that may hold a dot
            if (row := rows.get(key(text))) is not None:
                return row
        return None

    return find


def _last(name: str) -> str:
    return pair_key(name).rpartition("/")[2]


def _last_shared(name: str) -> str:
    return shared_key(name).rpartition("/")[2]
