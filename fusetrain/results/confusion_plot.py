"""The figure of a confusion matrix: counts and shares of the true class, background last.

The matrix comes from `confusion.py`; nothing is counted here. Shape legend: C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fusetrain.results.figure_style import label_rotation, save_figure, say_empty, thinned
from fusetrain.results.overlaps import Floats, Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_COUNTED = 12
MAX_SHARED = 32
TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
BACKGROUND = "background"


def save_confusion_figure(
    path: Path, matrix: Ints, *, class_names: Sequence[str], confidence: float
) -> None:
    """Draw how often each true class was found as which class.

    Small matrices show counts and shares, larger ones shares, the largest colours alone.

    Args:
        path: PNG or SVG file.
        matrix: (C + 1, C + 1) counts, row true class, column found class, background last.
        class_names: C names.
        confidence: Lowest score that was counted, for the title.

    Raises:
        ResourceError: The file cannot be written.
    """
    names = [*class_names, BACKGROUND]
    side = min(13.0, max(5.2, 2.4 + 0.75 * len(names)))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_matrix(axes, matrix, names)
        axes.set_title(f"IoU ≥ 0.5, confidence ≥ {confidence:.3g}")

    save_figure(path, draw, size_inches=(side + 1.2, side))


def row_shares(matrix: Ints) -> Floats:
    """Return each count as share of its row, in [0, 1]; NaN in rows without any."""
    totals = matrix.sum(axis=1, keepdims=True).astype(np.float64)
    totals[totals == 0] = np.nan
    shares: Floats = matrix / totals
    return shares


def _draw_matrix(axes: Axes, matrix: Ints, names: Sequence[str]) -> None:
    shares = row_shares(matrix)
    # Square roots, so that rare confusions leave a trace beside the diagonal.
    image = axes.imshow(np.sqrt(np.nan_to_num(shares)), cmap="Blues", vmin=0.0, vmax=1.0)
    places, labels = thinned(names[:-1])
    places, labels = [*places, len(names) - 1], [*labels, BACKGROUND]
    axes.set_xticks(places, labels, rotation=label_rotation(labels))
    axes.set_yticks(places, labels)
    axes.set(xlabel="found as (background: missed)", ylabel="true (background: nothing there)")
    bar = axes.figure.colorbar(image, ax=axes, label="share of the row", shrink=0.8)
    bar.set_ticks([share**0.5 for share in TICKS], labels=[f"{share:.0%}" for share in TICKS])
    if not matrix.any():
        say_empty(axes, "neither true boxes nor detections")
    elif len(names) <= MAX_SHARED:
        _write_cells(axes, matrix, shares)


def _write_cells(axes: Axes, matrix: Ints, shares: Floats) -> None:
    with_counts = len(matrix) <= MAX_COUNTED
    for row, column in np.argwhere(matrix):
        share = shares[row, column]
        count = int(matrix[row, column])
        axes.text(
            column,
            row,
            f"{count}\n{_percent(share)}" if with_counts else _percent(share),
            ha="center",
            va="center",
            fontsize=10 if with_counts else 7,
            color="white" if share > 0.36 else "black",
        )


def _percent(share: float) -> str:
    return "<1%" if share < 0.005 else f"{share:.0%}"
