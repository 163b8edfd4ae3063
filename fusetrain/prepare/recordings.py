"""Which pairs belong to one recording, told by their names: a common name and a running number.

A recording ends where numbers, or moments in names, leap far beyond the usual step. A name without
a number is a recording of its own. Nothing here looks at pixels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.sequences import frame_of
from fusetrain.prepare.names import time_in_name

# A leap over this many usual steps, and over this many numbers or seconds, ends a recording.
LEAP_STEPS = 20
MIN_LEAP = 100
MIN_LEAP_S = 60.0


class Frame(NamedTuple):
    """Where a pair stands in its recording.

    Attributes:
        recording: Number of the recording, from 0.
        place: Running number or moment in seconds, as its name says.
    """

    recording: int
    place: float


def frames(names: Sequence[str], *, gap: float = 0) -> list[Frame]:
    """Return the recording of each pair.

    Args:
        names: Names with their folders, without suffix.
        gap: Leap that ends a recording, in numbers or seconds; 0 goes by the usual step.
    """
    runs: dict[tuple[str, ...], list[tuple[float, int]]] = {}
    for row, name in enumerate(names):
        kind, place = _run(name)
        runs.setdefault(kind, []).append((place, row))
    found = [Frame(0, 0.0)] * len(names)
    recording = 0
    for kind, members in runs.items():
        members.sort()
        places = np.array([place for place, _ in members])
        pieces = _pieces(places, kind, gap)
        for (place, row), number in zip(members, pieces, strict=True):
            found[row] = Frame(recording + number, place)
        recording += pieces[-1] + 1
    return found


def _run(name: str) -> tuple[tuple[str, ...], float]:
    """Return what names of one run share, and the place of this one in it."""
    folder, slash, stem = name.rpartition("/")
    moment = time_in_name(f"{stem}.x")
    if moment is not None:
        words = re.sub(r"\d+", "", stem)
        return ("time", folder + slash, words), moment
    frame = frame_of(f"{name}.x")
    return (("single", name), 0.0) if frame is None else (("number", frame.run), frame.number)


def _pieces(places: NDArray[np.float64], kind: tuple[str, ...], gap: float) -> list[int]:
    """Return the number of the piece that each of the sorted places is in."""
    steps = np.diff(places)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    least = MIN_LEAP_S if kind[0] == "time" else MIN_LEAP
    cuts = steps >= gap if gap else steps > max(LEAP_STEPS * usual, least)
    return [0, *np.cumsum(cuts).tolist()]
