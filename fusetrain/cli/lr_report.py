"""What `plot-lr` shows: a chart, a table, a summary, and whether runs followed the plan.

It joins the schedule, which plans rates, with the run folder, which logged them, and hands numbers
to the picture. It prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from fusetrain.cli.lr_sources import LoggedRun, PlannedSchedule, open_run, plan_of, plan_of_run
from fusetrain.errors import ComparisonError, Problem, RunError
from fusetrain.results.lr_plot import LrChart, LrLine
from fusetrain.results.lr_table import Departure, find_departures, write_lr_csv
from fusetrain.schedule.plan import SchedulePlan

MAX_POINTS = 1500
MAX_SHOWN = 5


@dataclass(frozen=True)
class LrReport:
    """What was asked for.

    Attributes:
        planned: The plan of the config, or that of the single run; None where there is none.
        runs: The runs, in the order asked for.
        departures: Where each run left the plan of the config; None without a config or a run.
    """

    planned: PlannedSchedule | None
    runs: tuple[LoggedRun, ...]
    departures: tuple[tuple[Departure, ...], ...] | None


def make_report(
    config: Path | None, runs: Sequence[Path], *, steps_per_epoch: int | None = None
) -> LrReport:
    """Plan the schedule of a config, read the runs, and compare both where both are given.

    Args:
        config: Config file.
        runs: Run folders or `results.csv` files.
        steps_per_epoch: Optimizer steps of an epoch; None finds them out.
    """
    logged = tuple(open_run(path) for path in runs)
    if config is None:
        return LrReport(plan_of_run(logged[0]) if len(logged) == 1 else None, logged, None)
    planned = plan_of(config, steps_per_epoch=steps_per_epoch, runs=logged)
    departures = tuple(tuple(departures_of(run, planned.plan)) for run in logged)
    return LrReport(planned, logged, departures or None)


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
    if report.planned is None:
        raise RunError(
            "the plan of the run is not known, so there is no table of its steps",
            where=str(report.runs[0].table.path),
            remedy="give the config: --config FILE",
        )
    plan = report.planned.plan
    momentum = ("momentum",) if plan.momentum_span else ()
    write_lr_csv(path, ("step", "epoch", *plan.columns, *momentum), csv_rows(plan))


def departures_of(run: LoggedRun, plan: SchedulePlan) -> list[Departure]:
    """Return where the logged rates differ from the plan at the last step of an epoch."""

    def planned_row(epoch: int) -> Sequence[float] | None:
        known = 1 <= epoch <= plan.epochs
        return plan.row(plan.last_step_of(epoch - 1)) if known else None

    return find_departures(run.table, plan.columns, planned_row)


def csv_rows(plan: SchedulePlan) -> Iterator[tuple[int | float, ...]]:
    """Yield one row for each optimizer step; epochs count from 1."""
    for step in range(plan.total_steps):
        momentum = plan.momentum(step)
        tail = () if momentum is None else (momentum,)
        yield (step, plan.epoch_of(step) + 1, *plan.row(step), *tail)


def chart_of(report: LrReport, *, with_loss: bool = False) -> LrChart:
    """Make the chart of a plan, of runs, or of both.

    A single plan or run shows its groups too, where they depart from the schedule itself.
    """
    planned, runs = report.planned, report.runs
    lines: list[LrLine] = []
    if planned:
        lines += _plan_lines(planned, with_groups=not runs)
    names = _distinct_names(runs)
    for run, name in zip(runs, names, strict=True):
        lines += _run_lines(
            run, name, is_points=planned is not None, with_groups=not planned and len(runs) == 1
        )
    losses = [
        line for run, name in zip(runs, names, strict=True) for line in _loss_lines(run, name)
    ]
    plan = planned.plan if planned else None
    ends = [max(run.table.epochs, default=1) for run in runs]
    return LrChart(
        title=_title(planned, names),
        lines=lines,
        num_epochs=max([*ends, plan.epochs] if plan else ends),
        warmup_epochs=plan.warmup_steps / plan.steps_per_epoch if plan else 0.0,
        losses=losses if with_loss else (),
    )


def json_of(report: LrReport, *, figure: Path, table: Path | None) -> dict[str, Any]:
    """Return the report as JSON types."""
    runs: list[dict[str, Any]] = []
    for index, run in enumerate(report.runs):
        runs.append({"name": run.name, "csv": str(run.table.path), "epochs": len(run.table.epochs)})
        if report.departures is not None:
            found = report.departures[index]
            runs[-1] |= {"equal": not found, "departures": [vars(item) for item in found]}
    return {
        "plan": summary_of(report.planned) if report.planned else None,
        "runs": runs,
        "figure": str(figure),
        "csv": None if table is None else str(table),
    }


def summary_of(planned: PlannedSchedule) -> dict[str, Any]:
    """Return the numbers of a plan that a reader may ask for."""
    plan = planned.plan
    rates = [plan.row(step)[0] for step in _sampled_steps(plan)]
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
        "groups": [
            {"column": column, "part": group.part, "kind": group.kind}
            for column, group in zip(plan.columns[1:], plan.groups, strict=True)
        ],
        "notes": list(plan.notes),
    }


def _sampled_steps(plan: SchedulePlan) -> list[int]:
    """Return at most some thousand steps that show the shape: ends, warmup and an even grid."""
    last = plan.total_steps - 1
    grid = {last * index // (MAX_POINTS - 1) for index in range(MAX_POINTS)}
    around = {plan.warmup_steps + offset for offset in (-1, 0, 1)}
    return sorted(grid | {step for step in around if 0 <= step <= last})


def _plan_lines(planned: PlannedSchedule, *, with_groups: bool) -> list[LrLine]:
    plan = planned.plan
    steps = _sampled_steps(plan)
    epochs = [(step + 1) / plan.steps_per_epoch for step in steps]
    columns = list(zip(*(plan.row(step) for step in steps), strict=True))
    lines = [LrLine(planned.name, epochs, columns[0])]
    if not with_groups:
        return lines
    labels = {
        column: f"{column[3:]} {group.part or ''} {group.kind}".replace("  ", " ")
        for column, group in zip(plan.columns[1:], plan.groups, strict=True)
    }
    rates = dict(zip(labels, columns[1:], strict=True))
    return lines + _group_lines(epochs, rates, labels, main=columns[0], is_points=False)


def _run_lines(run: LoggedRun, name: str, *, is_points: bool, with_groups: bool) -> list[LrLine]:
    table = run.table
    label = name if table.main == "lr0" else f"{name}, {table.names[table.main]}"
    main = table.rates[table.main]
    lines = [LrLine(label, table.epochs, main, is_points=is_points)]
    others = {column: rates for column, rates in table.rates.items() if column != table.main}
    if with_groups:
        lines += _group_lines(table.epochs, others, table.names, main=main, is_points=is_points)
    return lines


def _group_lines(
    epochs: Sequence[float],
    rates: Mapping[str, Sequence[float]],
    labels: Mapping[str, str],
    *,
    main: Sequence[float],
    is_points: bool,
) -> list[LrLine]:
    """Return one line for all groups with equal rates, without those that follow the schedule."""
    ordered = sorted(rates, key=lambda column: tuple(rates[column]))
    lines = []
    for values, columns in groupby(ordered, key=lambda column: tuple(rates[column])):
        if values != tuple(main):
            label = ", ".join(labels[column] for column in columns)
            lines.append(LrLine(label, epochs, values, is_points=is_points, is_main=False))
    return lines


def _loss_lines(run: LoggedRun, name: str) -> Iterator[LrLine]:
    for side, losses in run.table.losses.items():
        pairs = zip(run.table.epochs, losses, strict=False)
        logged = {epoch: loss for epoch, loss in pairs if loss is not None}
        if logged:
            yield LrLine(f"{name}: {side} loss", list(logged), list(logged.values()))


def _distinct_names(runs: Sequence[LoggedRun]) -> list[str]:
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return names
    return [f"{run.table.path.parent.parent.name}/{run.name}" for run in runs]


def _title(planned: PlannedSchedule | None, names: Sequence[str]) -> str:
    title = "Learning rate"
    if planned:
        schedule, plan = planned.config.schedule, planned.plan
        title += f": {schedule.name}, {plan.epochs} epochs of {plan.steps_per_epoch} steps"
    return f"{title} ({', '.join(names)})" if names else title
