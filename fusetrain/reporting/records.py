"""What a run folder tells about its run: settings, epochs, events, what fusion gained.

Everything is read from files that a training leaves; what is missing or half written is told as
not known. Nothing is judged anew and no image is opened here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusetrain.config.load import load_config
from fusetrain.config.stages import run_epochs
from fusetrain.results.history import best_row, read_history
from fusetrain.results.run_dir import FUSION_GAIN, Row, RunDir
from fusetrain.results.run_table import require_table
from fusetrain.rules import config_checks

KINDS = ("end", "stop", "start")  # of two within one millisecond the first of these is later


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes:
        name: Name of its folder.
        path: Its folder.
        settings: Dotted key to value of its config.
        epochs: Epochs that it has, once it is through.
        history: Rows of results.csv.
        status: finished, stopped early, stopped, or running or killed.
        start: What its last start said about machine, detector and pairs.
        starts: How often it was started.
        judged: Scores of the best weights, class by class; empty where they were not judged.
        findings: Code of a data finding to how often it was found; None where that is not known.
        gain: fusion_gain.json, once both baselines are trained; else None.
    """

    name: str
    path: Path
    settings: Mapping[str, Any]
    epochs: int
    history: Sequence[Row]
    status: str
    start: Mapping[str, Any] = field(default_factory=dict)
    starts: int = 0
    judged: Mapping[str, Any] = field(default_factory=dict)
    findings: Mapping[str, int] | None = None
    gain: Mapping[str, Any] | None = None

    @property
    def best(self) -> Row | None:
        """Return the row of the best epoch; None before the first validation."""
        return best_row(self.history)

    @property
    def seconds(self) -> float:
        """Return how long it trained."""
        return float(self.history[-1]["time"] or 0.0) if self.history else 0.0


def read_run(path: Path) -> RunRecord:
    """Read a run.

    Args:
        path: A run folder, a pointer to one, or its checkpoint.

    Raises:
        RunError: There is no run, or its table is lost or cannot be read.
        ConfigError: Its config is not one of this version.
    """
    run = RunDir.open(path)
    require_table(run)
    config = load_config(run.config, checks=[config_checks]).config
    starts = run.events("start")
    history = read_history(run.csv)
    findings = [start["findings"] for start in starts if isinstance(start.get("findings"), dict)]
    return RunRecord(
        name=run.path.name,
        path=run.path,
        settings=dict(_leaves(config.model_dump(mode="json"))),
        epochs=run_epochs(config),
        history=history,
        status=_status(run, len(history), epochs=run_epochs(config)),
        start=starts[-1] if starts else {},
        starts=len(starts),
        judged=next(reversed(run.events("judged")), {}),
        findings=findings[-1] if findings else None,
        gain=_gain(run.path / FUSION_GAIN),
    )


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a run; empty where there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _status(run: RunDir, num_epochs: int, *, epochs: int) -> str:
    """Return how the run stands by the last thing that it wrote down."""
    last = max(
        (event for kind in KINDS for event in run.events(kind)[-1:]),
        key=lambda event: float(event.get("time", 0.0)),
        default={},
    )
    if last.get("event") == "end":
        return "finished" if num_epochs >= epochs else "stopped early"
    return "stopped" if last.get("event") == "stop" else "running or killed"


def _gain(path: Path) -> Mapping[str, Any] | None:
    told = read_object(path)
    is_told = all(isinstance(told.get(part), dict) for part in ("scores", "gain"))
    return told if is_told else None
