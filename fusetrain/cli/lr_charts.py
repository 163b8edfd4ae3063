"""The chart of `plot-lr`: plans and runs as lines over epochs, thinned to what a picture can show.

The numbers come from `logged_runs.py`; the picture is drawn in `results/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

from fusetrain.results.lr_chart import LrChart, LrLine
from fusetrain.runs.logged import LoggedRun, PlannedSchedule
from fusetrain.schedule.plan import SchedulePlan

MAX_POINTS = 1500
Mark = TypeVar("Mark")


def chart_of(
    plans: Sequence[PlannedSchedule], runs: Sequence[LoggedRun], *, with_loss: bool = False
) -> LrChart:
    """Make the chart of plans, of runs, or of both.

    A single plan or run shows its groups too, where they depart from the schedule itself.

    Args:
        plans: What was planned; warmup, restarts and stages are marked where they agree.
        runs: What was logged, drawn as points where there is a plan.
        with_loss: Draw the losses of the runs too.
    """
    names = _distinct_names(runs)
    lines: list[LrLine] = []
    for planned in plans:
        lines += _plan_lines(planned, is_alone=len(plans) == 1 and not runs)
    for run, name in zip(runs, names, strict=True):
        lines += _run_lines(
            run, name, is_points=bool(plans), with_groups=not plans and len(runs) == 1
        )
    losses = [
        line for run, name in zip(runs, names, strict=True) for line in _loss_lines(run, name)
    ]
    ends = [max(run.table.epochs, default=1) for run in runs]
    ends += [planned.plan.epochs for planned in plans]
    return LrChart(
        title=_title(plans, names),
        lines=lines,
        num_epochs=max(ends),
        warmups=_shared(plans, SchedulePlan.warmup_spans),
        losses=losses if with_loss else (),
        restarts=_shared(plans, _restarts_of),
        stages=_shared(plans, SchedulePlan.stage_spans),
        momenta=tuple(_momentum_lines(plans)),
    )


def _shared(
    plans: Sequence[PlannedSchedule], mark: Callable[[SchedulePlan], tuple[Mark, ...]]
) -> tuple[Mark, ...]:
    """Return what all plans have marked on the time axis; nothing where they differ."""
    found = {mark(planned.plan) for planned in plans}
    return found.pop() if len(found) == 1 else ()


def _restarts_of(plan: SchedulePlan) -> tuple[float, ...]:
    return tuple(step / plan.steps_per_epoch for step in plan.restarts)


def sampled_steps(plan: SchedulePlan) -> list[int]:
    """Return some thousand steps at most: the ends, warmup and restarts, and an even grid."""
    last = plan.total_steps - 1
    grid = {last * index // (MAX_POINTS - 1) for index in range(MAX_POINTS)}
    around = {end + offset for _, end in plan.warmups for offset in (-1, 0, 1)}
    around |= {start + offset for start in plan.restarts[:MAX_POINTS] for offset in (-1, 0)}
    return sorted(grid | {step for step in around if 0 <= step <= last})


def _plan_lines(planned: PlannedSchedule, *, is_alone: bool) -> list[LrLine]:
    """Return the line of a plan; alone, also its groups and the ends of what it may become."""
    plan = planned.plan
    steps = sampled_steps(plan)
    epochs = [(step + 1) / plan.steps_per_epoch for step in steps]
    columns = list(zip(*(plan.row(step) for step in steps), strict=True))
    lines = [LrLine(planned.name, epochs, columns[0])]
    if not is_alone:
        return lines
    lines += [
        LrLine(name, epochs, [end.row(step)[0] for step in steps])
        for name, end in plan.extremes().items()
    ]
    labels = {
        column: f"{column[3:]} {group.part or ''} {group.kind}".replace("  ", " ")
        for column, group in zip(plan.columns[1:], plan.groups, strict=True)
    }
    rates = dict(zip(labels, columns[1:], strict=True))
    return lines + _group_lines(epochs, rates, labels, main=columns[0], is_points=False)


def _momentum_lines(plans: Sequence[PlannedSchedule]) -> Iterator[LrLine]:
    for planned in plans:
        if planned.plan.sets_momentum:
            plan, steps = planned.plan, sampled_steps(planned.plan)
            epochs = [(step + 1) / plan.steps_per_epoch for step in steps]
            momenta = [plan.momentum(step) or 0.0 for step in steps]
            yield LrLine(planned.name, epochs, momenta)


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


def _title(plans: Sequence[PlannedSchedule], names: Sequence[str]) -> str:
    title = "Learning rate"
    if len(plans) == 1:
        schedule, plan = plans[0].config.schedule, plans[0].plan
        title += f": {schedule.name}, {plan.epochs} epochs of {plan.steps_per_epoch} steps"
    return f"{title} ({', '.join(names)})" if names else title
