"""The figure of a learning-rate range test: the loss over the rate, and the rate it suggests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fusetrain.results.figure_style import LINE_COLOURS, legend_above, save_figure, say_empty

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADROOM = 1.6


def save_range_figure(
    path: Path,
    *,
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggested: float | None,
) -> None:
    """Draw a range test.

    Args:
        path: PNG or SVG file, by suffix.
        rates: Learning rate of each step.
        losses: Loss of each step.
        smoothed: Smoothed loss of each step.
        suggested: Rate to mark; None marks none.

    Raises:
        ResourceError: The file cannot be written.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_title("learning-rate range test")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss of a pair")
        axes.grid(True)
        if not rates:
            say_empty(axes, "the first step was not finite already")
            return
        axes.set_xscale("log")
        axes.plot(rates, losses, ".", color="0.6", label="a step")
        axes.plot(rates, smoothed, color=LINE_COLOURS[0], label="smoothed")
        if suggested is not None:
            label = f"suggested lr0 {suggested:.2g}"
            axes.axvline(suggested, color=LINE_COLOURS[1], linestyle="--", label=label)
        axes.set_ylim(0.9 * min(losses), HEADROOM * max(smoothed[0], min(losses)))
        legend_above(axes, columns=3)

    save_figure(path, draw, size_inches=(8.0, 4.5))
