"""The figure of a search for settings: what every trial reached, and which settings mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from fusetrain.results.figure_style import (
    LINE_COLOURS,
    legend_above,
    plain,
    save_figure,
    say_empty,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BARS = 12


@dataclass(frozen=True)
class SearchPoint:
    """What a trial reached.

    Attributes:
        number: Of the trial, from 0.
        score: Its best score.
        is_complete: False where it was given up before its end.
    """

    number: int
    score: float
    is_complete: bool


def save_search_figure(
    path: Path, points: Sequence[SearchPoint], *, importances: Mapping[str, float], metric: str
) -> None:
    """Draw a search.

    Args:
        path: PNG or SVG file, by suffix.
        points: The trials, by number.
        importances: Setting to its share in the differences of scores, in [0, 1].
        metric: What the score is.

    Raises:
        ResourceError: The file cannot be written.
    """

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_scores(left, points, metric=metric)
        _draw_importances(right, importances)

    save_figure(path, draw, size_inches=(11.0, 4.5))


def _draw_scores(axes: Axes, points: Sequence[SearchPoint], *, metric: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title("trials")
    axes.set_xlabel("trial")
    axes.set_ylabel(metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True)
    if not points:
        say_empty(axes, "no trial has a score yet")
        return
    for is_complete, label, marker in ((True, "complete", "o"), (False, "not complete", "x")):
        some = [point for point in points if point.is_complete is is_complete]
        if some:
            colour = LINE_COLOURS[0] if is_complete else "0.5"
            numbers, scores = [point.number for point in some], [point.score for point in some]
            axes.plot(numbers, scores, marker, color=colour, label=label)
    complete = [point for point in points if point.is_complete]
    best = list(accumulate((point.score for point in complete), max))
    numbers = [point.number for point in complete]
    axes.plot(numbers, best, drawstyle="steps-post", color=LINE_COLOURS[1], label="best so far")
    legend_above(axes, columns=3)


def _draw_importances(axes: Axes, importances: Mapping[str, float]) -> None:
    axes.set_title("share of settings")
    if not importances:
        say_empty(axes, "too few trials are complete")
        return
    shown = sorted(importances.items(), key=lambda item: item[1])[-MAX_BARS:]
    axes.barh([plain(name) for name, _ in shown], [share for _, share in shown], color="0.6")
    axes.set_xlim(0.0, 1.0)
    axes.set_axisbelow(True)
    axes.grid(True, axis="x")
