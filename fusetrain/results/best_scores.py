"""The scores of a run at its best epoch, as its table tells them, and where a gain is kept."""

from __future__ import annotations

import csv
from pathlib import Path

from fusetrain.errors import RunError

FUSION_GAIN = "fusion_gain.json"
METRICS = {"map50": "metrics/mAP50(B)", "map50_95": "metrics/mAP50-95(B)"}


def best_scores(table: Path) -> dict[str, float]:
    """Return the metrics of the epoch with the highest mAP50-95, the earlier one at a tie.

    Raises:
        RunError: There is no table, or no epoch in it was validated.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row[METRICS["map50_95"]]]
    except (OSError, KeyError) as error:
        raise RunError(f"{table} cannot be read: {error}") from error
    if not rows:
        raise RunError(f"no epoch of {table} was validated")
    best = max(rows, key=lambda row: float(row[METRICS["map50_95"]]))
    return {name: float(best[column]) for name, column in METRICS.items()}
