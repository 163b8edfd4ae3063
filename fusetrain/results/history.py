"""The epochs of a run as its results.csv tells them: read back, and which of them was the best.

The file is written by `run_dir.py`. Learning rates of foreign tables are read in `lr_table.py`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from fusetrain.errors import RunError, reason
from fusetrain.results.run_dir import CSV_COLUMNS, Row
from fusetrain.results.run_table import SEMICOLONS, has_semicolons, how_to_rewrite

BEST_COLUMN = "metrics/mAP50-95(B)"
METRICS = {"map50": "metrics/mAP50(B)", "map50_95": BEST_COLUMN}


def read_history(path: Path) -> list[Row]:
    """Return the rows of a results.csv, column to number, None for an empty cell.

    Args:
        path: The file; where there is none yet, no epoch is over.

    Raises:
        RunError: It is not a table of ours.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_rows(csv.DictReader(file, strict=True)))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        what = f"{path} cannot be read: {reason(error)}"
        raise RunError(what, remedy=how_to_rewrite(path)) from error


def best_row(history: Sequence[Row]) -> Row | None:
    """Return the epoch with the highest mAP50-95, the earlier one at a tie; None without any."""
    judged = [row for row in history if math.isfinite(_score(row))]
    return max(judged, key=_score, default=None)


def best_scores(path: Path) -> dict[str, float]:
    """Return the metrics of the best epoch of a results.csv, by their names in `METRICS`.

    Raises:
        RunError: It is not a table of ours, or no epoch in it was validated.
    """
    best = best_row(read_history(path))
    if best is None:
        raise RunError(f"no epoch of {path} was validated")
    return {name: best[column] or 0.0 for name, column in METRICS.items()}


def _rows(table: csv.DictReader[str]) -> Iterator[Row]:
    header = table.fieldnames or ()
    if has_semicolons(",".join(header)):
        raise ValueError(SEMICOLONS)
    missing = [column for column in CSV_COLUMNS if column not in header]
    if missing:
        raise ValueError(f"it has no column {missing[0]}")
    for cells in table:
        yield {
            column: _number(cell, column, table.line_num)
            for column, cell in cells.items()
            if isinstance(column, str) and not isinstance(cell, list)
        }


def _number(cell: str | None, column: str, line: int) -> float | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        raise ValueError(f"in line {line} {column} is {cell!r}, no number") from None


def _score(row: Row) -> float:
    score = row[BEST_COLUMN]
    return math.nan if score is None else score
