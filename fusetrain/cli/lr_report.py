"""What `plot-lr` reports: a table, a summary, and whether runs followed the plan.

It joins the schedule, which plans rates, with the run folder, which logged them. The chart of both
is made in `lr_charts.py`. It prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fusetrain.cli.lr_charts import sampled_steps
from fusetrain.errors import ComparisonError, Problem, RunError
from fusetrain.results.lr_table import Departure, write_lr_csv
from fusetrain.runs.logged import (
    LoggedRun,
    PlannedSchedule,
    departures_of,
    open_run,
    plan_of,
    plan_of_run,
)
from fusetrain.schedule.plan import SchedulePlan

MAX_SHOWN = 5


@dataclass(frozen=True)
class LrReport:
    """What was asked for.

    Attributes:
        planned: The plan of the config, or that of the single run; None where there is none. With
            a single run it holds what the run decided.
        others: Plans of further configs.
        runs: The runs, in the order asked for.
        departures: Where each run left the plan of the config; None without a config or a run.
    """

    planned: PlannedSchedule | None
    others: tuple[PlannedSchedule, ...]
    runs: tuple[LoggedRun, ...]
    departures: tuple[tuple[Departure, ...], ...] | None

    @property
    def plans(self) -> tuple[PlannedSchedule, ...]:
        """Return all plans, the one that runs are compared with first."""
        return (*(() if self.planned is None else (self.planned,)), *self.others)


def make_report(
    config: Path | None,
    runs: Sequence[Path],
    *,
    others: Sequence[Path] = (),
    steps_per_epoch: int | None = None,
) -> LrReport:
    """Plan the schedule of a config, read the runs, and compare both where both are given.

    Args:
        config: Config file that runs are compared with.
        runs: Run folders or `results.csv` files.
        others: Config files that are only drawn.
        steps_per_epoch: Optimizer steps of an epoch; None finds them out.
    """
    logged = tuple(open_run(path) for path in runs)
    drawn = tuple(plan_of(path, steps_per_epoch=steps_per_epoch, runs=logged) for path in others)
    if config is None:
        alone = len(logged) == 1 and not drawn
        return LrReport(plan_of_run(logged[0]) if alone else None, drawn, logged, None)
    planned = plan_of(config, steps_per_epoch=steps_per_epoch, runs=logged)
    departures = tuple(tuple(departures_of(run, planned)) for run in logged)
    if len(logged) == 1:
        planned = replace(planned, plan=planned.plan.decided(logged[0].decisions))
    return LrReport(planned, drawn, logged, departures or None)


def comparison_error(report: LrReport) -> ComparisonError | None:
    """Return the error that says where runs left the plan; None if none did."""
    problems: list[Problem] = []
    total = 0
    for run, found in zip(report.runs, report.departures or (), strict=False):
        where = str(run.table.path)
        total += len(found)
        problems += [Problem(str(departure), where=where) for departure in found[:MAX_SHOWN]]
        if found:
            problems += [Problem(sentence, where=where) for sentence in run.events]
    if not total:
        return None
    return ComparisonError(
        f"the learning rates left the plan at {total} {'places' if total > 1 else 'place'}",
        problems=problems,
        expected="equal numbers, to the last digit, at the last step of every epoch",
        remedy="compare with the settings of the run itself: --config RUN/config.yaml RUN",
    )


def write_table(report: LrReport, path: Path) -> None:
    """Write one row for each optimizer step of the plan.

    Raises:
        RunError: The plan is not known.
    """
    if not report.plans:
        raise RunError(
            "the plan of the run is not known, so there is no table of its steps",
            where=str(report.runs[0].table.path),
            remedy="give the config: --config FILE",
        )
    plan = report.plans[0].plan
    momentum = ("momentum",) if plan.sets_momentum else ()
    write_lr_csv(path, ("step", "epoch", *plan.columns, *momentum), csv_rows(plan))


def csv_rows(plan: SchedulePlan) -> Iterator[tuple[int | float, ...]]:
    """Yield one row for each optimizer step; epochs count from 1."""
    for step in range(plan.total_steps):
        momentum = plan.momentum(step)
        tail = () if momentum is None else (momentum,)
        yield (step, plan.epoch_of(step) + 1, *plan.row(step), *tail)


def json_of(report: LrReport, *, figure: Path | None, table: Path | None) -> dict[str, Any]:
    """Return the report as JSON types."""
    runs: list[dict[str, Any]] = []
    for index, run in enumerate(report.runs):
        runs.append({"name": run.name, "csv": str(run.table.path), "epochs": len(run.table.epochs)})
        if report.departures is not None:
            found = report.departures[index]
            runs[-1] |= {"equal": not found, "departures": [vars(item) for item in found]}
    return {
        "plan": summary_of(report.plans[0]) if report.plans else None,
        "others": [summary_of(planned) for planned in report.plans[1:]],
        "runs": runs,
        "figure": None if figure is None else str(figure),
        "csv": None if table is None else str(table),
    }


def summary_of(planned: PlannedSchedule) -> dict[str, Any]:
    """Return the numbers of a plan that a reader may ask for."""
    plan = planned.plan
    rates = [plan.row(step)[0] for step in sampled_steps(plan)]
    return {
        "name": planned.config.schedule.name,
        "epochs": plan.epochs,
        "steps_per_epoch": plan.steps_per_epoch,
        "total_steps": plan.total_steps,
        "warmup_steps": plan.warmup_steps,
        "lr0": plan.lr0,
        "first": rates[0],
        "peak": max(rates),
        "last": rates[-1],
        "restarts": list(plan.restarts),
        "momentum": plan.sets_momentum,
        "groups": [
            {"column": column, "part": group.part, "kind": group.kind}
            for column, group in zip(plan.columns[1:], plan.groups, strict=True)
        ],
        "notes": list(plan.notes),
    }
