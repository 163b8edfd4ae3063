"""What stands on the terminal while an epoch runs, as lines that fit any width.

Numbers come in, text goes out; where they come from and how often they are looked at is decided in
`live.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len, set_cell_size
from rich.text import Text

BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", "_.-=+*%#"
FILLED, EMPTY, ASCII_FILLED, ASCII_EMPTY = "█", "░", "#", "."
GAP = "   "
MAX_BAR = 40
MAX_TRAIL = 30


@dataclass(frozen=True)
class Glance:
    """What can be seen of a training in one moment.

    Attributes:
        epoch: 1-based.
        epochs: Of the whole run.
        batches: Done in this epoch.
        batches_per_epoch: All of an epoch.
        losses: Box, class and distribution loss of the last step; empty where it was skipped.
        trail: Sum of the losses, from the first step looked at to the last.
        rates: Name of parameter groups to their learning rate; groups with equal rates stand once.
        pairs_per_second: In this epoch; None where that is not known yet.
        waited_share: Share of the time that was spent waiting for data, in [0, 1].
        memory_bytes: In use; None where that is not known.
        seconds_left: Of the whole run; None where that is not known yet.
        best: Epoch and mAP50-95 of the best so far; None before the first validation.
    """

    epoch: int
    epochs: int
    batches: int
    batches_per_epoch: int
    losses: Sequence[float]
    trail: Sequence[float]
    rates: Sequence[tuple[str, float]]
    pairs_per_second: float | None
    waited_share: float
    memory_bytes: int | None
    seconds_left: float | None
    best: tuple[int, float] | None


def panel(glance: Glance, *, width: int, is_unicode: bool = True) -> Text:
    """Return the lines of the view, none of them wider than the terminal.

    Args:
        glance: What to show.
        width: Columns of the terminal.
        is_unicode: The terminal shows more than ASCII.
    """
    lines = [_head(glance, width=width, is_unicode=is_unicode)]
    lines += _flow(_pieces(glance, is_unicode=is_unicode), width)
    return Text("\n".join(lines), no_wrap=True, overflow="crop")


def sparkline(values: Sequence[float], *, width: int, is_unicode: bool = True) -> str:
    """Return values as a line of bars, means where there are more values than columns."""
    marks = BARS if is_unicode else ASCII_BARS
    columns = min(width, len(values))
    if columns < 1:
        return ""
    edges = [len(values) * column // columns for column in range(columns + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(marks[round((value - low) / span * (len(marks) - 1))] for value in means)


def clock(seconds: float) -> str:
    """Return seconds as 0:42, 3:20 or 5:02:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _head(glance: Glance, *, width: int, is_unicode: bool) -> str:
    """Return epoch, bar and count, and what is done at the moment."""
    is_over = glance.batches == glance.batches_per_epoch
    before = f"epoch {glance.epoch}/{glance.epochs} "
    after = f" {glance.batches}/{glance.batches_per_epoch}{' validation' if is_over else ''}"
    room = min(MAX_BAR, width - len(before) - len(after))
    if room < 4:
        return set_cell_size(before + after.strip(), width).rstrip()
    filled = room * glance.batches // max(1, glance.batches_per_epoch)
    full, empty = (FILLED, EMPTY) if is_unicode else (ASCII_FILLED, ASCII_EMPTY)
    return f"{before}{full * filled}{empty * (room - filled)}{after}"


def _pieces(glance: Glance, *, is_unicode: bool) -> list[str]:
    names = ("box", "cls", "dfl")
    pieces = [f"{name} {value:.3f}" for name, value in zip(names, glance.losses, strict=False)]
    if len(glance.trail) > 1:
        trail = sparkline(glance.trail, width=MAX_TRAIL, is_unicode=is_unicode)
        pieces.append(f"loss {trail}")
    pieces += [f"lr {rate:.2e}{f' {name}' if name else ''}" for name, rate in glance.rates]
    if glance.pairs_per_second is not None:
        pieces.append(f"{glance.pairs_per_second:.1f} pairs/s")
        pieces.append(f"data wait {glance.waited_share:.0%}")
    if glance.memory_bytes is not None:
        pieces.append(f"memory {glance.memory_bytes / 2**30:.1f} GiB")
    if glance.seconds_left is not None:
        pieces.append(f"{clock(glance.seconds_left)} left")
    if glance.best is not None:
        pieces.append(f"best mAP50-95 {glance.best[1]:.3f} (epoch {glance.best[0]})")
    return pieces


def _flow(pieces: Sequence[str], width: int) -> list[str]:
    """Return pieces in as few lines as fit; one that is too wide is cut."""
    lines: list[str] = []
    for piece in pieces:
        if cell_len(piece) > width:
            piece = set_cell_size(piece, width)
        if lines and cell_len(lines[-1]) + len(GAP) + cell_len(piece) <= width:
            lines[-1] += GAP + piece
        else:
            lines.append(piece)
    return lines
