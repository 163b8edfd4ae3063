"""What a user may ask of a detector beside its scores on the pairs as they are; no torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast, get_args

from fusetrain.errors import Problem, UsageError

Blank = Literal["rgb", "ir"]
Part = Literal["day", "night", "size", "class"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Questions:
    """What is asked.

    Attributes:
        blank: Also with this modality grey.
        shift_px: Also with infrared moved so far, in pixels of the visible image; None: not.
        by: Also over these parts of the pairs.
    """

    blank: Blank | None = None
    shift_px: float | None = None
    by: tuple[Part, ...] = ()


def questions_of(blank: str | None, shift_px: float | None, by: str) -> Questions:
    """Return the questions of a command line.

    Args:
        blank: rgb or ir; None asks nothing.
        shift_px: A positive number; None asks nothing.
        by: Some of `PARTS` between commas; empty asks nothing.

    Raises:
        UsageError: Something of it makes no sense.
    """
    parts = tuple(dict.fromkeys(word.strip() for word in by.split(",") if word.strip()))
    problems = []
    if blank not in (None, *get_args(Blank)):
        problems.append(Problem(f"--blank {blank}", hint="expected rgb or ir"))
    if shift_px is not None and not (math.isfinite(shift_px) and shift_px > 0):
        problems.append(Problem(f"--shift {shift_px:g}", hint="expected a number of px above 0"))
    problems += [
        Problem(f"--by {word}", hint=f"expected some of {', '.join(PARTS)}")
        for word in parts
        if word not in PARTS
    ]
    if problems:
        count = "a question" if len(problems) == 1 else f"{len(problems)} questions"
        raise UsageError(f"{count} that cannot be answered", problems=problems)
    return Questions(
        cast("Blank | None", blank), shift_px, tuple(cast("Part", part) for part in parts)
    )
