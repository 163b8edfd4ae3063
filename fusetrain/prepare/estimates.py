"""How infrared lies on visible, estimated for recordings, pairs or a whole set.

Pairs are measured as `check-data` measures them, in child processes; here their estimates are
joined and turned into matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.flow.measuring import REGISTRATION, Effort, measure
from fusetrain.checks.flow.tasks import all_tasks
from fusetrain.checks.registration.shifts import MEAN_SQUARE_PX, MIN_SEQUENCE, RegistrationFacts
from fusetrain.prepare.notes import counted
from fusetrain.prepare.plans import NewPair, SourceSet
from fusetrain.prepare.recordings import frames

Per = Literal["sequence", "pair", "set"]
PERS: tuple[Per, ...] = ("sequence", "pair", "set")
# Pairs of a recording that are measured, evenly spaced; more change its median hardly.
MAX_MEASURED = 40
# The long side in px at which shifts are measured.
MEASURED_SIDE = 640.0
# What lies this well is left alone: estimates are no better, and resampling costs sharpness.
WELL_WITHIN_PX = 2.0
# Stands for all recordings of a split that are too short.
REST = -1

Size = tuple[int, int]


@dataclass(frozen=True)
class Move:
    """A similarity that takes infrared to visible, about the centre of the image.

    Attributes:
        dx_px: Shift to the right, px at a long side of MEASURED_SIDE.
        dy_px: Shift downwards, the same.
        rotation_deg: Clockwise turn.
        scale: Factor.
    """

    dx_px: float
    dy_px: float
    rotation_deg: float
    scale: float

    @property
    def apart_px(self) -> float:
        """Return how far things lie apart, the root mean square over the image."""
        turn = self.scale * np.exp(1j * np.deg2rad(self.rotation_deg)) - 1.0
        square = self.dx_px**2 + self.dy_px**2 + abs(turn) ** 2 * MEAN_SQUARE_PX
        return float(np.sqrt(square))

    def matrix(self, ir_hw: Size, rgb_hw: Size) -> NDArray[np.float64]:
        """Return (3, 3) from infrared px to visible px."""
        stretch = np.diag([rgb_hw[1] / ir_hw[1], rgb_hw[0] / ir_hw[0], 1.0])
        px = max(rgb_hw) / MEASURED_SIDE
        centre_x, centre_y = rgb_hw[1] / 2.0, rgb_hw[0] / 2.0
        angle = np.deg2rad(self.rotation_deg)
        cosine, sine = self.scale * np.cos(angle), self.scale * np.sin(angle)
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        there, back = np.eye(3), np.eye(3)
        back[:2, 2] = -centre_x, -centre_y
        there[:2, 2] = centre_x + self.dx_px * px, centre_y + self.dy_px * px
        return np.asarray(there @ turn @ back @ stretch, np.float64)


def estimated_moves(
    source: SourceSet,
    pairs: Sequence[NewPair],
    *,
    per: Per,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Move | None], list[str]]:
    """Return the move of each pair and notes for people.

    A pair has no move where nothing sure is known, or where it lies within WELL_WITHIN_PX.
    """
    groups = _groups(pairs, per)
    chosen = _chosen(groups, per)
    indexes = [scan.index for scan in source.scans.values()]
    tasks = all_tasks(indexes).picked(np.array(chosen, np.int64))
    facts = measure(REGISTRATION, tasks, effort=_effort(workers, progress, len(chosen)))
    sure = {row: fact for row, fact in zip(chosen, facts, strict=True) if fact.is_sure}
    moves: list[Move | None] = [None] * len(pairs)
    num_unsure = 0
    for members in groups.values():
        known = [sure[row] for row in members if row in sure]
        common = _median(known) if known else None
        num_unsure += common is None
        for row in members:
            own = per == "pair" and row in sure
            move = _median([sure[row]]) if own else common
            moves[row] = None if move is None or move.apart_px < WELL_WITHIN_PX else move
    notes = [f"{counted(len(sure), 'pair')} of {len(chosen)} measured are sure of how they lie"]
    if num_unsure:
        what = counted(num_unsure, "recording")
        notes.append(f"{what} without a sure estimate will be left as they are")
    return moves, notes


def _effort(workers: int | None, progress: Callable[[int, int], None] | None, total: int) -> Effort:
    return Effort(workers, progress=progress, total=total)


def _groups(pairs: Sequence[NewPair], per: Per) -> dict[tuple[str, int], list[int]]:
    """Return the pairs that share a transform; with ``pair``, those that one may borrow from."""
    if per == "set":
        return {("", 0): list(range(len(pairs)))}
    groups: dict[tuple[str, int], list[int]] = {}
    names = [f"{pair.scan.index.split}/{pair.stem}" for pair in pairs]
    for row, frame in enumerate(frames(names)):
        groups.setdefault((pairs[row].split, frame.recording), []).append(row)
    # Too short to be sure of: what is left of a split is taken together, as `check-data` does.
    pooled: dict[tuple[str, int], list[int]] = {}
    for (split, recording), members in groups.items():
        is_long = len(members) >= MIN_SEQUENCE
        pooled.setdefault((split, recording if is_long else REST), []).extend(members)
    return pooled


def _chosen(groups: dict[tuple[str, int], list[int]], per: Per) -> list[int]:
    """Return the pairs that are measured, in order."""
    if per == "pair":
        return sorted(row for members in groups.values() for row in members)
    return sorted(
        members[place]
        for members in groups.values()
        for place in sorted(
            set(np.linspace(0, len(members) - 1, min(len(members), MAX_MEASURED)).astype(int))
        )
    )


def _median(facts: Sequence[RegistrationFacts]) -> Move:
    """Return what sure pairs say together; turn and scale where half of them know those."""
    shifts = np.array([(fact.dx_px or 0.0, fact.dy_px or 0.0) for fact in facts])
    dx, dy = np.median(shifts, axis=0).tolist()
    known = [(f.rotation_deg, f.scale) for f in facts if f.rotation_deg is not None]
    if 2 * len(known) < len(facts):
        return Move(dx, dy, 0.0, 1.0)
    turn, scale = np.median(np.array(known, np.float64), axis=0).tolist()
    return Move(dx, dy, turn, scale)
