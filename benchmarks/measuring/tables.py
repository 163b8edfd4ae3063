"""Print a table for people: padded columns, or Markdown to be pasted into a document."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

Row = Sequence[str]


def table_text(header: Row, rows: Sequence[Row], *, markdown: bool = False) -> str:
    """Return a table; the first column stands to the left, the others to the right."""
    if markdown:
        rule = ["---", *("---:" for _ in header[1:])]
        return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    )


def promise(what: str, value: float, *, least: float = 0.0, most: float = 0.0) -> str:
    """Return a line that says whether a ratio is ``least`` or more, or ``most`` or less."""
    is_reached = value >= least if least else value <= most
    wanted = f"at least {least:g}x" if least else f"at most {most:g}x"
    return f"{what} {value:.2f}x; wanted {wanted}: {'reached' if is_reached else 'missed'}"


def mean_text(values: Sequence[float], *, digits: int = 3, sign: str = "") -> str:
    """Return the mean; of several values also their sample standard deviation."""
    text = f"{statistics.fmean(values):{sign}.{digits}f}"
    return f"{text} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else text
