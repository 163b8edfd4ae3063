"""The picture of learning rates over epochs: a figure in a file, and a drawing in the terminal.

Numbers come in, pictures go out; where the numbers come from, a plan or a run, is not known here.
matplotlib is imported only when a figure is made.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from fusetrain.errors import ResourceError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES = ("cyan", "yellow", "magenta", "green", "red", "blue")
MARKS = "●○▲△■□◆◇"
ASCII_MARKS = "*o+x#@%&"
BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
MIN_PLOT_WIDTH = 16
MAX_ABOVE_MAIN = 2.0


@dataclass(frozen=True)
class LrLine:
    """One line of the picture.

    Attributes:
        label: Its name in the legend.
        epochs: Epochs done after each step, ascending.
        values: Learning rates, or losses, at these times.
        is_points: Drawn as points, so that a line under them stays visible.
        is_main: The schedule itself; other lines are groups that depart from it, drawn thin.
    """

    label: str
    epochs: Sequence[float]
    values: Sequence[float]
    is_points: bool = False
    is_main: bool = True


@dataclass(frozen=True)
class LrChart:
    """All that one picture shows.

    Attributes:
        title: Line above the picture.
        lines: Learning rates.
        num_epochs: Right end of the time axis.
        warmup_epochs: Length of the warmup, shaded from 0 on; 0 shades nothing.
        losses: Losses, drawn against an axis of their own (figure only).
    """

    title: str
    lines: Sequence[LrLine]
    num_epochs: float
    warmup_epochs: float = 0.0
    losses: Sequence[LrLine] = ()


def _top(chart: LrChart) -> float:
    """Return the rate at the upper end of the picture.

    A warmup of biases may start a hundred times above lr0; it is cut off, so that the schedule
    itself stays visible.
    """
    main = max((value for line in chart.lines if line.is_main for value in line.values), default=0)
    whole = max((value for line in chart.lines for value in line.values), default=0)
    top = whole if whole <= MAX_ABOVE_MAIN * main or not main else MAX_ABOVE_MAIN * main
    return top or 1.0


def _label(line: LrLine, chart: LrChart) -> str:
    """Return the legend of a line, with its highest value where the picture cuts it off."""
    highest = max(line.values, default=0.0)
    return f"{line.label} (up to {highest:.3g})" if highest > _top(chart) else line.label


def save_lr_figure(chart: LrChart, path: Path) -> None:
    """Draw the chart into a PNG or SVG file, by suffix; equal charts give equal files.

    Raises:
        ResourceError: The file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "fusetrain"}), warnings.catch_warnings():
        # A run may be named in letters that the font lacks; they become boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(9.0, 4.8), dpi=120)
        FigureCanvasAgg(figure)
        # Fixed margins: a fitted layout would draw everything twice.
        right = 0.92 if chart.losses else 0.97
        figure.subplots_adjust(left=0.08, right=right, bottom=0.11, top=0.92)
        _draw_axes(figure.subplots(), chart)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        try:
            figure.savefig(path, metadata=metadata)
        except OSError as error:
            raise ResourceError(f"{path} cannot be written: {error.strerror}") from error


def _draw_axes(axes: Axes, chart: LrChart) -> None:
    handles: list[Any] = []
    if chart.warmup_epochs:
        handles.append(
            axes.axvspan(0, chart.warmup_epochs, color="tab:orange", alpha=0.12, label="warmup")
        )
    for index, line in enumerate(chart.lines):
        handles += axes.plot(
            line.epochs,
            line.values,
            label=_plain(_label(line, chart)),
            color=f"C{index}",
            linewidth=1.8 if line.is_main else 1.2,
            zorder=3 if line.is_main else 2,
            linestyle="none" if line.is_points else "-" if line.is_main else "--",
            marker="o" if line.is_points or len(line.values) == 1 else None,
            markersize=4.0,
            markerfacecolor="none",
        )
    axes.set(xlabel="epoch", ylabel="learning rate", title=_plain(chart.title))
    axes.set_xlim(0, chart.num_epochs)
    axes.set_ylim(0, _top(chart) * 1.06)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    axes.grid(alpha=0.3)
    handles += _draw_losses(axes, chart)
    axes.legend(handles=handles, loc="best", fontsize="small")


def _draw_losses(axes: Axes, chart: LrChart) -> list[Any]:
    if not chart.losses:
        return []
    loss_axes = axes.twinx()
    loss_axes.set_ylabel("loss")
    handles: list[Any] = []
    for index, line in enumerate(chart.losses):
        handles += loss_axes.plot(
            line.epochs,
            line.values,
            label=_plain(line.label),
            color=f"C{len(chart.lines) + index}",
            linestyle=":",
            marker="." if len(line.values) < 50 else None,
        )
    return handles


def _plain(label: str) -> str:
    """Return text that matplotlib neither hides, nor reads as a formula, nor breaks."""
    shown = "".join(char if char.isprintable() else "?" for char in label)
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    return (f" {shown}" if shown.startswith("_") else shown).replace("$", r"\$")


def draw_lr_text(
    chart: LrChart, *, width: int = 80, height: int = 15, is_unicode: bool = True
) -> Text:
    """Draw the chart with characters.

    A single line is drawn in Braille dots, several each with a mark of its own; pure ASCII where
    the terminal shows nothing else. The warmup is the thick part of the time axis.

    Args:
        chart: What to draw; losses are left out.
        width: Columns of the terminal.
        height: Rows of the plot itself, without title, axis and legend; odd.
        is_unicode: The terminal shows more than ASCII.
    """
    top = _top(chart)
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
    warm = min(width, round(chart.warmup_epochs / chart.num_epochs * width))
    warm = max(warm, 1) if chart.warmup_epochs else 0
    corner, thin, thick = "└─━" if is_unicode else "+-="
    axis = f"{'':{margin}}{corner}{thick * warm}{thin * (width - warm)}\n"
    end = f"{chart.num_epochs:g}"
    middle = f"{chart.num_epochs / 2:g}"
    left = width // 2 - 1
    numbers = f"{'0':<{left}}{middle:<{width - left - len(end)}}{end}"
    return f"{axis}{'':{margin + 1}}{numbers}\n"


def _legend(chart: LrChart, *, marks: str, width: int) -> str:
    is_unicode = not marks.isascii()
    entries = [
        f"{marks[index % len(marks)]} {_label(line, chart)}"
        for index, line in enumerate(chart.lines)
    ]
    if chart.warmup_epochs:
        unit = "epoch" if chart.warmup_epochs == 1 else "epochs"
        entries.append(f"{'━' if is_unicode else '='} warmup {chart.warmup_epochs:.3g} {unit}")
    entries.append("x: epoch, y: learning rate")
    lines = [""]
    for entry in entries:
        entry = _clipped(entry, width, is_unicode=is_unicode)
        if lines[-1] and len(lines[-1]) + 3 + len(entry) > width:
            lines.append("")
        lines[-1] += f"{'   ' if lines[-1] else ''}{entry}"
    return "\n".join(lines)


def _clipped(text: str, width: int, *, is_unicode: bool) -> str:
    """Return text on one line of at most ``width`` printable characters."""
    shown = "".join(char if char.isprintable() else "?" for char in text)
    if not is_unicode:
        shown = shown.encode("ascii", "replace").decode("ascii")
    return shown if len(shown) <= width else f"{shown[: width - 3]}..."
