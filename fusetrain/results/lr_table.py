"""Learning rates as tables: read from the `results.csv` of a run, compared with a plan, written.

Three layouts are read, padded with blanks or not: ours, Ultralytics' (`lr/pgK`) and YOLOv5's
(`x/lrK`). It knows no schedule; planned rates come in as numbers.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fusetrain.errors import ResourceError, RunError, reason
from fusetrain.results.run_table import SEMICOLONS, has_semicolons, how_to_rewrite

OLD_KINDS = ("bias", "decay", "norm")
KINDS = ("decay", "norm", "bias")


@dataclass(frozen=True)
class LrTable:
    """The learning rates and losses that a run logged, one value an epoch.

    Attributes:
        path: The file.
        epochs: Numbers of the epochs, from 1; YOLOv5 counts from 0 and is moved by one.
        rates: Column of the file to the rate at the last step of each epoch.
        names: Column of the file to what it means, for readers.
        main: Column that follows the schedule itself, without a bias rate of its own.
        losses: `train` and `val` to the sum of their losses; None where none was logged.
    """

    path: Path
    epochs: tuple[int, ...]
    rates: Mapping[str, tuple[float, ...]]
    names: Mapping[str, str]
    main: str
    losses: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class Departure:
    """One place where a run is not where its plan was.

    Attributes:
        epoch: From 1.
        column: Column of `results.csv`.
        planned: Rate of the plan; None where the plan has no such epoch or column.
        logged: Rate of the run; None where the run has no such column.
    """

    epoch: int
    column: str
    planned: float | None
    logged: float | None

    def __str__(self) -> str:
        sides = [
            "not there" if rate is None else repr(rate) for rate in (self.planned, self.logged)
        ]
        return f"epoch {self.epoch}, {self.column}: planned {sides[0]}, logged {sides[1]}"


def read_lr_table(path: Path) -> LrTable:
    """Read the learning rates of a `results.csv`.

    Raises:
        RunError: The file is missing, is no such table, or holds something else than numbers.
    """
    header, lines = _read_cells(path)
    columns = [name for name in header if re.fullmatch(r"lr0|lr/pg\d+|x/lr\d+", name)]
    if "epoch" not in header or not columns:
        raise RunError(
            "the file has no learning rates",
            where=str(path),
            expected="columns `epoch` and `lr0`, `lr/pg0` … or `x/lr0` …, as in results.csv",
            remedy=how_to_rewrite(path),
        )
    cells = {
        name: [_number(row[index], path, line, name) for line, row in lines]
        for index, name in enumerate(header)
        if name in columns or name == "epoch" or name.endswith("_loss")
    }
    rates = {name: _complete(cells[name], path, name) for name in columns}
    first_epoch_is_0 = columns[0].startswith("x/")
    names, main = _meaning(rates)
    return LrTable(
        path=path,
        epochs=tuple(
            int(epoch) + first_epoch_is_0 for epoch in _complete(cells["epoch"], path, "epoch")
        ),
        rates=rates,
        names=names,
        main=main,
        losses={
            side: _sums([cells[name] for name in cells if name.startswith(f"{side}/")])
            for side in ("train", "val")
        },
    )


def read_cells(path: Path) -> dict[str, tuple[float | None, ...]]:
    """Return every column of a `results.csv`, empty cells as None.

    Raises:
        RunError: The file is missing, is no such table, or holds something else than numbers.
    """
    header, lines = _read_cells(path)
    return {
        name: tuple(_number(row[index], path, line, name) for line, row in lines)
        for index, name in enumerate(header)
    }


def find_departures(
    table: LrTable,
    columns: Sequence[str],
    planned_row: Callable[[int], Sequence[float] | None],
) -> list[Departure]:
    """Compare what a run logged with its plan, to the last digit.

    Args:
        table: The run.
        columns: Names of the planned columns.
        planned_row: Epoch, from 1, to the planned rates at its last step in the order of
            ``columns``; None for an epoch that the plan does not have.

    Returns:
        Every departure, epoch by epoch; none if the run followed the plan.
    """
    found = []
    for index, epoch in enumerate(table.epochs):
        planned = dict(zip(columns, planned_row(epoch) or (), strict=False))
        for column in dict.fromkeys((*columns, *table.rates)):
            wanted = planned.get(column)
            logged = table.rates[column][index] if column in table.rates else None
            if wanted != logged:
                found.append(Departure(epoch, column, wanted, logged))
    return found


def write_lr_csv(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[int | float | None]]
) -> None:
    """Write rows of numbers, floats by ``repr``.

    Raises:
        ResourceError: The file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(",".join(columns) + "\n")
            file.writelines(",".join(map(repr, row)) + "\n" for row in rows)
    except OSError as error:
        raise ResourceError(
            f"{path} cannot be written: {error.strerror}",
            expected="a folder that is there, may be written to and has room",
        ) from error


def _read_cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the rows with their line numbers, blanks around cells removed."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        what = f"the table cannot be read: {reason(error)}"
        raise _unreadable(what, path) from error
    if not rows:
        raise _unreadable("the table is empty", path)
    header = rows[0][1]
    if has_semicolons(",".join(header)):
        raise _unreadable(f"the table cannot be read: {SEMICOLONS}", path)
    for line, row in rows[1:]:
        if len(row) != len(header):
            what = f"the row has {len(row)} cells, the header has {len(header)}"
            raise _unreadable(what, path, line)
    return header, rows[1:]


def _unreadable(what: str, path: Path, line: int | None = None) -> RunError:
    """Return the error of a table, with what writes it anew."""
    where = str(path) if line is None else f"{path}:{line}"
    return RunError(what, where=where, remedy=how_to_rewrite(path))


def _number(cell: str, path: Path, line: int, column: str) -> float | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        raise _unreadable(f"{column} is {cell!r}, no number", path, line) from None


def _complete(cells: Sequence[float | None], path: Path, column: str) -> tuple[float, ...]:
    values = tuple(value for value in cells if value is not None and math.isfinite(value))
    if len(values) != len(cells):
        raise _unreadable(f"{column} has empty or infinite cells", path)
    return values


def _meaning(rates: Mapping[str, tuple[float, ...]]) -> tuple[dict[str, str], str]:
    """Return what each column means, and which one follows the schedule.

    Ours names the schedule itself `lr0`. YOLOv5 and early Ultralytics releases put the biases
    first, newer releases put them last; the header does not tell. Biases start at a higher rate,
    so a `lr/pg0` that starts above `lr/pg2` is taken for the old order.
    """
    columns = list(rates)
    if "lr0" in rates:
        return {name: name for name in columns}, "lr0"
    first = [rates[name][0] if rates[name] else 0.0 for name in columns]
    is_old = columns[0].startswith("x/") or (len(columns) >= 3 and first[0] > first[2])
    kinds = OLD_KINDS if is_old else KINDS
    if len(columns) != len(kinds):
        return {name: name for name in columns}, columns[0]
    names = {name: f"{name} ({kind})" for name, kind in zip(columns, kinds, strict=True)}
    return names, columns[kinds.index("decay")]


def _sums(columns: Sequence[Sequence[float | None]]) -> tuple[float | None, ...]:
    return tuple(
        sum(value for value in row if value is not None) if None not in row else None
        for row in zip(*columns, strict=True)
    )
