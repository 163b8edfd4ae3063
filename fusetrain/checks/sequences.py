"""Runs of frames, told from file names: a common name around a counter.

A name alone does not prove that neighbouring numbers are neighbouring moments; who needs proof
compares the pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LAST_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)
# Numbers that fit an int64, whatever somebody calls a file.
MAX_DIGITS = 18


@dataclass(frozen=True)
class Frame:
    """The place of a file in a run.

    Attributes:
        run: What all files of the run have in common: folders and the name without its counter.
        number: The counter.
    """

    run: str
    number: int


def frame_of(path: str, *, without: Iterable[str] = ()) -> Frame | None:
    """Return where a file stands in a run; None if its name holds no counter.

    Args:
        path: Path with forward slashes.
        without: Names of folders that do not count, as those of the splits.
    """
    ignored = set(without)
    *folders, name = path.split("/")
    stem = name.rpartition(".")[0] or name
    match = LAST_NUMBER.fullmatch(stem)
    if match is None:
        return None
    before, digits, after = match.groups()
    kept = [folder for folder in folders if folder not in ignored]
    return Frame("/".join([*kept, f"{before}#{after}"]), int(digits[-MAX_DIGITS:]))


def sampling_step(numbers: NDArray[np.int64]) -> int:
    """Return how far apart the frames of a run usually are; 1 where there are fewer than two.

    Args:
        numbers: (N,) counters, in any order.
    """
    gaps = np.diff(np.unique(numbers))
    return int(np.median(gaps)) if len(gaps) else 1
