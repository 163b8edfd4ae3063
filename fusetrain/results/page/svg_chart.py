"""Small charts as SVG text: bars, histograms, heat maps and clouds of points, without any library.

Numbers come in, text goes out; what is drawn is decided by who calls. Lines over epochs are drawn
in `svg_lines.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.results.page.markup import escaped
from fusetrain.results.page.svg_axes import (
    BOTTOM,
    DASHES,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    drawing,
    frame,
    legend,
    number_text,
    x_of,
    y_of,
)

ASPECT = (WIDTH - LEFT - RIGHT) / (HEIGHT - TOP - BOTTOM)
BAR_HEIGHT = 11
BAR_GAP = 7
LABEL_WIDTH = 110
MAX_LABEL_CHARS = 18
RING_LABEL_HEIGHT = 12


@dataclass(frozen=True)
class Series:
    """Numbers that share one name and one look.

    Attributes:
        name: Text of the legend.
        values: (N,) for bars and histograms, (N, 2) x and y for points.
    """

    name: str
    values: NDArray[Any]


def bars(labels: Sequence[str], series: Sequence[Series], *, title: str) -> str:
    """Return horizontal bars: for each label one bar of each series, with its number."""
    row = BAR_HEIGHT * len(series) + BAR_GAP
    height = TOP + row * len(labels) + 8
    most = max((float(one.values.max(initial=0)) for one in series), default=0.0) or 1.0
    room = WIDTH - LABEL_WIDTH - 52
    parts = [legend([one.name for one in series], is_filled=True)]
    for number, label in enumerate(labels):
        top = TOP + number * row
        middle = top + BAR_HEIGHT * len(series) / 2 + 4
        shown = label if len(label) <= MAX_LABEL_CHARS else f"{label[: MAX_LABEL_CHARS - 1]}…"
        parts.append(
            f'<text x="{LABEL_WIDTH - 6}" y="{middle:.1f}" text-anchor="end">{escaped(shown)}'
            f"<title>{escaped(label)}</title></text>"
        )
        for index, one in enumerate(series):
            value = float(one.values[number])
            y, long = top + index * BAR_HEIGHT, room * value / most
            parts.append(
                f'<rect class="f{index % 3}" x="{LABEL_WIDTH}" y="{y}" width="{long:.1f}" '
                f'height="{BAR_HEIGHT - 2}"/><text x="{LABEL_WIDTH + long + 4:.1f}" '
                f'y="{y + BAR_HEIGHT - 2}">{number_text(value)}</text>'
            )
    return drawing(parts, title=title, height=height)


def histogram(series: Sequence[Series], edges: NDArray[Any], *, x: str, y: str, title: str) -> str:
    """Return outlines of how many values of each series fall between neighbouring edges."""
    counts = [np.histogram(one.values, bins=edges)[0] for one in series]
    most = max((int(count.max(initial=0)) for count in counts), default=0) or 1
    across = Axis(x, float(edges[0]), float(edges[-1]), is_count=True)
    up = Axis(y, 0.0, most * 1.05, is_count=True)
    parts = [frame(across, up)]
    for index, count in enumerate(counts):
        line = [f"M{x_of(across, float(edges[0])):.1f} {y_of(up, 0):.1f}"]
        for value, right in zip(count, edges[1:], strict=True):
            line.append(f"V{y_of(up, float(value)):.1f}H{x_of(across, float(right)):.1f}")
        line.append(f"V{y_of(up, 0):.1f}")
        dashes = f' stroke-dasharray="{DASHES[index % 3]}"' if DASHES[index % 3] else ""
        parts.append(f'<path class="l{index % 3}" d="{"".join(line)}"{dashes}/>')
    if len(series) > 1:
        parts.append(legend([one.name for one in series], is_filled=False))
    return drawing(parts, title=title)


def heat_map(cells: NDArray[Any], across: Axis, down: Axis, *, title: str) -> str:
    """Return a grid of cells, stronger where more values fall.

    Args:
        cells: (R, C) counts; the first row lies at ``down.low``, which is at the top where the
            axis is not logarithmic, as in an image.
        across: Spans the columns evenly (in its own scale).
        down: Spans the rows evenly.
        title: What is shown.
    """
    num_rows, num_columns = cells.shape
    wide, high = (WIDTH - LEFT - RIGHT) / num_columns, (HEIGHT - TOP - BOTTOM) / num_rows
    most = float(cells.max(initial=0)) or 1.0
    parts = [frame(across, down, is_downward=not down.is_log)]
    for row, column in zip(*np.nonzero(cells), strict=True):
        depth = math.sqrt(float(cells[row, column]) / most)
        place = num_rows - 1 - row if down.is_log else row
        parts.append(
            f'<rect class="cell" x="{LEFT + column * wide:.2f}" y="{TOP + place * high:.2f}" '
            f'width="{wide:.2f}" height="{high:.2f}" fill-opacity="{0.08 + 0.92 * depth:.2f}"/>'
        )
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="12" text-anchor="end">strongest: {number_text(most)}</text>'
    )
    return drawing(parts, title=title)


def cloud(
    series: Sequence[Series], across: Axis, up: Axis, *, rings: Sequence[float], title: str
) -> str:
    """Return points, and circles of the given radii around zero.

    Circles are round where ``across`` spans ASPECT times as much as ``up``.
    """
    parts = [frame(across, up)]
    for radius in rings:
        rx = radius / (across.high - across.low) * (WIDTH - LEFT - RIGHT)
        ry = radius / (up.high - up.low) * (HEIGHT - TOP - BOTTOM)
        parts.append(
            f'<ellipse class="ring" cx="{x_of(across, 0):.1f}" cy="{y_of(up, 0):.1f}" '
            f'rx="{rx:.1f}" ry="{ry:.1f}"/>'
        )
    for index, one in enumerate(series):
        parts += [
            f'<circle class="p{index % 3}" cx="{x_of(across, float(dx)):.1f}" '
            f'cy="{y_of(up, float(dy)):.1f}" r="2.5"/>'
            for dx, dy in one.values
        ]
    parts += _ring_labels(rings, across, up)
    parts.append(legend([one.name for one in series], is_filled=True))
    return drawing(parts, title=title)


def _ring_labels(rings: Sequence[float], across: Axis, up: Axis) -> Iterator[str]:
    """Yield a text above each ring; rings too close for that share one above the outermost."""
    tops: dict[float, list[float]] = {}
    for radius in sorted(rings, reverse=True):
        top = y_of(up, radius) - 2.0
        outer = next(reversed(tops), -math.inf)
        tops.setdefault(top if top - outer >= RING_LABEL_HEIGHT else outer, []).insert(0, radius)
    for top, named in tops.items():
        text = ", ".join(map(number_text, named))
        yield (
            f'<text class="small over" text-anchor="middle" x="{x_of(across, 0):.1f}" '
            f'y="{top:.1f}">{text} px</text>'
        )
