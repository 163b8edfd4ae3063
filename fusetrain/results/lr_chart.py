"""What a picture of learning rates shows: lines over epochs, and what is marked on the time axis.

Numbers come in; `lr_plot.py` draws them into a file, `lr_text.py` into the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_ABOVE_MAIN = 2.0


@dataclass(frozen=True)
class LrLine:
    """One line of the picture.

    Attributes:
        label: Its name in the legend.
        epochs: Epochs done after each step, ascending.
        values: Learning rates, losses or momenta at these times.
        is_points: Drawn as points, so that a line under them stays visible.
        is_main: The schedule itself; other lines are groups that depart from it, drawn thin.
    """

    label: str
    epochs: Sequence[float]
    values: Sequence[float]
    is_points: bool = False
    is_main: bool = True


@dataclass(frozen=True)
class LrChart:
    """All that one picture shows.

    Attributes:
        title: Line above the picture.
        lines: Learning rates.
        num_epochs: Right end of the time axis.
        warmups: (begin, end) of each warmup, in epochs.
        losses: Losses, drawn against an axis of their own (figure only).
        restarts: Epochs at which a schedule jumps back to a peak.
        stages: (begin, end, name) of each stage, in epochs (figure only).
        momenta: Momentum, drawn below the rates in the look of the line with the same label
            (figure only).
    """

    title: str
    lines: Sequence[LrLine]
    num_epochs: float
    warmups: Sequence[tuple[float, float]] = ()
    losses: Sequence[LrLine] = ()
    restarts: Sequence[float] = ()
    stages: Sequence[tuple[float, float, str]] = ()
    momenta: Sequence[LrLine] = ()

    @property
    def top(self) -> float:
        """Return the rate at the upper end of the picture.

        A warmup of biases may start a hundred times above lr0; it is cut off, so that the schedule
        itself stays visible.
        """
        main = max(
            (value for line in self.lines if line.is_main for value in line.values), default=0
        )
        whole = max((value for line in self.lines for value in line.values), default=0)
        is_far = main and whole > MAX_ABOVE_MAIN * main
        return (MAX_ABOVE_MAIN * main if is_far else whole) or 1.0

    def label_of(self, line: LrLine) -> str:
        """Return the legend of a line, with its highest value where the picture cuts it off."""
        highest = max(line.values, default=0.0)
        return f"{line.label} (up to {highest:.3g})" if highest > self.top else line.label
