"""Figures over confidence and over false detections: where to set the threshold, and what it costs.

Numbers come from `metrics.py` and `miss_rate.py`; precision over recall is drawn in `plots.py`.
Shape legend: C classes, P confidence levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fusetrain.results.figure_style import line_look, plain, save_figure, say_empty
from fusetrain.results.metrics import CONFIDENCES, DetectionMetrics
from fusetrain.results.miss_rate import REFERENCE_FPPI, MissRates
from fusetrain.results.overlaps import Floats, Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_NAMED_CURVES = 12
LOWEST_MISS_RATE = 0.01
NO_BOX = "the split has no true box"


def save_confidence_figure(
    path: Path, metrics: DetectionMetrics, *, class_names: Sequence[str]
) -> None:
    """Draw precision, recall and F1 over confidence at IoU 0.5, and mark the best mean F1.

    Of many classes only those with most boxes are named, the others are grey.

    Args:
        path: PNG or SVG file.
        metrics: The curves, and the confidence that is marked.
        class_names: C names.

    Raises:
        ResourceError: The file cannot be written.
    """
    curves = metrics.curves
    present = _by_boxes(metrics.per_class.num_truth)

    def draw(figure: Figure) -> None:
        panels = (("precision", curves.precision), ("recall", curves.recall), ("F1", curves.f1))
        for axes, (title, levels) in zip(figure.subplots(1, 3), panels, strict=True):
            axes.set(title=f"{title}, IoU 0.5", xlabel="confidence")
            axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.02))
            axes.grid(visible=True)
            if not present:
                say_empty(axes, NO_BOX)
                continue
            _draw_classes(axes, CONFIDENCES, levels, present, class_names)
            mean = levels[present].mean(axis=0)
            axes.plot(CONFIDENCES, mean, color="black", linewidth=2.5, label="mean")
            best = f"best mean F1: {metrics.best_confidence:.3f}"
            axes.axvline(metrics.best_confidence, color="0.35", linestyle=":", label=best)
        if present:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))

    save_figure(path, draw, size_inches=(14.0, 4.6))


def save_miss_rate_figure(path: Path, rates: MissRates, *, class_names: Sequence[str]) -> None:
    """Draw the miss rates over false positives an image, both in logarithmic scale.

    Args:
        path: PNG or SVG file.
        rates: The miss rates.
        class_names: C names.

    Raises:
        ResourceError: The file cannot be written.
    """
    present = _by_boxes(rates.num_truth)
    names = [
        f"{name}, {rate:.3f}" for name, rate in zip(class_names, rates.log_average, strict=True)
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set(xlabel="false positives per image", ylabel="miss rate")
        axes.set_title("Miss rate over FPPI, IoU 0.5")
        if not present:
            say_empty(axes, NO_BOX)
            return
        levels = np.maximum(rates.at_fppi, LOWEST_MISS_RATE)
        _draw_classes(axes, REFERENCE_FPPI, levels, present, names, marker="o")
        axes.set(xscale="log", yscale="log", ylim=(LOWEST_MISS_RATE, 1.1))
        axes.grid(visible=True, which="both")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), title="class, MR^-2")

    save_figure(path, draw, size_inches=(8.0, 5.0))


def _by_boxes(num_truth: Ints) -> list[int]:
    """Return the classes that have a true box, those with most boxes first."""
    return [int(row) for row in np.argsort(-num_truth, kind="stable") if num_truth[row]]


def _draw_classes(
    axes: Axes,
    places: Floats,
    levels: Floats,
    present: Sequence[int],
    names: Sequence[str],
    *,
    marker: str = "",
) -> None:
    for number, row in enumerate(present):
        if number < MAX_NAMED_CURVES:
            colour, dashes = line_look(number)
            axes.plot(
                places,
                levels[row],
                color=colour,
                linestyle=dashes,
                marker=marker,
                markersize=4,
                label=plain(names[row]),
            )
        else:
            axes.plot(places, levels[row], color="0.8", linewidth=0.8, zorder=1)
    if len(present) > MAX_NAMED_CURVES:
        axes.plot([], [], color="0.75", label=f"{len(present) - MAX_NAMED_CURVES} others")
