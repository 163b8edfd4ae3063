"""How far the infrared image of a pair lies from where the visible one shows the same thing (P09).

`measure_registration` measures one pair, in a child process; `check_registration` sums up pairs and
sequences and decides. How a shift is found stands in `alignment.py`; wrong partners and delayed
cameras are the business of `partners.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, Level, finding
from fusetrain.checks.images import PairTask
from fusetrain.checks.registration.alignment import align
from fusetrain.checks.registration.greys import read_greys, seconds_apart
from fusetrain.checks.sequences import frame_of

# A sequence whose pairs are this far apart is worth a word, px at 640 px long side. Well aligned
# sets stay below 3 px; single pairs of them reach 8 px where near things show parallax.
WARN_SHIFT_PX = 5.0
MIN_SEQUENCE = 10
# Of the pairs of a sequence so many must be sure before it is judged.
MIN_SURE_SHARE = 0.2
# Mean square distance from the centre of a canvas of 640 x 512 px.
MEAN_SQUARE_PX = (640.0**2 + 512.0**2) / 12.0


@dataclass(frozen=True)
class RegistrationFacts:
    """Where the infrared image of one pair lies; lengths are px at a long side of 640 px.

    Attributes:
        split: Split of the pair.
        row: Row in its index.
        rgb_path: Visible image, relative to the root.
        ir_path: Infrared image, relative to the root.
        dx_px: What is at x in the infrared image is at x + dx in the visible one; None where an
            image cannot be read, is blank, or under 64 px. With turn and scale: of the centre.
        dy_px: The same downwards.
        is_sure: Several independent estimates agree on the shift.
        score: How far they agree, 0 to 1.
        rotation_deg: Clockwise turn that takes infrared to visible; None where not known.
        scale: Factor that takes infrared to visible; None where not known.
        seconds_apart: Time of the infrared image minus that of the visible one, from EXIF.
    """

    split: str
    row: int
    rgb_path: str
    ir_path: str
    dx_px: float | None = None
    dy_px: float | None = None
    is_sure: bool = False
    score: float = 0.0
    rotation_deg: float | None = None
    scale: float | None = None
    seconds_apart: float | None = None

    @property
    def apart_px(self) -> float:
        """Return how far things lie apart, the root mean square over the image; 0 if unknown."""
        turn = math.radians(self.rotation_deg or 0.0)
        scale = 1.0 if self.scale is None else self.scale
        spread = scale**2 - 2.0 * scale * math.cos(turn) + 1.0
        return math.sqrt(
            (self.dx_px or 0.0) ** 2 + (self.dy_px or 0.0) ** 2 + spread * MEAN_SQUARE_PX
        )


def measure_registration(task: PairTask) -> RegistrationFacts:
    """Measure one pair; never raises, as unreadable images are reported by other checks."""
    apart_s = seconds_apart(task.root, task.rgb_path, task.ir_path)
    facts = RegistrationFacts(
        task.split, task.row, task.rgb_path, task.ir_path, seconds_apart=apart_s
    )
    greys = read_greys(task.root, task.rgb_path, task.ir_path, storage=task.storage)
    found = None if greys is None else align(*greys)
    if found is None:
        return facts
    similarity = found.similarity
    is_known = found.is_sure and found.has_turn
    return RegistrationFacts(
        task.split,
        task.row,
        task.rgb_path,
        task.ir_path,
        dx_px=similarity.dx * found.px,
        dy_px=similarity.dy * found.px,
        is_sure=found.is_sure,
        score=found.score,
        rotation_deg=similarity.turn_deg if is_known else None,
        scale=similarity.scale if is_known else None,
        seconds_apart=apart_s,
    )


def crashed_registration(task: PairTask) -> RegistrationFacts:
    """Return the facts of a pair that could not be measured."""
    return RegistrationFacts(task.split, task.row, task.rgb_path, task.ir_path)


def check_registration(
    facts: Sequence[RegistrationFacts], *, max_shift_px: float = 10.0
) -> list[Finding]:
    """P09: the two images of a pair lie on each other, by sequence and by pair.

    Args:
        facts: What was measured, of one or several splits.
        max_shift_px: Px at 640 px long side over which a sequence is an error.
    """
    found = []
    for name, members in sequences_of(facts).items():
        judged = _check_sequence(name, members, max_shift_px=max_shift_px)
        found += judged
        usual = _usual(members) if judged else None
        found += _check_pairs(members, usual, max_shift_px=max_shift_px)
    return found


def sequences_of(
    facts: Sequence[RegistrationFacts],
) -> dict[tuple[str, str], list[RegistrationFacts]]:
    """Return the pairs by split and sequence, in the order given.

    A sequence is a run of file names that count up; what is in runs of fewer than MIN_SEQUENCE
    pairs is put together by folder.
    """
    runs: dict[tuple[str, str], list[RegistrationFacts]] = {}
    for fact in facts:
        frame = frame_of(fact.ir_path)
        folder = fact.ir_path.rpartition("/")[0]
        runs.setdefault((fact.split, frame.run if frame else folder), []).append(fact)
    joined: dict[tuple[str, str], list[RegistrationFacts]] = {}
    for (split, run), members in runs.items():
        is_run = len(members) >= MIN_SEQUENCE
        folder = members[0].ir_path.rpartition("/")[0]
        joined.setdefault((split, run if is_run else folder), []).extend(members)
    return joined


def _check_sequence(
    name: tuple[str, str], members: Sequence[RegistrationFacts], *, max_shift_px: float
) -> list[Finding]:
    sure = [fact for fact in members if fact.is_sure]
    if len(sure) < max(MIN_SEQUENCE, MIN_SURE_SHARE * len(members)):
        return []
    apart_px = _apart_px(sure)
    level: Level | None = "error" if apart_px > max_shift_px else None
    if apart_px <= min(WARN_SHIFT_PX, max_shift_px):
        return []
    dx_px, dy_px = _usual(sure)
    numbers = {
        "shift_px": apart_px,
        "dx_px": dx_px,
        "dy_px": dy_px,
        "mad_px": _scatter(sure, (dx_px, dy_px)),
        "sure_pairs": len(sure),
        **_turn(sure),
    }
    message = (
        f"{name[1] or 'all pairs'}: infrared lies {apart_px:.1f} px from visible "
        f"(dx {dx_px:+.1f}, dy {dy_px:+.1f}{_turn_words(numbers)}; median of {len(sure)} pairs)"
    )
    rounded = {key: round(value, 3) for key, value in numbers.items()}
    return [finding("P09", message, split=name[0], numbers=rounded, level=level)]


def _check_pairs(
    members: Sequence[RegistrationFacts], usual: tuple[float, float] | None, *, max_shift_px: float
) -> Iterator[Finding]:
    """Yield the pairs that lie apart on their own.

    Where the sequence was found to be off (``usual``), only those are that differ from it as well.
    """
    for fact in members:
        if not fact.is_sure or fact.dx_px is None or fact.dy_px is None:
            continue
        apart_px = off_px = fact.apart_px
        if usual is not None:
            off_px = math.hypot(fact.dx_px - usual[0], fact.dy_px - usual[1])
        if min(apart_px, off_px) <= max_shift_px:
            continue
        numbers = {"shift_px": apart_px, "dx_px": fact.dx_px, "dy_px": fact.dy_px, **_turn([fact])}
        message = (
            f"infrared lies {apart_px:.1f} px from visible "
            f"(dx {fact.dx_px:+.1f}, dy {fact.dy_px:+.1f}{_turn_words(numbers)})"
        )
        rounded = {key: round(value, 3) for key, value in numbers.items()}
        yield finding(
            "P09", message, split=fact.split, path=fact.ir_path, numbers=rounded, level="warn"
        )


def _apart_px(sure: Sequence[RegistrationFacts]) -> float:
    """Return the median distance of a pair; it also tells where every pair is off elsewhere."""
    return float(np.median([fact.apart_px for fact in sure]))


def _shifts(facts: Sequence[RegistrationFacts]) -> NDArray[np.float64]:
    known = [(fact.dx_px, fact.dy_px) for fact in facts if fact.is_sure]
    return np.array(known, np.float64).reshape(-1, 2)


def _usual(facts: Sequence[RegistrationFacts]) -> tuple[float, float]:
    """Return the median shift of the sure pairs."""
    dx, dy = np.median(_shifts(facts), axis=0).tolist()
    return dx, dy


def _scatter(facts: Sequence[RegistrationFacts], usual: tuple[float, float]) -> float:
    """Return the median distance of a pair from the median shift."""
    return float(np.median(np.linalg.norm(_shifts(facts) - usual, axis=1)))


def _turn(facts: Sequence[RegistrationFacts]) -> dict[str, float]:
    """Return the median turn and scale; nothing where fewer than half of the pairs know."""
    known = [(f.rotation_deg, f.scale) for f in facts if f.rotation_deg is not None]
    if len(known) * 2 < len(facts):
        return {}
    turn, scale = np.median(np.array(known, np.float64), axis=0).tolist()
    return {"rotation_deg": turn, "scale": scale}


def _turn_words(numbers: dict[str, float]) -> str:
    """Return turn and scale in words where they matter."""
    turn, scale = numbers.get("rotation_deg", 0.0), numbers.get("scale", 1.0)
    words = f", turned by {turn:+.1f} degrees" if abs(turn) >= 0.5 else ""
    return words + (f", scale {scale:.3f}" if abs(scale - 1.0) >= 0.01 else "")
