"""How figures of a run look, and how they reach their file; what they show is decided elsewhere.

matplotlib is imported only when a figure is made, and never through pyplot, so that no display and
no state of another figure matter. Colours are those of Okabe and Ito, which colour-blind eyes tell
apart; lines differ in their dashes too, for prints without colour.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusetrain.errors import ResourceError
from fusetrain.results.lettering import plotting_font, with_codes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":")
COLOUR_MAP = "cividis"
MAX_TICK_LABELS = 27
MAX_LABEL_CHARS = 19
MAX_LEVEL_CHARS = 44
DPI = 120
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.85",
    "legend.fontsize": 9,
    "legend.frameon": False,
}


def save_figure(
    path: Path, draw: Callable[[Figure], None], *, size_inches: tuple[float, float]
) -> None:
    """Let ``draw`` fill an empty figure and write it; equal drawings give equal files.

    Args:
        path: PNG or SVG file, by suffix.
        draw: Fills the figure.
        size_inches: Width and height.

    Raises:
        ResourceError: The file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({**STYLE, "svg.hashsalt": "fusetrain"}), warnings.catch_warnings():
        # Classes may be named in letters that the font lacks; they become boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size_inches, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        try:
            figure.savefig(path, metadata=metadata)
        except OSError as error:
            raise ResourceError(
                f"{path} cannot be written: {error.strerror}",
                expected="a folder that is there, may be written to and has room",
            ) from error


def plain(label: str) -> str:
    """Return text that matplotlib neither hides, nor reads as a formula, nor breaks.

    Long names lose their middle, because names of a family differ at either end. Letters that the
    font of figures lacks are written as their code.
    """
    shown = "".join(char if char.isprintable() else "?" for char in label)
    if not shown.isascii():
        shown = with_codes(shown, plotting_font())
    if len(shown) > MAX_LABEL_CHARS:
        half = MAX_LABEL_CHARS // 2
        shown = f"{shown[:half]}…{shown[-half:]}"
    return (f" {shown}" if shown.startswith("_") else shown).replace("$", r"\$")


def line_look(number: int) -> tuple[str, str]:
    """Return colour and dashes of a line; neighbours differ in both, and so do the first twelve."""
    dashes = LINE_STYLES[(number + number // len(LINE_COLOURS)) % len(LINE_STYLES)]
    return LINE_COLOURS[number % len(LINE_COLOURS)], dashes


def thinned(names: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return positions and texts of at most MAX_TICK_LABELS labels, evenly apart."""
    step = -(-len(names) // MAX_TICK_LABELS) if names else 1
    places = list(range(0, len(names), step))
    return places, [plain(names[place]) for place in places]


def label_rotation(labels: Sequence[str]) -> int:
    """Return the angle in degrees at which labels below an axis do not touch each other."""
    longest = max((len(label) for label in labels), default=0)
    return 0 if longest * len(labels) <= MAX_LEVEL_CHARS else 90


def legend_above(axes: Axes, *, columns: int = 2) -> None:
    """Put the legend above the upper right corner, where it covers no data and no title."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=columns,
            borderaxespad=0.1,
            handlelength=1.9,
            handletextpad=0.5,
            columnspacing=0.8,
        )


def say_empty(axes: Axes, text: str) -> None:
    """Write in the middle of empty axes why they are empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="0.35")
