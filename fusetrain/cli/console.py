"""What the commands print: error panels, tables, progress and JSON, safe for any terminal.

Messages go to stderr, results to stdout. There is no colour without a terminal or with `NO_COLOR`,
and every string that came from a user passes through `safe` or `visible`, so that a file name can
neither break Rich's markup nor send control sequences.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fusetrain.errors import FusetrainError, Problem

MIN_WIDTH = 20
MAX_PROBLEMS = 50
GAP = 3  # characters beside a column of a table
MOST_LABEL = 15  # that are kept for the names of rows, where all columns are to stand side by side
DIRECTION_MARKS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def stderr_console() -> Console:
    """Return a console for messages, on the present stderr."""
    return _console(sys.stderr)


def stdout_console() -> Console:
    """Return a console for results that people read, on the present stdout."""
    return _console(sys.stdout)


def visible(text: object) -> str:
    r"""Return text with every control character, ESC included, written as ``\x1b``."""
    return "".join(_written(char) for char in str(text))


def safe(text: object) -> str:
    """Return text that prints as itself inside Rich markup; control characters become visible."""
    return escape(visible(text))


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout: ``"schema": 1`` first, non-finite numbers as null."""
    document = {"schema": 1, **_json_value(value)}
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def print_error(error: FusetrainError, *, speaker: str = "") -> None:
    """Print the panel of an error on stderr, with who speaks in its title, if that matters."""
    stderr_console().print(error_panel(error, speaker=speaker))


def error_panel(error: FusetrainError, *, speaker: str = "") -> Panel:
    """Return the box that says what is wrong, where, what was expected and what to type next."""
    told = ((error.what, ""), (error.where, "at "))
    lines = [_line(from_here(text), label=label) for text, label in told if text]
    lines += _problem_lines(error.problems)
    told = ((error.expected, "expected: "), (error.remedy, "next: "))
    lines += [_line(from_here(text), label=label) for text, label in told if text]
    return panel(", ".join(filter(None, (error.title, speaker))), lines)


def from_here(text: str) -> str:
    """Return text in which paths below the working folder are relative to it."""
    try:
        here = Path.cwd()
    except OSError:
        return text
    if here == Path(here.anchor):
        return text
    return re.sub(rf"(?<![\w./-]){re.escape(f'{here}{os.sep}')}(?=[^\s/])", "", text)


def panel(title: str, lines: Sequence[Text]) -> Panel:
    """Return the box of an error; the title is ours, the lines are already `Text`."""
    return Panel(
        Group(*lines), title=Text(title), title_align="left", border_style="red", box=box.ROUNDED
    )


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    right: Sequence[str] = (),
) -> Table:
    """Return a table; cells are shown as they are, without markup.

    Args:
        columns: Heads of the columns.
        rows: Cells; anything but text is turned into text.
        title: Line above the table.
        right: Columns that are set flush right, such as numbers.
    """
    result = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        result.add_column(
            Text(column), justify="right" if column in right else "left", overflow="fold"
        )
    for row in rows:
        result.add_row(*(cell if isinstance(cell, Text) else Text(visible(cell)) for cell in row))
    return result


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    widths: Sequence[int] = (),
) -> None:
    """Print a table on stdout; columns that do not fit stand in further tables below.

    Args:
        columns: Heads; the first column names the rows and stands in every table.
        rows: Cells, as of `table`.
        title: Line above the first table; the others say that they continue it.
        right: Columns that are set flush right.
        widths: Characters of each column with the gap beside it; as wide as its cells without.
    """
    console = stdout_console()
    label, *others = widths or _widths(columns, rows)
    start = 0
    while start < len(others) or not start:
        room, stop = console.width - label, start
        while stop < len(others) and (stop == start or others[stop] <= room):
            room -= others[stop]
            stop += 1
        shown = [0, *range(1 + start, 1 + stop)]
        heads = [columns[number] for number in shown]
        cells = [[row[number] for number in shown] for row in rows]
        name = f"{title}, continued".removeprefix(", ") if start else title
        console.print(table(heads, cells, title=name, right=right))
        start = max(stop, 1)


@contextmanager
def progress(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr while the block runs; silent where stderr is no terminal.

    Yields:
        A function to call with what is done and the total, as often as one likes.
    """
    console = stderr_console()
    if not console.is_terminal:
        yield _ignore
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(safe(description), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _console(stream: TextIO) -> Console:
    is_terminal = stream.isatty() and _moves_its_cursor()
    console = Console(
        file=stream,
        force_terminal=is_terminal,
        force_jupyter=False,
        no_color=bool(os.environ.get("NO_COLOR")) or not is_terminal,
        highlight=False,
        emoji=False,
    )
    if console.width < MIN_WIDTH:
        console.width = MIN_WIDTH
    return console


def _moves_its_cursor() -> bool:
    """Return whether lines can be drawn anew; a notebook, whose kernel names itself, piles them up.

    `!fusetrain` in a cell of a notebook runs in a terminal of IPython's own.
    """
    return os.environ.get("TERM") != "dumb" and "JPY_PARENT_PID" not in os.environ


def _written(char: str) -> str:
    if char.isprintable() and char not in DIRECTION_MARKS:
        return char
    is_hidden = char in DIRECTION_MARKS or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
    return char.encode("unicode_escape").decode("ascii") if is_hidden else char


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def _line(text: str, *, label: str = "") -> Text:
    return Text.assemble((label, "bold" if label else ""), visible(text), overflow="fold")


def _problem_lines(problems: Sequence[Problem]) -> Iterator[Text]:
    for number, problem in enumerate(problems[:MAX_PROBLEMS], start=1):
        yield _line(from_here(str(problem)), label=f"{number}. " if len(problems) > 1 else "")
    if len(problems) > MAX_PROBLEMS:
        yield _line(f"… and {len(problems) - MAX_PROBLEMS} more")


def _widths(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[int]:
    """Return the characters that the columns take, gaps and frame included; labels may fold."""
    widths = [
        max(cell_len(visible(cell)) for cell in cells) + GAP
        for cells in zip(columns, *rows, strict=True)
    ]
    return [min(widths[0], MOST_LABEL) + 1, *widths[1:]]


def _ignore(done: int, total: int) -> None:
    """Take progress where nobody looks."""
