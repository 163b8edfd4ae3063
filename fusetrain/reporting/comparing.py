"""Runs side by side: the settings in which they differ, and what came out of each.

The same rows are printed on the terminal and set into the page; the JSON object holds the numbers
behind them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fusetrain.reporting.records import RunRecord
from fusetrain.results.run_dir import Row

NONE = "-"
METRICS = {
    "mAP50-95": "metrics/mAP50-95(B)",
    "mAP50": "metrics/mAP50(B)",
    "precision": "metrics/precision(B)",
    "recall": "metrics/recall(B)",
}
JSON_METRICS = {"map50_95": "mAP50-95", "map50": "mAP50", "precision": "precision"}
JSON_METRICS |= {"recall": "recall"}
OWN_SETTINGS = ("run.name", "run.project")


@dataclass(frozen=True)
class Comparison:
    """One row of a comparison.

    Attributes:
        label: What is compared.
        cells: Text for each run.
        best: Numbers of the runs that are best in it, where one can be.
    """

    label: str
    cells: Sequence[str]
    best: Sequence[int] = ()


def labels_of(runs: Sequence[RunRecord]) -> list[str]:
    """Return a name for each run: that of its folder, with the folder above where two agree."""
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [f"{run.path.parent.name}/{run.name}" for run in runs]
    if len(set(names)) < len(names):
        names = [f"{number}: {name}" for number, name in enumerate(names, start=1)]
    return names


def outcome(runs: Sequence[RunRecord]) -> list[Comparison]:
    """Return what came out of each run, best epoch and scores first."""
    first = _metric(runs[0], "mAP50-95")
    rows = [
        _row("status", runs, lambda run: run.status),
        _row("epochs", runs, lambda run: f"{len(run.history)} of {run.epochs}"),
        _row("best epoch", runs, lambda run: _whole(run.best, "epoch")),
        *(_scores(name, [_metric(run, name) for run in runs]) for name in METRICS),
    ]
    if len(runs) > 1:
        rows.append(
            _row("mAP50-95 to the first", runs, lambda run: _signed(run, "mAP50-95", first))
        )
    rows.append(_row("training time", runs, lambda run: duration(run.seconds)))
    rows.append(_row("seconds an epoch", runs, _seconds_an_epoch))
    if any(run.gain for run in runs):
        rows.append(_row("fusion gain mAP50", runs, lambda run: _gain(run, "map50")))
        rows.append(_row("fusion gain mAP50-95", runs, lambda run: _gain(run, "map50_95")))
    return rows


def trained_on(runs: Sequence[RunRecord]) -> list[Comparison]:
    """Return what each run trained on what."""
    return [
        _row("detector", runs, _detector),
        _row("parameters", runs, lambda run: _count(run.start.get("parameters"))),
        _row("data", runs, lambda run: str(run.settings["data"] or NONE)),
        _row("pairs, train and val", runs, _pairs),
        _row("image size", runs, lambda run: f"{run.settings['train.imgsz']} px"),
        _row("pairs a batch", runs, lambda run: str(run.settings["train.batch"])),
        _row("optimizer", runs, _optimizer),
        _row("schedule", runs, lambda run: str(run.settings["schedule.name"])),
        _row("seed", runs, lambda run: str(run.settings["train.seed"])),
        _row("starts from", runs, lambda run: str(run.settings["model.weights"] or "chance")),
    ]


def differing_settings(runs: Sequence[RunRecord]) -> list[Comparison]:
    """Return the settings in which the runs differ, but for their names and folders."""
    keys = dict.fromkeys(key for run in runs for key in run.settings if key not in OWN_SETTINGS)
    rows = [Comparison(key, [setting_text(run.settings.get(key)) for run in runs]) for key in keys]
    return [row for row in rows if len(set(row.cells)) > 1]


def json_of(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Return the comparison for scripts; what is not known is None."""
    keys = [row.label for row in differing_settings(runs)]
    return {
        "runs": [
            _json_of_run(run, label) for run, label in zip(runs, labels_of(runs), strict=True)
        ],
        "settings": {key: [run.settings.get(key) for run in runs] for key in keys},
    }


def setting_text(value: Any) -> str:
    """Return a setting as short text."""
    if value is None:
        return NONE
    if isinstance(value, list):
        value = [_stated(item) for item in value]
    return value if isinstance(value, str) else json.dumps(value)


def _stated(item: Any) -> Any:
    """Return an entry of a list without what it leaves empty."""
    if not isinstance(item, dict):
        return item
    return {key: value for key, value in item.items() if value not in (None, [], {})}


def duration(seconds: float) -> str:
    """Return seconds as people say them: 42 s, 3 min 20 s, 5 h 02 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _json_of_run(run: RunRecord, label: str) -> dict[str, Any]:
    best, pairs = run.best, run.start.get("pairs") or {}
    return {
        "name": label,
        "path": str(run.path),
        "status": run.status,
        "epochs": len(run.history),
        "epochs_planned": run.epochs,
        "best_epoch": None if best is None else int(best["epoch"] or 0),
        "metrics": {key: _metric(run, name) for key, name in JSON_METRICS.items()},
        "seconds": run.seconds,
        "parameters": run.start.get("parameters"),
        "pairs": {split: pairs.get(split) for split in ("train", "val")},
        "fusion_gain": None if run.gain is None else run.gain["gain"],
        "findings": run.findings,
    }


def _row(label: str, runs: Sequence[RunRecord], text: Callable[[RunRecord], str]) -> Comparison:
    return Comparison(label, [text(run) for run in runs])


def _scores(label: str, values: Sequence[float | None]) -> Comparison:
    """Return a row of scores with the highest marked, where there are several."""
    known = [value for value in values if value is not None]
    best = [n for n, value in enumerate(values) if len(known) > 1 and value == max(known)]
    return Comparison(label, [NONE if v is None else f"{v:.3f}" for v in values], best)


def _metric(run: RunRecord, name: str) -> float | None:
    best = run.best
    return None if best is None else best[METRICS[name]]


def _whole(row: Row | None, column: str) -> str:
    return NONE if row is None else f"{row[column]:g}"


def _signed(run: RunRecord, name: str, first: float | None) -> str:
    value = _metric(run, name)
    return NONE if value is None or first is None else f"{value - first:+.3f}"


def _gain(run: RunRecord, name: str) -> str:
    value = None if run.gain is None else run.gain["gain"].get(name)
    return f"{value:+.3f}" if isinstance(value, int | float) else NONE


def _seconds_an_epoch(run: RunRecord) -> str:
    return f"{run.seconds / len(run.history):.1f}" if run.history else NONE


def _count(value: Any) -> str:
    return f"{value / 1e6:.2f} M" if isinstance(value, int | float) else NONE


def _pairs(run: RunRecord) -> str:
    pairs = run.start.get("pairs")
    return f"{pairs.get('train')}, {pairs.get('val')}" if isinstance(pairs, dict) else NONE


def _detector(run: RunRecord) -> str:
    kind, size = run.settings["model.fusion"], run.settings["model.size"]
    is_joined = kind not in ("rgb", "ir")
    operator = f", {run.settings['model.operator']}" if is_joined else ""
    return f"{kind} {size}{operator}"


def _optimizer(run: RunRecord) -> str:
    return f"{run.settings['optim.name']}, lr0 {run.settings['optim.lr0']:g}"
