"""Learning rates of configs and runs: the plan of a config, the table of a run, their differences.

It reads files and counts pairs. `plot-lr` draws what comes out, `diagnose` judges it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusetrain.build import plan_from_config
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config
from fusetrain.errors import DataError, FusetrainError, RunError
from fusetrain.results.lr_table import Departure, LrTable, find_departures, read_lr_table
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import config_checks
from fusetrain.runs.spans import Span, spans_of
from fusetrain.schedule.following import Decision
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.planning import moved_plans


@dataclass(frozen=True)
class PlannedSchedule:
    """The plan of a config.

    Attributes:
        name: What the legend calls it.
        config: The settings.
        plan: The learning rates.
    """

    name: str
    config: Config
    plan: SchedulePlan


@dataclass(frozen=True)
class LoggedRun:
    """What a run logged.

    Attributes:
        name: What the legend calls it.
        folder: The run folder; None for a lone CSV file.
        table: Its learning rates.
        config: Its effective config; None for runs of other systems.
        spans: How long its epochs were, and what its schedule decided, where it follows the run.
        events: Sentences about events that changed the learning rates.
    """

    name: str
    folder: Path | None
    table: LrTable
    config: Config | None = None
    spans: tuple[Span, ...] = ()
    events: tuple[str, ...] = ()

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Return what its schedule decided, by steps of its last epochs."""
        return self.spans[-1].decisions if self.spans else ()


def plan_of(
    path: Path, *, steps_per_epoch: int | None = None, runs: Sequence[LoggedRun] = ()
) -> PlannedSchedule:
    """Plan the schedule of a config file.

    Args:
        path: The config.
        steps_per_epoch: Optimizer steps of an epoch; None takes them from a run with the same
            data and batch, or else counts the pairs of the data set.
        runs: Runs that are shown beside it.

    Raises:
        ConfigError: The config is wrong.
        DataError: The pairs cannot be counted.
    """
    config = _load(path)
    if steps_per_epoch is None:
        known = (_steps_per_epoch(run, config) for run in runs if _has_same_batches(run, config))
        steps_per_epoch = next(known, None)
    try:
        plan = plan_from_config(config, steps_per_epoch=steps_per_epoch)
    except DataError as error:
        raise DataError(
            error.what,
            problems=error.problems,
            where=error.where,
            expected=error.expected,
            remedy="--steps-per-epoch N draws the schedule without the data set",
        ) from error
    return PlannedSchedule(f"lr0 of {path.name}", config, plan)


def open_run(path: Path) -> LoggedRun:
    """Read what a run logged.

    Args:
        path: A run folder, ours or one with a `results.csv` of YOLOv5 or Ultralytics, or such a
            file alone.

    Raises:
        RunError: There is no run, or its table cannot be read.
        ConfigError: The config in the run folder is wrong.
    """
    if path.suffix == ".csv" and not path.is_dir():
        return LoggedRun(path.stem, None, read_lr_table(path))
    if path.is_dir() and not (path / "config.yaml").is_file():
        if not (path / "results.csv").is_file():
            raise RunError(
                "the folder has no results.csv",
                where=str(path),
                expected="a run folder such as runs/fuse/exp, or a results.csv",
            )
        return LoggedRun(path.resolve().name, path, read_lr_table(path / "results.csv"))
    run = RunDir.open(path)
    events, config = run.events(), _load(run.config)
    return LoggedRun(
        run.path.name,
        run.path,
        read_lr_table(run.csv),
        config,
        spans_of(events, accumulate=config.train.accumulate),
        _scale_sentences(events),
    )


def plan_of_run(run: LoggedRun) -> PlannedSchedule | None:
    """Return the plan that a run had by its own config; None where it cannot be known any more."""
    if run.config is None:
        return None
    try:
        steps = _steps_per_epoch(run, run.config)
        plan = plan_from_config(run.config, steps_per_epoch=steps)
        return PlannedSchedule("lr0 as planned", run.config, plan.decided(run.decisions))
    except FusetrainError:
        return None


def departures_of(run: LoggedRun, planned: PlannedSchedule) -> list[Departure]:
    """Return where the logged rates differ from the plan at the last step of an epoch.

    What a schedule that follows the run has decided is taken from the run, and replayed. Epochs
    that had another length are held against the plan for epochs of that length.
    """
    plans = _plans_by_span(run, planned)

    def planned_row(epoch: int) -> Sequence[float] | None:
        plan = next(plan for first, plan in reversed(plans) if first < max(1, epoch))
        known = 1 <= epoch <= plan.epochs
        return plan.row(plan.last_step_of(epoch - 1)) if known else None

    return find_departures(run.table, planned.plan.columns, planned_row)


def _plans_by_span(run: LoggedRun, planned: PlannedSchedule) -> list[tuple[int, SchedulePlan]]:
    """Return the first epoch, from 0, and the plan of each span; one where all are as planned."""
    steps = planned.plan.steps_per_epoch
    own = planned.plan.decided(run.decisions)
    if not run.spans or run.spans[-1].steps != steps:
        return [(0, own)]
    plans = []
    for span in run.spans[:-1]:
        schedule = planned.config.schedule
        moved = moved_plans(schedule.plans, span.steps / steps)
        config = planned.config.model_copy(
            update={"schedule": schedule.model_copy(update={"plans": moved})}
        )
        plan = plan_from_config(config, steps_per_epoch=span.steps)
        plans.append((span.first_epoch, plan.decided(span.decisions)))
    plans.append((run.spans[-1].first_epoch, own))
    return [(0, plans[0][1]), *plans[1:]]


def _load(path: Path) -> Config:
    """Return a config whose data path holds wherever the command is run."""
    loaded = load_config(path, checks=[config_checks])
    data = None if loaded.data_path is None else str(loaded.data_path)
    return loaded.config.model_copy(update={"data": data})


def _has_same_batches(run: LoggedRun, config: Config) -> bool:
    if run.config is None or run.config.train.batch != config.train.batch:
        return False
    paths = [Path(data).resolve() for data in (run.config.data, config.data) if data is not None]
    return config.data is None or len(set(paths)) == 1


def _steps_per_epoch(run: LoggedRun, config: Config) -> int | None:
    """Return the steps of an epoch of a config by the last epochs of a run; None if not known."""
    return -(-run.spans[-1].batches // config.train.accumulate) if run.spans else None


def _scale_sentences(events: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a sentence for each event that scaled the learning rates."""
    sentences = []
    for event in events:
        if "lr_scale" in event:
            values = {key: value for key, value in event.items() if key not in ("time", "event")}
            sentences.append(f"event {event.get('event', '?')}: {json.dumps(values)}")
    return tuple(sentences)
