"""The figure of what the labels of a split hold: classes, sizes, places and boxes a pair.

Arrays come in and a file goes out; no image and no label file is read.
Shape legend: N pairs, M boxes, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.results.figure_style import (
    COLOUR_MAP,
    LINE_COLOURS,
    label_rotation,
    save_figure,
    say_empty,
    thinned,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR_COLOUR = LINE_COLOURS[0]
MAX_COUNTED_BARS = 12
MAX_POINTS = 3000
CELLS = 32
MAX_BARS = 30


@dataclass(frozen=True)
class LabelArrays:
    """The labels of a split.

    Attributes:
        boxes_cxcywh_unit: (M, 4) in [0, 1] of their image.
        classes: (M,) 0-based.
        boxes_per_pair: (N,) number of boxes; sums up to M.
        class_names: C names.
    """

    boxes_cxcywh_unit: NDArray[np.floating[Any]]
    classes: NDArray[np.integer[Any]]
    boxes_per_pair: NDArray[np.integer[Any]]
    class_names: Sequence[str]


def save_labels_figure(path: Path, labels: LabelArrays, *, title: str) -> None:
    """Draw boxes a class, box sizes, box centres and boxes a pair.

    Args:
        path: PNG or SVG file.
        labels: What is drawn.
        title: Line above the figure.

    Raises:
        ResourceError: The file cannot be written.
    """

    def draw(figure: Figure) -> None:
        figure.suptitle(title, fontsize=12)
        (classes, sizes), (centres, counts) = figure.subplots(2, 2)
        _draw_classes(classes, labels)
        _draw_sizes(sizes, labels.boxes_cxcywh_unit)
        _draw_centres(centres, labels.boxes_cxcywh_unit)
        _draw_counts(counts, labels.boxes_per_pair)

    save_figure(path, draw, size_inches=(11.0, 8.6))


def _draw_classes(axes: Axes, labels: LabelArrays) -> None:
    num_classes = len(labels.class_names)
    counts = np.bincount(labels.classes, minlength=num_classes)
    bars = axes.bar(np.arange(num_classes), counts, color=BAR_COLOUR, width=0.8)
    if num_classes <= MAX_COUNTED_BARS:
        axes.bar_label(bars, padding=2)
    places, names = thinned(labels.class_names)
    axes.set_xticks(places, names, rotation=label_rotation(names))
    margin = max(0.6, (4 - num_classes) / 2)
    axes.set_xlim(-margin, num_classes - 1 + margin)
    axes.set_ylim(0, max(1, counts.max(initial=0)) * 1.1)
    axes.set(title="Boxes a class", ylabel="boxes")


def _draw_sizes(axes: Axes, boxes_cxcywh_unit: NDArray[np.floating[Any]]) -> None:
    """Draw width against height in logarithmic scales: points if they are few, else a density."""
    axes.set(title="Box sizes", xlabel="width / image width", ylabel="height / image height")
    sides = boxes_cxcywh_unit[:, 2:][(boxes_cxcywh_unit[:, 2:] > 0).all(axis=1)]
    low = 0.7 * sides.min(initial=0.1)
    axes.set(xscale="log", yscale="log", xlim=(low, 1.05), ylim=(low, 1.05))
    if not len(sides):
        say_empty(axes, "no box")
    elif len(sides) <= MAX_POINTS:
        size = 14 if len(sides) <= 1000 else 6
        axes.scatter(sides[:, 0], sides[:, 1], s=size, alpha=0.5, color=BAR_COLOUR, linewidths=0)
    else:
        edges = np.geomspace(low, 1.0, 2 * CELLS + 1)
        cells, _, _ = np.histogram2d(sides[:, 1], sides[:, 0], bins=edges)
        shown = np.ma.masked_equal(cells, 0)
        image = axes.pcolormesh(edges, edges, shown, norm="log", cmap=COLOUR_MAP)
        axes.figure.colorbar(image, ax=axes, label="boxes")
    axes.grid(visible=True, alpha=0.5)


def _draw_centres(axes: Axes, boxes_cxcywh_unit: NDArray[np.floating[Any]]) -> None:
    """Draw how many boxes have their centre where, the image from its upper left corner."""
    axes.set(title="Box centres", xlabel="x / image width", ylabel="y / image height")
    if not len(boxes_cxcywh_unit):
        say_empty(axes, "no box")
        return
    cells, _, _ = np.histogram2d(
        boxes_cxcywh_unit[:, 1],
        boxes_cxcywh_unit[:, 0],
        bins=CELLS,
        range=((0.0, 1.0), (0.0, 1.0)),
    )
    image = axes.imshow(
        cells, extent=(0.0, 1.0, 1.0, 0.0), cmap=COLOUR_MAP, vmin=0, vmax=max(1.0, cells.max())
    )
    axes.figure.colorbar(image, ax=axes, label="boxes")


def _draw_counts(axes: Axes, boxes_per_pair: NDArray[np.integer[Any]]) -> None:
    most = int(boxes_per_pair.max(initial=0))
    width = -(-(most + 1) // MAX_BARS)
    edges = np.arange(0, most + 1 + width, width) - 0.5
    axes.hist(boxes_per_pair, bins=edges.tolist(), color=BAR_COLOUR, rwidth=0.85)
    axes.set_xlim(-0.7, max(4.0, edges[-1] + 0.5))
    axes.locator_params(axis="both", integer=True)
    empty = int((boxes_per_pair == 0).sum())
    mean = float(boxes_per_pair.mean()) if len(boxes_per_pair) else 0.0
    axes.set(
        title=f"Boxes a pair: mean {mean:.1f}, most {most}, {empty} pairs without",
        xlabel="boxes",
        ylabel="pairs",
    )
