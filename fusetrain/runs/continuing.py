"""With which settings and which data a saved run goes on, and what is said of what changed.

A longer run is planned anew from where it stands, epochs of another length start anew. Where the
run was saved and how it goes on is the business of `resuming.py`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fusetrain import build
from fusetrain.build import TrainingData
from fusetrain.checks.lacking import lacking
from fusetrain.config.schema import Config, PlanChange
from fusetrain.config.stages import run_epochs
from fusetrain.data.index import scan_split
from fusetrain.engine.checkpoint import NO_SLOT, TrainState
from fusetrain.engine.weights import WeightsInfo
from fusetrain.errors import ConfigError, DataError, RunError
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import require_data
from fusetrain.runs.overrides import accepted_changes
from fusetrain.runs.session import contents_of, fingerprint
from fusetrain.schedule.following import Decision, rescaled
from fusetrain.schedule.planning import moved_plans, replanned

Note = Callable[[str], None]


@dataclass(frozen=True)
class Accepted:
    """What a user has confirmed."""

    data_change: bool
    change: bool


def going_on(
    content: Mapping[str, Any],
    file: Path,
    run: RunDir,
    wanted: Config,
    state: TrainState,
    *,
    accepted: Accepted,
    note: Note,
) -> tuple[Config, TrainingData]:
    """Return the settings and the data to go on with; ``state`` follows epochs of a new length.

    Raises:
        ConfigError: A key that must stay was changed.
        DataError: The data set is missing, or not the one of the start.
    """
    context = content["context"]
    trained = _config_of(context, file)
    for change in accepted_changes(trained, wanted, is_change_accepted=accepted.change):
        note(change)
    config = _continued(wanted, trained, state=state)
    data, is_other = _same_data(
        config, context, run=run, is_change_accepted=accepted.data_change, note=note
    )
    if is_other:
        state.canvas_hw = []
    old_slot = state.slot
    steps, old_steps = _steps_per_epoch(config, data), context["steps_per_epoch"]
    if steps != old_steps or _group_of(config) != _group_of(trained):
        state.batches, state.slot, state.loss_sums = 0, state.epoch * steps, [0.0] * 4
        state.schedule = rescaled(state.schedule, steps / old_steps, slot=state.slot)
        config = _with_plans(config, moved_plans(config.schedule.plans, steps / old_steps))
        note(
            f"steps an epoch: {steps} now, {old_steps} before; epoch {state.epoch + 1} of the "
            "run starts anew"
        )
    is_planned_anew = (run_epochs(config), steps) != (run_epochs(trained), old_steps)
    if is_planned_anew or _group_of(config) != _group_of(trained):
        state.good_slot = NO_SLOT  # what was kept stands in the old plan
    if is_planned_anew:
        note(_plan_change((trained, old_steps, old_slot), (config, steps, state.slot), state))
    return config, data


def _config_of(context: Mapping[str, Any], file: Path) -> Config:
    """Return the settings that a checkpoint was trained with."""
    try:
        return Config.model_validate(context["config"])
    except ValidationError as error:
        raise RunError(f"{file}: its settings are of another version: {error}") from error


def _group_of(config: Config) -> tuple[int, int]:
    return build.batch_size(config), config.train.accumulate


def _plan_change(
    old: tuple[Config, int, int], new: tuple[Config, int, int], state: TrainState
) -> str:
    """Return in words how the plan of a run changes: epochs, steps, rates now and at the end.

    Args:
        old: Settings, steps of an epoch and the next step, as they were.
        new: As they are from now on.
        state: Where the run stands.
    """
    decisions = [Decision.from_json(values) for values in state.schedule.get("decisions", ())]
    lengths, now, ends = [], [], []
    for config, steps, slot in (old, new):
        plan = build.plan_from_config(config, steps_per_epoch=steps)
        plan = plan.decided([decision for decision in decisions if decision is not None])
        last = plan.total_steps - 1
        lengths.append(f"{plan.epochs} epochs ({plan.total_steps} steps)")
        now.append(f"{plan.row(min(slot, last))[0]:.3g}")
        ends.append(f"{plan.row(last)[0]:.3g}")
    return (
        f"plan: {' -> '.join(lengths)}; lr0 of the next step: {' -> '.join(now)}, "
        f"at the end: {' -> '.join(ends)}"
    )


def _continued(wanted: Config, trained: Config, *, state: TrainState) -> Config:
    """Return the config to go on with; a new number of epochs is planned from the saved step on.

    An early stop does not hold for a longer run, which gets its patience anew.

    Raises:
        ConfigError: A setting that must stay was changed, or fewer epochs are asked for than done.
    """
    plans = trained.schedule.plans
    old_epochs, epochs = run_epochs(trained), run_epochs(_with_plans(wanted, plans))
    begun = state.epoch + (1 if state.batches else 0)
    if epochs < begun:
        raise ConfigError(
            f"train.epochs is {epochs}, but epoch {begun} has begun",
            expected=f"at least {begun}",
        )
    if epochs != old_epochs:
        plans = replanned(plans, from_step=state.slot, old_epochs=old_epochs, new_epochs=epochs)
    if epochs > old_epochs and state.stopped_early:
        state.stopped_early = False
        state.epochs_without_gain = 0
    return _with_plans(wanted, plans)


def _same_data(
    config: Config,
    context: Mapping[str, Any],
    *,
    run: RunDir,
    is_change_accepted: bool,
    note: Note,
) -> tuple[TrainingData, bool]:
    """Open the data set, with the thermal window of the start; return it and whether it changed.

    Raises:
        DataError: It is missing, or changed and that is not accepted.
    """
    if not require_data(config).exists():
        raise DataError(
            "the data set of the run is not there",
            where=str(config.data),
            remedy="the same command with --set data=DATA, if it moved",
        )
    start = WeightsInfo.from_json(context["weights"])
    spec = build.open_spec(config)
    scans = {split: scan_split(spec, split) for split in build.TRAINING_SPLITS}
    data = build.open_data(config, window=start.window, scans=scans)
    if data.train.class_names != start.class_names:
        raise DataError(
            f"the data set has the classes {', '.join(data.train.class_names)} now",
            where=str(data.spec.path),
            expected=f"those of the start: {', '.join(start.class_names)}",
        )
    change = _data_change(data, context, run)
    if change and not is_change_accepted:
        raise DataError(
            f"the data set is not the one that the run was started with: {change}",
            where=str(data.spec.path),
            remedy=f"`fusetrain check-data {shlex.quote(str(data.spec.path))}` looks at it; the "
            "same command with --accept-data-change goes on with what is there now",
        )
    if change:
        note(f"the data set changed: {change}")
        for split, scan in scans.items():
            for what in lacking(scan):
                note(f"not in {split}: {what}; `fusetrain check-data` names all")
    return data, bool(change)


def _data_change(data: TrainingData, context: Mapping[str, Any], run: RunDir) -> str:
    """Return in words how the data set differs from that of the last start; empty if it does not.

    Checkpoints of earlier versions say nothing of contents.
    """
    if context["data"] == fingerprint(data):
        known = context.get("contents")
        is_same = known is None or known == contents_of(data)
        return "" if is_same else "files of the same names and sizes have other contents"
    splits = {"train": data.train, "val": data.val}
    now = {
        "pairs": {split: len(index) for split, index in splits.items()},
        "boxes": {split: len(index.boxes) for split, index in splits.items()},
    }
    starts = run.events("start")
    before = starts[-1] if starts else {}
    told = [
        f"{before[kind][split]} {split} {kind} then, {count} now"
        for kind, counts in now.items()
        for split, count in counts.items()
        if isinstance(before.get(kind), dict) and before[kind].get(split) not in (None, count)
    ]
    return "; ".join(told) or "as many pairs and boxes, but other names, file sizes or labels"


def _steps_per_epoch(config: Config, data: TrainingData) -> int:
    return -(-build.batches_per_epoch(config, len(data.train)) // config.train.accumulate)


def _with_plans(config: Config, plans: list[PlanChange]) -> Config:
    schedule = config.schedule.model_copy(update={"plans": plans})
    return config.model_copy(update={"schedule": schedule})
