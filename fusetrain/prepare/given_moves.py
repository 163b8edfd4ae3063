"""Reads the JSON that says how infrared px become visible px, for all pairs or for each of them.

    {"H": [[a, b, c], [d, e, f], [g, h, 1]], "w": 500, "h": 329}      one for all pairs
    {"FLIR_00006": {"H": …, "w": 500, "h": 329}, …}                    one a pair, by its name

A matrix has three rows of three numbers, or two rows (affine). ``w`` and ``h`` are the size of the
visible view that it leads into; without them that is the visible image as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.files import read_bytes
from fusetrain.errors import DataError, Problem

MAX_BYTES = 64 * 2**20
EXAMPLE = '{"H": [[a, b, c], [d, e, f], [g, h, 1]]}, with "w" and "h", or one such a pair name'


@dataclass(frozen=True)
class GivenMove:
    """How one infrared image lies.

    Attributes:
        matrix: (3, 3) float64; takes infrared px to px of the view.
        view_hw: Size of the visible view in those px; None: the visible image itself.
    """

    matrix: NDArray[np.float64]
    view_hw: tuple[int, int] | None = None


@dataclass(frozen=True)
class GivenMoves:
    """What a file says of all pairs.

    Attributes:
        path: The file.
        common: For all pairs; None where each has its own.
        by_name: Pair name, without case, to what it has.
    """

    path: Path
    common: GivenMove | None
    by_name: Mapping[str, GivenMove]

    def find(self, name: str) -> GivenMove | None:
        """Return what holds for a pair; its name counts with or without folders."""
        key = name.casefold()
        return self.common or self.by_name.get(key) or self.by_name.get(key.rpartition("/")[2])


def read_moves(path: Path) -> GivenMoves:
    """Read a file of transforms.

    Raises:
        DataError: It cannot be read, or does not say what is expected; all faults at once.
    """
    try:
        content = json.loads(read_bytes(path, max_bytes=MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot be read: {reason}", where=str(path), expected=EXAMPLE) from error
    if isinstance(content, dict) and "H" in content:
        entries: dict[str, Any] = {"": content}
    elif isinstance(content, dict):
        entries = content
    else:
        entries = {"": {"H": content}}
    moves, problems = {}, []
    for name, entry in entries.items():
        try:
            moves[name.casefold()] = _move(entry)
        except ValueError as error:
            problems.append(Problem(str(error), name))
    if problems or not moves:
        what = "the transforms cannot be used" if problems else "there is no transform"
        raise DataError(what, where=str(path), problems=problems, expected=EXAMPLE)
    return GivenMoves(path, moves.get("") if list(moves) == [""] else None, moves)


def _move(entry: Any) -> GivenMove:
    if not isinstance(entry, dict) or "H" not in entry:
        raise ValueError('expected an object with "H"')
    rows = entry["H"]
    is_matrix = (
        isinstance(rows, list)
        and len(rows) in (2, 3)
        and all(isinstance(row, list) and len(row) == 3 for row in rows)
        and all(_is_number(value) for row in rows for value in row)
    )
    if not is_matrix:
        raise ValueError('"H" must be two or three rows of three numbers')
    matrix = np.array([*rows, [0.0, 0.0, 1.0]][:3], np.float64)
    if abs(np.linalg.det(matrix)) < 1e-12:
        raise ValueError('"H" cannot be inverted')
    sides = [entry.get(key) for key in ("h", "w")]
    if sides == [None, None]:
        return GivenMove(matrix)
    if not all(isinstance(side, int) and 0 < side < 2**16 for side in sides):
        raise ValueError('"w" and "h" must both be sizes in px')
    return GivenMove(matrix, (int(sides[0] or 0), int(sides[1] or 0)))


def _is_number(value: Any) -> bool:
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and abs(value) < 1e12 and math.isfinite(value)
