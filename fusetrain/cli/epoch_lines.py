"""The line that each epoch leaves, in as many columns as a terminal has room for.

Without a terminal, in files and in the logs of a cluster, all columns are written.
"""

from __future__ import annotations

from collections.abc import Sequence

from fusetrain.results.run_dir import Row

ENDS = ("  *best so far", "  *best", "")
# Head, width and column of results.csv; the digits of its number.
COLUMNS = (
    ("box", 8, "train/box_loss", 3),
    ("cls", 6, "train/cls_loss", 2),
    ("dfl", 6, "train/dfl_loss", 2),
    ("mAP50", 8, "metrics/mAP50(B)", 3),
    ("mAP50-95", 9, "metrics/mAP50-95(B)", 3),
)
EPOCH, RATE, TIME = ("epoch", 8), ("lr", 10), ("time", 8)
# What a narrow terminal does without, the least missed first.
DISPENSABLE = ("dfl", "cls", "lr", "box", "mAP50", "time")


def header(width: int | None) -> str:
    """Return the heads of the columns.

    Args:
        width: Columns of the terminal; None where there is none.
    """
    shown = _shown(width)
    heads = [EPOCH, *((head, wide) for head, wide, _, _ in COLUMNS), RATE, TIME]
    line = "".join(f"{head:>{wide}}" for head, wide in heads if head in shown)
    return line + next(end for end in ENDS if width is None or len(line + end) < width or not end)


def epoch_line(row: Row, epochs: int, seconds: float, *, is_best: bool, width: int | None) -> str:
    """Return the line of an epoch; cells of an epoch without validation are dashes.

    Args:
        row: Its row of results.csv.
        epochs: Of the whole run.
        seconds: How long it took, validation included.
        is_best: Whether it is the best so far.
        width: Columns of the terminal; None where there is none.
    """
    shown = _shown(width)
    cells = [f"{row['epoch']:4g}/{epochs:<4d}"[: max(8, 5 + len(str(epochs)))]]
    cells += [
        _cell(row[column], wide, digits) for head, wide, column, digits in COLUMNS if head in shown
    ]
    if "lr" in shown:
        cells.append(f"{row['lr0']:10.2e}")
    if "time" in shown:
        cells.append(f"{seconds:6.1f} s")
    return "".join(cells) + ("*" if is_best else "")


def _shown(width: int | None) -> Sequence[str]:
    """Return the heads of the columns that fit, with room for the mark of the best epoch."""
    wide = dict([EPOCH, *((head, wide) for head, wide, _, _ in COLUMNS), RATE, TIME])
    if width is not None:
        for head in DISPENSABLE:
            if sum(wide.values()) + len(ENDS[1]) < width:
                break
            del wide[head]
    return tuple(wide)


def _cell(value: float | int | None, width: int, digits: int) -> str:
    return " " * (width - 1) + "-" if value is None else f"{value:{width}.{digits}f}"
