"""What is known of a run or of a config: settings, plan, table, events, and its data set.

It is gathered once and judged by the rules; what could not be looked at is told beside the
findings, so that no silence is taken for health.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusetrain.config.schema import Config
from fusetrain.diagnose.data_look import DataLook
from fusetrain.results.lr_table import Departure
from fusetrain.schedule.plan import SchedulePlan

Cells = Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class Evidence:
    """Everything that rules may look at.

    Attributes:
        config: The settings, their paths as they hold from here.
        config_path: The config file.
        plan: The learning rates as planned; None where the pairs could not be counted.
        num_pairs: Training pairs: as the run counted them, or as they are; None if unknown.
        run: The run folder; None where a config is judged before training.
        table: Column of results.csv to its cells; empty without an epoch.
        events: Lines of events.jsonl, oldest first.
        departures: Where the logged rates left the plan.
        data: What the data set looks like now; None where it could not be looked at.
        is_running: Whether a living process holds the run.
    """

    config: Config
    config_path: Path
    plan: SchedulePlan | None
    num_pairs: int | None
    run: Path | None = None
    table: Cells = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    departures: Sequence[Departure] = ()
    data: DataLook | None = None
    is_running: bool = False

    @property
    def num_epochs(self) -> int:
        """Return the rows of results.csv."""
        return len(self.table.get("epoch", ()))

    @property
    def num_steps(self) -> int:
        """Return the optimizer steps of the epochs in results.csv."""
        return self.num_epochs * self.plan.steps_per_epoch if self.plan else 0

    @property
    def epoch_events(self) -> list[Mapping[str, Any]]:
        """Return what each epoch cost and taught, the newest line of each, by epoch."""
        newest = {event["epoch"]: event for event in self.of_kind("epoch") if "epoch" in event}
        return [newest[epoch] for epoch in sorted(newest)]

    def of_kind(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the events of a kind, oldest first."""
        return [event for event in self.events if event.get("event") == kind]

    def cells(self, column: str) -> list[tuple[int, float]]:
        """Return (epoch, value) of the cells of a column that are not empty."""
        epochs = self.table.get("epoch", ())
        values = self.table.get(column, ())
        return [
            (int(epoch), value)
            for epoch, value in zip(epochs, values, strict=False)
            if epoch is not None and value is not None
        ]

    def losses(self, side: str) -> list[tuple[int, float]]:
        """Return (epoch, box + cls + dfl loss) of `train` or `val`, where all three are there."""
        parts = [dict(self.cells(f"{side}/{name}_loss")) for name in ("box", "cls", "dfl")]
        epochs = [epoch for epoch in parts[0] if all(epoch in part for part in parts)]
        return [(epoch, sum(part[epoch] for part in parts)) for epoch in epochs]

    def train_with(self, *sets: str) -> str:
        """Return the command that trains anew with other settings."""
        words = ["fusetrain", "train", "--config", str(self.config_path)]
        for assignment in sets:
            words += ["--set", assignment]
        return shlex.join(words)

    @property
    def data_words(self) -> str:
        """Return the data set as a command line names it."""
        return shlex.quote(str(self.config.data))

    def check_data(self) -> str:
        """Return the command that lists every finding in the data set."""
        return shlex.join(["fusetrain", "check-data", str(self.config.data)])
