"""The picture of learning rates over epochs, as a figure in a file.

Numbers come in, as `lr_chart.py` describes them, and a file goes out; where the numbers come from,
a plan or a run, is not known here. matplotlib is imported only when a figure is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusetrain.results.figure_style import line_look, save_figure
from fusetrain.results.lr_chart import LrChart, LrLine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_INCHES = (9.0, 4.8)
MOMENTUM_INCHES = 1.4
MAX_LABEL_CHARS = 60
LEGEND_CHARS = 110
MAX_COLUMNS = 4
MARKERS = ("o", "s", "^", "D")
WARMUP_COLOUR, STAGE_COLOUR, MARK_COLOUR = "0.9", "0.96", "0.25"


def save_lr_figure(chart: LrChart, path: Path) -> None:
    """Draw the chart into a PNG or SVG file, by suffix; equal charts give equal files.

    Raises:
        ResourceError: The file cannot be written.
    """
    width, height = SIZE_INCHES
    height += MOMENTUM_INCHES if chart.momenta else 0.0

    def draw(figure: Figure) -> None:
        if chart.momenta:
            rates, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
            _draw_momenta(below, chart)
        else:
            rates = below = figure.subplots()
        handles = _draw_rates(rates, chart)
        below.set_xlabel("epoch")
        longest = max((len(handle.get_label()) for handle in handles), default=1)
        columns = max(1, min(MAX_COLUMNS, LEGEND_CHARS // (longest + 6)))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns)

    save_figure(path, draw, size_inches=(width, height))


def _draw_rates(axes: Axes, chart: LrChart) -> list[Any]:
    """Draw all but the momenta; returns what stands in the legend."""
    handles = _draw_spans(axes, chart)
    for index, line in enumerate(chart.lines):
        handles += _plot(axes, line, label=chart.label_of(line), number=index)
    if chart.restarts:
        handles += axes.plot(
            chart.restarts,
            [0.0] * len(chart.restarts),
            label="restart",
            color=MARK_COLOUR,
            marker="^",
            linestyle="none",
            clip_on=False,
            zorder=5,
        )
    axes.set_title(_plain(chart.title))
    axes.set_ylabel("learning rate")
    axes.set_xlim(0, chart.num_epochs)
    axes.set_ylim(0, chart.top * 1.06)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    axes.grid()
    return handles + _draw_losses(axes, chart)


def _draw_spans(axes: Axes, chart: LrChart) -> list[Any]:
    """Shade the warmups and every other stage; stages carry their name at the top."""
    for number, (begin, end, name) in enumerate(chart.stages):
        if number % 2 == 0:
            axes.axvspan(begin, end, color=STAGE_COLOUR, zorder=0)
        axes.annotate(
            _plain(name),
            ((begin + end) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, -3),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            color="0.35",
        )
    handles = [
        axes.axvspan(begin, end, color=WARMUP_COLOUR, label="warmup", zorder=0.5)
        for begin, end in chart.warmups
    ]
    return handles[:1]


def _plot(axes: Axes, line: LrLine, *, label: str, number: int) -> Sequence[Any]:
    """Draw one line in the look of its number: a colour of its own, and dashes or marks."""
    colour, dashes = line_look(number)
    marks = MARKERS[number % len(MARKERS)]
    return axes.plot(
        line.epochs,
        line.values,
        label=_plain(label),
        color=colour,
        linewidth=1.8 if line.is_main else 1.2,
        zorder=3 if line.is_main else 2,
        linestyle="none" if line.is_points else dashes,
        marker=marks if line.is_points or len(line.values) == 1 else None,
        markersize=4.0,
        markerfacecolor="none",
    )


def _draw_losses(axes: Axes, chart: LrChart) -> list[Any]:
    if not chart.losses:
        return []
    loss_axes = axes.twinx()
    loss_axes.set_ylabel("loss")
    loss_axes.spines["right"].set_visible(True)
    handles: list[Any] = []
    for index, line in enumerate(chart.losses, start=len(chart.lines)):
        colour, _ = line_look(index)
        handles += loss_axes.plot(
            line.epochs,
            line.values,
            label=_plain(line.label),
            color=colour,
            linestyle=":",
            linewidth=1.2,
            marker="." if len(line.values) < 50 else None,
        )
    return handles


def _draw_momenta(axes: Axes, chart: LrChart) -> None:
    labels = [line.label for line in chart.lines]
    for line in chart.momenta:
        number = labels.index(line.label) if line.label in labels else 0
        _plot(axes, line, label=line.label, number=number)
    axes.set_ylabel("momentum")
    axes.grid()


def _plain(label: str) -> str:
    """Return text that matplotlib neither hides, nor reads as a formula, nor breaks."""
    shown = "".join(char if char.isprintable() else "?" for char in label)
    shown = shown if len(shown) <= MAX_LABEL_CHARS else f"{shown[: MAX_LABEL_CHARS - 1]}…"
    return (f" {shown}" if shown.startswith("_") else shown).replace("$", r"\$")
