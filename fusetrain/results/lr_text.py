"""The picture of learning rates in the terminal, drawn with characters.

A single line is drawn in Braille dots, several each with a mark of its own; pure ASCII where the
terminal shows nothing else. What is drawn stands in `lr_chart.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.text import Text

from fusetrain.results.lr_chart import LrChart, LrLine

STYLES = ("cyan", "yellow", "magenta", "green", "red", "blue")
MARKS = "●○▲△■□◆◇"
ASCII_MARKS = "*o+x#@%&"
BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
AXIS = ("└", "─", "━", "┻")  # corner, time, warmup, restart
ASCII_AXIS = ("+", "-", "=", "^")
MIN_PLOT_WIDTH = 16


def draw_lr_text(
    chart: LrChart, *, width: int = 80, height: int = 15, is_unicode: bool = True
) -> Text:
    """Draw the chart with characters; the warmup is the thick part of the time axis.

    Args:
        chart: What to draw; losses, stages and momenta are left out.
        width: Columns of the terminal.
        height: Rows of the plot itself, without title, axis and legend; odd.
        is_unicode: The terminal shows more than ASCII.
    """
    top = chart.top
    ticks = {0: f"{top:.3g}", height // 2: f"{top / 2:.3g}", height - 1: "0"}
    margin = max(map(len, ticks.values())) + 1
    plot_width = max(MIN_PLOT_WIDTH, width - margin - 2)
    is_braille = is_unicode and len(chart.lines) == 1
    marks = MARKS if is_unicode else ASCII_MARKS
    grid: list[list[tuple[str, str]]] = [[(" ", "")] * plot_width for _ in range(height)]
    for index, line in _main_last(chart.lines):
        cells = _cells(line, chart, top=top, size=(height, plot_width), is_braille=is_braille)
        for (row, column), dots in cells.items():
            char = chr(0x2800 + dots) if is_braille else marks[index % len(marks)]
            grid[row][column] = (char, STYLES[index % len(STYLES)])
    text = Text(_clipped(chart.title, width, is_unicode=is_unicode) + "\n")
    for row, cells_of_row in enumerate(grid):
        text.append(f"{ticks.get(row, ''):>{margin}}{'┤' if is_unicode else '|'}")
        for char, style in cells_of_row:
            text.append(char, style=style or None)
        text.append("\n")
    text.append(_time_axis(chart, margin=margin, width=plot_width, is_unicode=is_unicode))
    text.append(_legend(chart, marks="⣿" if is_braille else marks, width=width))
    return text


def _main_last(lines: Sequence[LrLine]) -> list[tuple[int, LrLine]]:
    """Return the lines with their numbers in the order in which one may hide another."""
    return sorted(enumerate(lines), key=lambda item: item[1].is_main)


def _cells(
    line: LrLine, chart: LrChart, *, top: float, size: tuple[int, int], is_braille: bool
) -> dict[tuple[int, int], int]:
    """Return the cells (row, column) that a line passes, with their Braille dots."""
    fine_rows, fine_columns = (4, 2) if is_braille else (1, 1)
    rows, columns = size[0] * fine_rows, size[1] * fine_columns
    points = [
        (
            min(columns - 1, int(epoch / chart.num_epochs * columns)),
            rows - 1 - round(value / top * (rows - 1)),
        )
        for epoch, value in zip(line.epochs, line.values, strict=True)
        if value <= top
    ]
    cells: dict[tuple[int, int], int] = {}
    for x, y in points if line.is_points else _joined(points):
        key = (y // fine_rows, x // fine_columns)
        cells[key] = cells.get(key, 0) | BRAILLE_DOTS[y % fine_rows][x % fine_columns]
    return cells


def _joined(points: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the points with the straight ways between them filled in."""
    path = list(points[:1])
    for (x0, y0), (x1, y1) in pairwise(points):
        length = max(abs(x1 - x0), abs(y1 - y0))
        path += [
            (x0 + round((x1 - x0) * i / length), y0 + round((y1 - y0) * i / length))
            for i in range(1, length + 1)
        ]
    return path


def _time_axis(chart: LrChart, *, margin: int, width: int, is_unicode: bool) -> str:
    corner, thin, thick, restart = AXIS if is_unicode else ASCII_AXIS
    cells = list(thin * width)
    for start, stop in chart.warmups:
        first, behind = (
            min(width, round(epoch / chart.num_epochs * width)) for epoch in (start, stop)
        )
        first = min(first, width - 1)
        cells[first : max(behind, first + 1)] = thick * max(behind - first, 1)
    for epoch in chart.restarts:
        cells[min(width - 1, int(epoch / chart.num_epochs * width))] = restart
    axis = f"{'':{margin}}{corner}{''.join(cells)}\n"
    end = f"{chart.num_epochs:g}"
    middle = f"{chart.num_epochs / 2:g}"
    left = width // 2 - 1
    numbers = f"{'0':<{left}}{middle:<{width - left - len(end)}}{end}"
    return f"{axis}{'':{margin + 1}}{numbers}\n"


def _legend(chart: LrChart, *, marks: str, width: int) -> str:
    is_unicode = not marks.isascii()
    entries = [
        f"{marks[index % len(marks)]} {chart.label_of(line)}"
        for index, line in enumerate(chart.lines)
    ]
    if chart.warmups:
        entries.append(f"{'━' if is_unicode else '='} {_lengths(chart.warmups)}")
    if chart.restarts:
        count = f"{len(chart.restarts)} restart{'s' if len(chart.restarts) > 1 else ''}"
        entries.append(f"{(AXIS if is_unicode else ASCII_AXIS)[-1]} {count}")
    entries.append("x: epoch, y: learning rate")
    lines = [""]
    for entry in entries:
        entry = _clipped(entry, width, is_unicode=is_unicode)
        if lines[-1] and len(lines[-1]) + 3 + len(entry) > width:
            lines.append("")
        lines[-1] += f"{'   ' if lines[-1] else ''}{entry}"
    return "\n".join(lines)


def _lengths(warmups: Sequence[tuple[float, float]]) -> str:
    """Return the word for one warmup with its length, or how many there are."""
    if len(warmups) > 1:
        return f"{len(warmups)} warmups"
    ((begin, end),) = warmups
    return f"warmup {end - begin:.3g} {'epoch' if end - begin == 1 else 'epochs'}"


def _clipped(text: str, width: int, *, is_unicode: bool) -> str:
    """Return text on one line of at most ``width`` printable characters."""
    shown = "".join(char if char.isprintable() else "?" for char in text)
    if not is_unicode:
        shown = shown.encode("ascii", "replace").decode("ascii")
    return shown if len(shown) <= width else f"{shown[: width - 3]}..."
