"""Whether the splits of a set cut a recording apart frame by frame (D05).

Names tell which files are neighbours; the pictures must confirm it, as photographs numbered at
random are no recording. Exact and near duplicates are the business of `duplicates.py`.
Shape legend: N frames of one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.flow.facts import as_table
from fusetrain.checks.images import PairFacts
from fusetrain.checks.sequences import frame_of, sampling_step
from fusetrain.data.spec import SPLITS

NEIGHBOUR_STEPS = 2
# A run cut into blocks leaves some neighbours at the cuts; that many are no leak.
FREE_NEIGHBOURS = 4
NEIGHBOUR_SHARE = 0.05
# Share of the bits in which strangers differ that neighbours may differ in.
ALIKE_SHARE = 0.85


@dataclass(frozen=True)
class _Run:
    """Frames that have a name in common, by their counter.

    Attributes:
        rows: (N,) where they stand in the facts.
        numbers: (N,) counters, ascending.
        splits: (N,) number of the split.
        phashes: (N,) uint64; 0 where the picture is not known.
    """

    rows: NDArray[np.int64]
    numbers: NDArray[np.int64]
    splits: NDArray[np.int64]
    phashes: NDArray[np.uint64]


def check_neighbours(facts: Sequence[PairFacts]) -> list[Finding]:
    """D05: frames of one sequence that stand next to each other, in different splits."""
    found = []
    for run in _runs(facts):
        for split in np.unique(run.splits)[1:].tolist():
            found += _leak(facts, run, split)
    return found


def _runs(facts: Sequence[PairFacts]) -> list[_Run]:
    """Return the runs that stand in more than one split."""
    table = as_table(PairFacts, facts)
    numbered: dict[str, int] = {}
    run_ids: dict[str, int] = {}
    columns = np.zeros((len(facts), 3), np.int64)
    has_rgb = ~np.isnan(table.numbers("rgb", "bits"))
    rgb, ir = (table.heads(role, "phash", width=8).view(np.uint64)[:, 0] for role in ("rgb", "ir"))
    phashes = np.where(has_rgb, rgb, ir)
    for row, (path, name) in enumerate(
        zip(table.texts("rgb_path"), table.texts("split"), strict=True)
    ):
        frame = frame_of(path, without=SPLITS)
        run = -1 if frame is None else run_ids.setdefault(frame.run, len(run_ids))
        split = numbered.setdefault(name, len(numbered))
        columns[row] = run, 0 if frame is None else frame.number, split
    order = np.lexsort((columns[:, 2], columns[:, 1], columns[:, 0]))
    groups = np.split(order, np.flatnonzero(np.diff(columns[order, 0])) + 1)
    return [
        _Run(rows, columns[rows, 1], columns[rows, 2], phashes[rows])
        for rows in groups
        if len(rows) and columns[rows[0], 0] >= 0 and np.ptp(columns[rows, 2])
    ]


def _leak(facts: Sequence[PairFacts], run: _Run, split: int) -> list[Finding]:
    """Compare the frames of one split with those of earlier splits."""
    own, others = np.flatnonzero(run.splits == split), np.flatnonzero(run.splits < split)
    nearest = _nearest(run.numbers[own], run.numbers[others])
    step = sampling_step(run.numbers)
    gaps = np.abs(run.numbers[others[nearest]] - run.numbers[own])
    close = np.flatnonzero(gaps <= NEIGHBOUR_STEPS * step)
    if len(close) <= FREE_NEIGHBOURS or len(close) < NEIGHBOUR_SHARE * len(own):
        return []
    strangers = others[(nearest[close] + len(others) // 2) % len(others)]
    if not _are_alike(run.phashes, own[close], others[nearest[close]], strangers):
        return []
    fact = facts[int(run.rows[own[close[0]]])]
    partner = facts[int(run.rows[others[nearest[close[0]]]])]
    message = (
        f"{len(close)} of {len(own)} frames of this run lie within {NEIGHBOUR_STEPS} steps of one "
        f"in {partner.split}, such as this one and {partner.rgb_path}"
    )
    values = {"close": len(close), "frames": len(own), "step": step}
    return [finding("D05", message, split=fact.split, path=fact.rgb_path, numbers=values)]


def _nearest(numbers: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each number, the place of the nearest of some ascending others."""
    above = np.clip(np.searchsorted(others, numbers), 0, len(others) - 1)
    below = np.clip(above - 1, 0, None)
    is_below = np.abs(others[below] - numbers) <= np.abs(others[above] - numbers)
    return np.where(is_below, below, above)


def _are_alike(
    phashes: NDArray[np.uint64],
    frames: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    strangers: NDArray[np.int64],
) -> bool:
    """Say whether neighbours look more alike than frames that are half a run apart."""
    close = np.bitwise_count(phashes[frames] ^ phashes[neighbours]).mean()
    far = np.bitwise_count(phashes[frames] ^ phashes[strangers]).mean()
    return bool(close <= ALIKE_SHARE * far)
