"""What to say of a run whose results.csv is gone or is no table any more, and what mends it.

It is read in `history.py` and `lr_table.py`; a checkpoint holds the same rows, so that resuming
the run writes the file anew.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from fusetrain.errors import RunError
from fusetrain.results.run_dir import RunDir
from fusetrain.results.run_lock import is_held

CHECKPOINTS = ("last.pt", "last.prev.pt")
SEMICOLONS = "its cells are parted by semicolons, as spreadsheets do, not by commas"


def require_table(run: RunDir) -> None:
    """Refuse a run that has finished epochs and whose results.csv is not there any more.

    Raises:
        RunError: It is so; a run that is just being trained is left alone.
    """
    if run.csv.is_file() or is_held(run.path / ".lock"):
        return
    if epochs := _finished_epochs(run):
        were = "1 epoch was" if epochs == 1 else f"{epochs} epochs were"
        raise RunError(
            f"results.csv is missing, though {were} finished",
            where=str(run.csv),
            remedy=how_to_rewrite(run.csv),
        )


def how_to_rewrite(table: Path) -> str:
    """Return what writes a results.csv anew; empty where it is not that of a run of ours."""
    folder = table.parent
    if table.name != "results.csv" or not (folder / "config.yaml").is_file():
        return ""
    if not _has_any(folder / "weights", CHECKPOINTS):
        return ""
    return f"`fusetrain resume {shlex.quote(str(folder))}` writes it anew"


def has_semicolons(header: str) -> bool:
    """Return whether the first line of a table has semicolons where commas should be."""
    return ";" in header and "," not in header


def _finished_epochs(run: RunDir) -> int:
    """Return how many epochs the events tell of; at least 1 where best weights were kept."""
    numbers = [event.get("epoch") for event in run.events("epoch")]
    told = max((number for number in numbers if isinstance(number, int)), default=0)
    if _has_any(run.weights, ("best.safetensors",)):
        return max(1, told)
    # The newest event is written just before its epoch is saved; a kill may come between the two.
    return told if _has_any(run.weights, CHECKPOINTS) else max(0, told - 1)


def _has_any(weights: Path, names: tuple[str, ...]) -> bool:
    return any((weights / name).is_file() for name in names)
