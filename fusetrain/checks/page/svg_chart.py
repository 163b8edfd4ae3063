"""Small charts as SVG text: bars, histograms, heat maps and clouds of points, without any library.

Colours come from the style sheet of the page, so that charts follow its light, dark and print
looks; series differ in their dashes or hatching too. Numbers come in, text goes out; what is drawn
is decided in `html_charts.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.page.markup import escaped

WIDTH, HEIGHT = 340, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 38
ASPECT = (WIDTH - LEFT - RIGHT) / (HEIGHT - TOP - BOTTOM)
BAR_HEIGHT = 11
BAR_GAP = 7
LABEL_WIDTH = 110
MAX_LABEL_CHARS = 18
NUM_TICKS = 5
RING_LABEL_HEIGHT = 12
DASHES = ("", "6 3", "2 2")


@dataclass(frozen=True)
class Axis:
    """One axis: what it measures and which values it spans.

    Attributes:
        label: Text beside the axis.
        low: Value at its start.
        high: Value at its end, above ``low``.
        is_log: Equal ratios are equally long; ``low`` is then positive.
        is_count: Its values are whole numbers.
    """

    label: str
    low: float
    high: float
    is_log: bool = False
    is_count: bool = False

    def share(self, value: float) -> float:
        """Return where a value lies, 0 at the start and 1 at the end."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return round values on the axis."""
        if self.is_log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 3) if len(decades) < NUM_TICKS else (1,)
            found = [step * 10.0**decade for decade in decades for step in steps]
        else:
            step = _round_step((self.high - self.low) / NUM_TICKS)
            step = max(step, 1.0) if self.is_count else step
            first = math.ceil(self.low / step - 1e-9)
            found = [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in found if -1e-9 <= self.share(tick) <= 1 + 1e-9]


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
    parts = [_legend([one.name for one in series], is_filled=True)]
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
                f'y="{y + BAR_HEIGHT - 2}">{_number(value)}</text>'
            )
    return _svg(parts, title=title, height=height)


def histogram(series: Sequence[Series], edges: NDArray[Any], *, x: str, y: str, title: str) -> str:
    """Return outlines of how many values of each series fall between neighbouring edges."""
    counts = [np.histogram(one.values, bins=edges)[0] for one in series]
    most = max((int(count.max(initial=0)) for count in counts), default=0) or 1
    across = Axis(x, float(edges[0]), float(edges[-1]), is_count=True)
    up = Axis(y, 0.0, most * 1.05, is_count=True)
    parts = [_frame(across, up)]
    for index, count in enumerate(counts):
        line = [f"M{_x(across, float(edges[0])):.1f} {_y(up, 0):.1f}"]
        for value, right in zip(count, edges[1:], strict=True):
            line.append(f"V{_y(up, float(value)):.1f}H{_x(across, float(right)):.1f}")
        line.append(f"V{_y(up, 0):.1f}")
        dashes = f' stroke-dasharray="{DASHES[index % 3]}"' if DASHES[index % 3] else ""
        parts.append(f'<path class="l{index % 3}" d="{"".join(line)}"{dashes}/>')
    if len(series) > 1:
        parts.append(_legend([one.name for one in series], is_filled=False))
    return _svg(parts, title=title)


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
    parts = [_frame(across, down, is_downward=not down.is_log)]
    for row, column in zip(*np.nonzero(cells), strict=True):
        depth = math.sqrt(float(cells[row, column]) / most)
        place = num_rows - 1 - row if down.is_log else row
        parts.append(
            f'<rect class="cell" x="{LEFT + column * wide:.2f}" y="{TOP + place * high:.2f}" '
            f'width="{wide:.2f}" height="{high:.2f}" fill-opacity="{0.08 + 0.92 * depth:.2f}"/>'
        )
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="12" text-anchor="end">strongest: {_number(most)}</text>'
    )
    return _svg(parts, title=title)


def cloud(
    series: Sequence[Series], across: Axis, up: Axis, *, rings: Sequence[float], title: str
) -> str:
    """Return points, and circles of the given radii around zero.

    Circles are round where ``across`` spans ASPECT times as much as ``up``.
    """
    parts = [_frame(across, up)]
    for radius in rings:
        rx = radius / (across.high - across.low) * (WIDTH - LEFT - RIGHT)
        ry = radius / (up.high - up.low) * (HEIGHT - TOP - BOTTOM)
        parts.append(
            f'<ellipse class="ring" cx="{_x(across, 0):.1f}" cy="{_y(up, 0):.1f}" '
            f'rx="{rx:.1f}" ry="{ry:.1f}"/>'
        )
    for index, one in enumerate(series):
        parts += [
            f'<circle class="p{index % 3}" cx="{_x(across, float(dx)):.1f}" '
            f'cy="{_y(up, float(dy)):.1f}" r="2.5"/>'
            for dx, dy in one.values
        ]
    parts += _ring_labels(rings, across, up)
    parts.append(_legend([one.name for one in series], is_filled=True))
    return _svg(parts, title=title)


def _ring_labels(rings: Sequence[float], across: Axis, up: Axis) -> Iterator[str]:
    """Yield a text above each ring; rings too close for that share one above the outermost."""
    tops: dict[float, list[float]] = {}
    for radius in sorted(rings, reverse=True):
        top = _y(up, radius) - 2.0
        outer = next(reversed(tops), -math.inf)
        tops.setdefault(top if top - outer >= RING_LABEL_HEIGHT else outer, []).insert(0, radius)
    for top, named in tops.items():
        text = ", ".join(map(_number, named))
        yield (
            f'<text class="small over" text-anchor="middle" x="{_x(across, 0):.1f}" '
            f'y="{top:.1f}">{text} px</text>'
        )


def _svg(parts: Sequence[str], *, title: str, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escaped(title)}">'
        f"<title>{escaped(title)}</title>{''.join(parts)}</svg>"
    )


def _frame(across: Axis, up: Axis, *, is_downward: bool = False) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>']
    for tick in across.ticks():
        parts.append(
            f'<path class="grid" d="M{_x(across, tick):.1f} {TOP}V{bottom}"/>'
            f'<text x="{_x(across, tick):.1f}" y="{bottom + 13}" text-anchor="middle">'
            f"{_number(tick)}</text>"
        )
    for tick in up.ticks():
        y = TOP + up.share(tick) * (bottom - TOP) if is_downward else _y(up, tick)
        parts.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/><text x="{LEFT - 5}" '
            f'y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
        )
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f'{escaped(across.label)}</text><text transform="translate(11 {middle}) rotate(-90)" '
        f'text-anchor="middle">{escaped(up.label)}</text>'
    )
    return "".join(parts)


def _legend(names: Sequence[str], *, is_filled: bool) -> str:
    parts, left = [], 8.0
    for index, name in enumerate(names):
        if is_filled:
            mark = f'<rect class="f{index % 3}" x="{left}" y="5" width="10" height="10"/>'
        else:
            dashes = f' stroke-dasharray="{DASHES[index % 3]}"' if DASHES[index % 3] else ""
            mark = f'<path class="l{index % 3}" d="M{left} 10h16"{dashes}/>'
        parts.append(f'{mark}<text x="{left + 20}" y="14">{escaped(name)}</text>')
        left += 34 + 6.2 * len(name)
    return "".join(parts)


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.share(value) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - TOP - BOTTOM)


def _round_step(rough: float) -> float:
    """Return the nearest of 1, 2, 5 times a power of ten that is not smaller."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def _number(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 1e4:
        return f"{value / 1e3:.3g} k"
    return f"{value:.4g}"
