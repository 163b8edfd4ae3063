"""How well a training detects after each epoch, and what it had cost until then.

Curves of our runs are read from their folders; what is asked of a curve is the same for whoever
trained.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Point:
    """A training at the end of an epoch that was validated.

    Attributes:
        epoch: From 1.
        seconds: On the clock since training began, validation and saving included.
        cpu_seconds: Of processor time in the steps until then, which other work on the machine
            hardly moves.
        map50: mAP50 on the validation split.
        map50_95: mAP50-95 likewise.
    """

    epoch: int
    seconds: float
    cpu_seconds: float
    map50: float
    map50_95: float


Curve = Sequence[Point]


def read_curve(run: Path) -> list[Point]:
    """Return the validated epochs of a run folder of ours."""
    with (run / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    events = map(json.loads, (run / "events.jsonl").read_text(encoding="utf-8").splitlines())
    cost = {event["epoch"]: event["cpu_seconds"] for event in events if event["event"] == "epoch"}
    return [
        Point(
            epoch=int(row["epoch"]),
            seconds=float(row["time"]),
            cpu_seconds=sum(cost[epoch] for epoch in cost if epoch <= int(row["epoch"])),
            map50=float(row["metrics/mAP50(B)"]),
            map50_95=float(row["metrics/mAP50-95(B)"]),
        )
        for row in rows
        if row["metrics/mAP50-95(B)"]
    ]


def first_reaching(curve: Curve, map50: float) -> Point | None:
    """Return the first point with that mAP50 or more; None where there is none."""
    return next((point for point in curve if point.map50 >= map50), None)


def latest_by(curve: Curve, seconds: float) -> Point | None:
    """Return the last point that was there after so many seconds; None before the first."""
    return max(
        (point for point in curve if point.seconds <= seconds),
        key=lambda point: point.epoch,
        default=None,
    )
