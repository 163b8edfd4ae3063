"""The folder of a run: its name, `results.csv`, `events.jsonl`, the `latest` pointer.

Numbers come in and files go out; what the numbers mean is decided elsewhere. `results.csv` is
always rewritten whole from the history that a checkpoint holds, so that the two cannot disagree.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fusetrain.durable import write_durably
from fusetrain.errors import ResourceError, RunError
from fusetrain.results.run_lock import hold

CSV_COLUMNS = (
    "epoch",
    "time",
    "train/box_loss",
    "train/cls_loss",
    "train/dfl_loss",
    "metrics/precision(B)",
    "metrics/recall(B)",
    "metrics/mAP50(B)",
    "metrics/mAP50-95(B)",
    "val/box_loss",
    "val/cls_loss",
    "val/dfl_loss",
    "lr0",
)

LATEST = "latest"
MAX_NAMED = 8
Row = Mapping[str, float | int | None]
# Beside a fused run whose single modalities were trained too: their scores, and the gain.
FUSION_GAIN = "fusion_gain.json"


def csv_columns(num_groups: int) -> tuple[str, ...]:
    """Return the header of results.csv for an optimizer with ``num_groups`` groups."""
    return (*CSV_COLUMNS, *(f"lr/pg{number}" for number in range(num_groups)))


def csv_text(history: Sequence[Row], num_groups: int) -> str:
    """Return results.csv: ``%.6g`` cells, learning rates by ``repr``, None as an empty cell."""
    columns = csv_columns(num_groups)
    lines = [",".join(columns)]
    lines += [",".join(_cell(column, row[column]) for column in columns) for row in history]
    return "\n".join(lines) + "\n"


def _cell(column: str, value: float | int | None) -> str:
    if value is None:
        return ""
    return repr(float(value)) if column.startswith("lr") else f"{value:.6g}"


class RunDir:
    """The files of one run.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_log_cut = False
        self._has_warned = False

    @classmethod
    def create(cls, project: Path, name: str) -> RunDir:
        """Make the first free folder of ``name``, ``name2``, ``name3`` … and point `latest` at it.

        Raises:
            ResourceError: The folder cannot be made; nothing is left of the attempt.
        """
        made: list[Path] = []
        try:
            project.mkdir(parents=True, exist_ok=True)
            run = cls(_make_numbered(project, name))
            made.append(run.path)
            run.weights.mkdir()
            made.append(run.weights)
            run.become_latest()
        except OSError as error:
            for folder in reversed(made):
                folder.rmdir()
            raise ResourceError(
                f"no run folder can be made under {project}: {error.strerror}",
                remedy="--set run.project=FOLDER with a folder that can be written",
            ) from error
        return run

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """Return the run that ``path`` names: a run folder, a pointer to one, or its checkpoint.

        Raises:
            RunError: There is no run.
        """
        path = followed(path)
        if path.is_file() and path.parent.name == "weights":
            path = path.parent.parent
        if not path.exists():
            raise RunError(
                f"{path} is not a run folder: nothing has this name",
                expected=_known_runs(path.parent),
            )
        if not (path / "config.yaml").is_file():
            raise RunError(
                f"{path} is not a run folder: it has no config.yaml",
                expected="a folder that `fusetrain train` made, such as runs/fuse/exp",
            )
        return cls(path.resolve())

    def become_latest(self) -> None:
        """Let `latest` beside the folder point at it.

        Raises:
            OSError: The pointer cannot be written.
        """
        _point_latest(self.path.parent / LATEST, self.path)

    @property
    def weights(self) -> Path:
        """Return the folder of checkpoints and weights."""
        return self.path / "weights"

    @property
    def config(self) -> Path:
        """Return the effective config of the run."""
        return self.path / "config.yaml"

    @property
    def csv(self) -> Path:
        """Return results.csv."""
        return self.path / "results.csv"

    def write_config(self, text: str) -> None:
        """Write config.yaml in one step."""
        write_durably(self.config, text.encode())

    def write_csv(self, history: Sequence[Row], num_groups: int) -> None:
        """Write results.csv in one step."""
        write_durably(self.csv, csv_text(history, num_groups).encode())

    def event(self, kind: str, **values: Any) -> None:
        """Append one line to events.jsonl: seconds since 1970, the kind and its JSON values.

        A line that cannot be written is a warning, once.
        """
        line = json.dumps({"time": round(time.time(), 3), "event": kind, **values})
        before = "\n" if self._is_log_cut else ""
        self._is_log_cut = True
        with self._one_warning(), (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{before}{line}\n")
            file.flush()
            self._is_log_cut = False

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a JSON file for people; one that cannot be written is a warning."""
        text = json.dumps(values, indent=1) + "\n"
        with self._one_warning():
            (self.path / name).write_text(text, encoding="utf-8")

    @contextlib.contextmanager
    def _one_warning(self) -> Iterator[None]:
        """Warn at the first file beside the checkpoints that cannot be written; none is worth more.

        The training goes on.
        """
        try:
            yield
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"the log of {self.path} is incomplete: {error}; training goes on",
                    RuntimeWarning,
                    stacklevel=4,
                )

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the lines of events.jsonl, of one kind or all, but for damaged ones.

        They stand in the order in which they were written.
        """
        found = []
        try:
            text = (self.path / "events.jsonl").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                values = json.loads(line)
                if isinstance(values, dict) and kind in (None, values.get("event")):
                    found.append(values)
        return found

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process; the lock of a process that is gone does not count.

        What a killed process left half written is removed.

        Raises:
            RunError: Another living process holds it.
            ResourceError: The folder cannot be written.
        """
        with hold(self.path / ".lock"):
            for folder in (self.path, self.weights):
                for left_over in folder.glob(".*.tmp"):
                    left_over.unlink(missing_ok=True)
            yield


def _known_runs(folder: Path) -> str:
    """Say which runs a folder holds, some of them."""
    runs = {path.parent.name for path in folder.glob("*/config.yaml")} - {LATEST}
    names = sorted(runs)[:MAX_NAMED]
    if not names:
        return "a folder that `fusetrain train` made, such as runs/fuse/exp"
    return f"a run folder; {folder} holds {', '.join(names)}"


def followed(path: Path) -> Path:
    """Return the folder that a `latest` written as a text file names; any other path as it is."""
    if path.name != LATEST or path.is_symlink() or not path.is_file():
        return path
    return path.parent / path.read_text(encoding="utf-8", errors="replace").strip()


def _make_numbered(project: Path, name: str) -> Path:
    number = 1
    while True:
        path = project / (name if number == 1 else f"{name}{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def _point_latest(pointer: Path, run: Path) -> None:
    """Point ``latest`` at a run: a relative link, or a text file where links are refused."""
    temporary = pointer.with_name(f".latest.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(run.name, target_is_directory=True)
    except OSError:
        temporary.write_text(run.name + "\n", encoding="utf-8")
    try:
        temporary.replace(pointer)
    except OSError:
        temporary.unlink()
        raise
