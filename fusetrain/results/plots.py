"""Figures of how a run went and how well its detector separates: curves over epochs and recall.

Numbers in, files out; nothing is computed that a table would not hold. Labels of the data set are
drawn in `label_plot.py`, the confusion matrix in `confusion_plot.py`, rates in `lr_plot.py`.
Shape legend: C classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fusetrain.results.figure_style import (
    legend_above,
    line_look,
    plain,
    save_figure,
    say_empty,
)
from fusetrain.results.history import BEST_COLUMN, best_row
from fusetrain.results.metrics import RECALL_LEVELS, Curves
from fusetrain.results.overlaps import Floats
from fusetrain.results.run_dir import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_MARKED_EPOCHS = 40
MAX_NAMED_CURVES = 12
PANELS = (
    ("box loss", (("train/box_loss", "train"), ("val/box_loss", "val"))),
    ("class loss", (("train/cls_loss", "train"), ("val/cls_loss", "val"))),
    ("distribution loss", (("train/dfl_loss", "train"), ("val/dfl_loss", "val"))),
    (
        "at best F1",
        (("metrics/precision(B)", "precision"), ("metrics/recall(B)", "recall")),
    ),
    ("mAP", (("metrics/mAP50(B)", "IoU 0.5"), ("metrics/mAP50-95(B)", "0.5:0.95"))),
    ("learning rate lr0", (("lr0", ""),)),
)


def save_results_figure(
    path: Path,
    history: Sequence[Row],
    *,
    warmups: Sequence[tuple[float, float]] = (),
    stages: Sequence[tuple[float, float, str]] = (),
) -> None:
    """Draw losses, precision and recall, average precision and learning rate over the epochs.

    Args:
        path: PNG or SVG file.
        history: Rows of `results.csv`; empty cells leave a gap of no value, the line goes on.
        warmups: Begin and end of each warmup in epochs, shaded.
        stages: Begin and end in epochs and the name of each stage; a dotted line where one begins.

    Raises:
        ResourceError: The file cannot be written.
    """
    last_epoch = max([1.0, *(row["epoch"] or 0.0 for row in history)])

    def draw(figure: Figure) -> None:
        for axes, (title, columns) in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
            axes.set_title(title)
            _draw_columns(axes, history, columns)
            if columns[-1][0] == BEST_COLUMN:
                _mark_best(axes, history)
            for begin, end in warmups:
                axes.axvspan(begin, end, color="0.9", zorder=0)
            for begin, _, _ in stages[1:]:
                axes.axvline(begin, color="0.2", linestyle=":", linewidth=1.6, zorder=1)
            axes.set_xlim(0, max(last_epoch * 1.02, last_epoch + 0.2))
            axes.set_xlabel("epoch")
            axes.grid(visible=True)
            legend_above(axes, columns=3)
        if key := _key_of_marks(warmups, stages):
            # A text of its own row: figure.text would lie on the axes.
            figure.supxlabel(key, fontsize=9, color="0.35", ha="right", x=0.995)

    save_figure(path, draw, size_inches=(12.0, 6.6))


def _key_of_marks(
    warmups: Sequence[tuple[float, float]], stages: Sequence[tuple[float, float, str]]
) -> str:
    """Return what grey ground and dotted lines mean; empty where there are none."""
    names = [f"{number}: {name}" for number, (_, _, name) in enumerate(stages, start=1)]
    parts = [
        "grey: warmup" if warmups else "",
        f"dotted: next stage ({'; '.join(names)})" if len(stages) > 1 else "",
    ]
    return " · ".join(filter(None, parts))


def save_pr_figure(path: Path, curves: Curves, *, class_names: Sequence[str], ap50: Floats) -> None:
    """Draw precision over recall at IoU 0.5, for every class and in the mean.

    Of many classes only the best and the worst are named, the others are grey.

    Args:
        path: PNG or SVG file.
        curves: The curves.
        class_names: C names.
        ap50: (C,) average precision at IoU 0.5; NaN for classes without a true box.

    Raises:
        ResourceError: The file cannot be written.
    """
    present = [int(row) for row in np.argsort(-ap50, kind="stable") if np.isfinite(ap50[row])]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_pr_curves(axes, curves, present, class_names=class_names, ap50=ap50)
        axes.set(xlabel="recall", ylabel="precision", title="Precision over recall, IoU 0.5")
        axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.02))
        axes.grid(visible=True)
        if present:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), title="class, AP50")
        else:
            say_empty(axes, "the split has no true box")

    save_figure(path, draw, size_inches=(9.0, 6.0))


def _draw_columns(axes: Axes, history: Sequence[Row], columns: Sequence[tuple[str, str]]) -> None:
    """Draw columns of the history against its epochs, in a scale from 0."""
    highest = None
    for number, (column, label) in enumerate(columns):
        points = _points(history, column)
        if not points:
            continue
        colour, dashes = line_look(number)
        epochs, values = zip(*points, strict=True)
        highest = max(values) if highest is None else max(highest, *values)
        is_marked = len(points) <= MAX_MARKED_EPOCHS
        axes.plot(
            epochs,
            values,
            label=label,
            color=colour,
            linestyle=dashes,
            marker="os"[number] if is_marked else None,
            markersize=3.5,
        )
    if highest is None:
        say_empty(axes, "no value yet")
    else:
        axes.set_ylim(0.0, 1.06 * highest or 1.0)


def _mark_best(axes: Axes, history: Sequence[Row]) -> None:
    """Mark the epoch whose weights are kept as the best: the earlier one at a tie."""
    best = best_row(history)
    if best is not None:
        epoch, score = best["epoch"] or 0, best[BEST_COLUMN] or 0.0
        label = f"best: {epoch:g}"
        axes.plot(
            [epoch],
            [score],
            "*",
            color="black",
            markersize=10,
            label=label,
            clip_on=False,
            zorder=4,
        )


def _points(history: Sequence[Row], column: str) -> list[tuple[float, float]]:
    """Return (epoch, value) of the cells of a column that hold a finite number."""
    cells = ((row["epoch"], row[column]) for row in history)
    return [
        (epoch, value)
        for epoch, value in cells
        if epoch is not None and value is not None and math.isfinite(value)
    ]


def _draw_pr_curves(
    axes: Axes,
    curves: Curves,
    present: Sequence[int],
    *,
    class_names: Sequence[str],
    ap50: Floats,
) -> None:
    """Draw the mean thick and black, named classes in colour, the others grey."""
    if not present:
        return
    levels = curves.precision_at_recall
    half = MAX_NAMED_CURVES // 2
    is_short = len(present) <= MAX_NAMED_CURVES
    named = list(present) if is_short else [*present[:half], *present[-half:]]
    if len(present) > 1:
        mean = levels[list(present)].mean(axis=0)
        label = f"mean of {len(present)}, {np.mean(ap50[list(present)]):.3f}"
        axes.plot(RECALL_LEVELS, mean, color="black", linewidth=3.0, label=label, zorder=4)
    for number, row in enumerate(named):
        colour, dashes = line_look(number)
        label = f"{plain(class_names[row])}, {ap50[row]:.3f}"
        axes.plot(RECALL_LEVELS, levels[row], color=colour, linestyle=dashes, label=label)
        if not is_short and number == half - 1:
            axes.plot([], [], color="0.75", label=f"{len(present) - len(named)} others")
    for row in set(present) - set(named):
        axes.plot(RECALL_LEVELS, levels[row], color="0.8", linewidth=0.8, zorder=1)
    absent = len(class_names) - len(present)
    if absent:
        axes.plot([], [], " ", label=f"{absent} without a true box")
