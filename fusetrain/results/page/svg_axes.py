"""What all charts of a page share: axes with round ticks, the legend, the frame of an SVG.

Colours come from the style sheet of the page, so that charts follow its light, dark and print
looks; series differ in their dashes or hatching too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fusetrain.results.page.markup import escaped

WIDTH, HEIGHT = 340, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 38
NUM_TICKS = 5
# Six looks; the second half differs from the first in its dashes and its colours.
NUM_LOOKS = 6
DASHES = ("", "6 3", "2 2", "9 2 2 2", "4 4", "1 3")


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
            step = round_step((self.high - self.low) / NUM_TICKS)
            step = max(step, 1.0) if self.is_count else step
            first = math.ceil(self.low / step - 1e-9)
            found = [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in found if -1e-9 <= self.share(tick) <= 1 + 1e-9]


def drawing(parts: Sequence[str], *, title: str, height: int = HEIGHT) -> str:
    """Return parts as one SVG element with its title."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escaped(title)}">'
        f"<title>{escaped(title)}</title>{''.join(parts)}</svg>"
    )


def frame(across: Axis, up: Axis, *, is_downward: bool = False) -> str:
    """Return axes with ticks, grid and labels."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>']
    for tick in across.ticks():
        parts.append(
            f'<path class="grid" d="M{x_of(across, tick):.1f} {TOP}V{bottom}"/>'
            f'<text x="{x_of(across, tick):.1f}" y="{bottom + 13}" text-anchor="middle">'
            f"{number_text(tick)}</text>"
        )
    for tick in up.ticks():
        y = TOP + up.share(tick) * (bottom - TOP) if is_downward else y_of(up, tick)
        parts.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/><text x="{LEFT - 5}" '
            f'y="{y + 4:.1f}" text-anchor="end">{number_text(tick)}</text>'
        )
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f'{escaped(across.label)}</text><text transform="translate(11 {middle}) rotate(-90)" '
        f'text-anchor="middle">{escaped(up.label)}</text>'
    )
    return "".join(parts)


def legend(names: Sequence[str], *, is_filled: bool, looks: Sequence[int] | None = None) -> str:
    """Return names with their marks, above the chart.

    Args:
        names: What is drawn.
        is_filled: Marks are squares, else pieces of lines.
        looks: Number of the look of each name; None counts from 0.
    """
    parts, left = [], 8.0
    for name, number in zip(names, looks or range(len(names)), strict=True):
        look = number % NUM_LOOKS
        if is_filled:
            mark = f'<rect class="f{look}" x="{left}" y="5" width="10" height="10"/>'
        else:
            dashes = f' stroke-dasharray="{DASHES[look]}"' if DASHES[look] else ""
            mark = f'<path class="l{look}" d="M{left} 10h16"{dashes}/>'
        parts.append(f'{mark}<text x="{left + 20}" y="14">{escaped(name)}</text>')
        left += 34 + 6.2 * len(name)
    return "".join(parts)


def x_of(axis: Axis, value: float) -> float:
    """Return where a value lies from the left."""
    return LEFT + axis.share(value) * (WIDTH - LEFT - RIGHT)


def y_of(axis: Axis, value: float) -> float:
    """Return where a value lies from the top, as values grow upwards."""
    return HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - TOP - BOTTOM)


def round_step(rough: float) -> float:
    """Return the nearest of 1, 2, 5 times a power of ten that is not smaller."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def number_text(value: float) -> str:
    """Return a number as short as a tick wants it."""
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 1e4:
        return f"{value / 1e3:.3g} k"
    return f"{value:.4g}"
