"""Any curves one after another, each with its own length and exact from its first to its last step.

Nothing is stepped or chained: the piece that a step lies in is found, and asked as if it were
alone. How the settings of the pieces become curves is the business of `pieces.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from fusetrain.schedule.curves import Curve, no_setting


@dataclass(frozen=True)
class Piece:
    """One curve of a sequence.

    Attributes:
        curve: Its shape.
        begin: Step of the sequence at which it starts.
        peak: Factor on its values, so that a piece can start where the one before ended.
    """

    curve: Curve
    begin: int
    peak: float = 1.0


@dataclass(frozen=True)
class Sequence:
    """Curves one after another; the last one lasts to the end of the run.

    In a config, ``curves`` lists them as ``{name, epochs | steps, peak, parameters}``. Their times
    are times of the run: the warmup before a sequence is taken from its first piece. Times inside a
    piece (milestones, t0, …) count from the start of the piece.

    Attributes:
        curves: The pieces in order, the first one from step 0; no setting as it stands.
        is_open: The end of a piece lies behind its last epoch, as `unit: epoch` wants.
        remarks: Sentences about lengths that do not fit the run.
    """

    curves: tuple[Piece, ...] = field(metadata=no_setting())
    is_open: bool = field(default=False, metadata=no_setting())
    remarks: tuple[str, ...] = field(default=(), metadata=no_setting())

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        piece, length = self._at(step, total_steps)
        return piece.peak * piece.curve.factor(step - piece.begin, length)

    @property
    def moves_momentum(self) -> bool:
        """Return whether a piece moves the momentum."""
        return any(getattr(piece.curve, "moves_momentum", False) for piece in self.curves)

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the momentum of the piece; None where it moves none."""
        piece, length = self._at(step, total_steps)
        if not getattr(piece.curve, "moves_momentum", False):
            return None
        found: float | None = piece.curve.momentum(  # type: ignore[attr-defined]
            step - piece.begin, length
        )
        return found

    def warm_end(self, total_steps: int) -> int:
        """Return the first step after the warmup of the first piece, where it has its own."""
        _, length = self._at(0, total_steps)
        end: int = getattr(self.curves[0].curve, "warm_end", lambda _: 0)(length)
        return end

    def restarts(self, total_steps: int) -> tuple[int, ...]:
        """Return the first steps of all pieces but the first, and the restarts inside of them."""
        starts: list[int] = []
        for piece in self.curves:
            if piece.begin >= total_steps:
                break
            _, length = self._at(piece.begin, total_steps)
            starts += [piece.begin] if piece.begin else []
            inner = getattr(piece.curve, "restarts", lambda _: ())(length - self.is_open)
            starts += [piece.begin + start for start in inner]
        return tuple(starts)

    def rewarm_at(self, step: int, total_steps: int) -> tuple[int, int] | None:
        """Return the step and the length of a warmup after a restart inside of the piece."""
        piece, length = self._at(step, total_steps)
        inner = getattr(piece.curve, "rewarm_at", lambda *_: None)
        found: tuple[int, int] | None = inner(step - piece.begin, length)
        return found

    def notes(self, total_steps: int) -> tuple[str, ...]:
        """Return what the pieces say, and what does not fit the run."""
        found = list(self.remarks)
        for number, piece in enumerate(self.curves, start=1):
            if piece.begin >= total_steps:
                found.append(f"curve {number} of the sequence lies behind the run")
                continue
            _, length = self._at(piece.begin, total_steps)
            inner = getattr(piece.curve, "notes", lambda _: ())(length)
            found += [f"curve {number} of the sequence: {note}" for note in inner]
        return tuple(found)

    def _at(self, step: int, total_steps: int) -> tuple[Piece, int]:
        """Return the piece that a step lies in, and its length."""
        number = bisect_right(self.curves, step, key=lambda piece: piece.begin)
        piece = self.curves[number - 1]
        if number == len(self.curves):
            return piece, max(1, total_steps - piece.begin)
        return piece, self.curves[number].begin - piece.begin + self.is_open
