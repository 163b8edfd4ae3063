"""Lines over epochs as SVG text, one look a line, with a mark where a value is the best.

Numbers come in, text goes out; which lines are drawn is decided by who calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fusetrain.results.page.svg_axes import (
    DASHES,
    NUM_LOOKS,
    Axis,
    drawing,
    frame,
    legend,
    x_of,
    y_of,
)

MAX_POINTS = 300
MAX_DOTS = 12
HEADROOM = 1.06


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: Text of the legend; a chart of lines without names has none.
        points: (x, y), x never falling; what is not finite leaves no gap.
        look: Number of its colour and dashes.
        best: Point that is marked; None marks none.
    """

    name: str
    points: Sequence[tuple[float, float]]
    look: int = 0
    best: tuple[float, float] | None = None


def lines(drawn: Sequence[Line], *, x: str, y: str, title: str) -> str:
    """Return lines in a scale from 0; empty where no line has a point.

    Args:
        drawn: The lines; those without a point are left out.
        x: What the axis to the right measures, in whole numbers from 0.
        y: What the axis upwards measures.
        title: What is shown.
    """
    shown = [
        (line, [point for point in line.points if all(map(math.isfinite, point))]) for line in drawn
    ]
    shown = [(line, points) for line, points in shown if points]
    if not shown:
        return ""
    far = max(points[-1][0] for _, points in shown)
    top = max(value for _, points in shown for _, value in points)
    across = Axis(x, 0.0, max(1.0, far), is_count=True)
    up = Axis(y, 0.0, top * HEADROOM if top > 0 else 1.0)
    parts = [frame(across, up)]
    parts += [_path(line, _thinned(points), across, up) for line, points in shown]
    if any(line.name for line, _ in shown):
        looks = [line.look for line, _ in shown]
        parts.append(legend([line.name for line, _ in shown], is_filled=False, looks=looks))
    return drawing(parts, title=title)


def _path(line: Line, points: Sequence[tuple[float, float]], across: Axis, up: Axis) -> str:
    look = line.look % NUM_LOOKS
    places = [(x_of(across, value), y_of(up, max(0.0, height))) for value, height in points]
    way = "L".join(f"{left:.1f} {top:.1f}" for left, top in places)
    dashes = f' stroke-dasharray="{DASHES[look]}"' if DASHES[look] else ""
    parts = [f'<path class="l{look}" d="M{way}"{dashes}/>']
    if len(places) <= MAX_DOTS:
        parts += [f'<circle class="d{look}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in places]
    if line.best is not None:
        x, y = x_of(across, line.best[0]), y_of(up, line.best[1])
        parts.append(f'<path class="best" d="M{x:.1f} {y - 6:.1f}l5 6l-5 6l-5 -6z"/>')
    return "".join(parts)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most MAX_POINTS points evenly apart, the last one among them."""
    step = -(-len(points) // MAX_POINTS)
    return list(points[::-step])[::-1]
