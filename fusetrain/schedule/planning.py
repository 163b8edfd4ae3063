"""From settings to a plan: lengths in steps, groups and their scales, notes about what is cut.

What a plan answers is in `plan.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise

from fusetrain.config.schema import (
    PARTS,
    Part,
    PlanChange,
    ScheduleSettings,
    StageSettings,
    WarmupSettings,
)
from fusetrain.schedule.curve_time import KeyProblem
from fusetrain.schedule.options import curve_problems, warms_up_itself, warmup_lengths
from fusetrain.schedule.plan import KINDS, GroupKey, SchedulePlan
from fusetrain.schedule.plan_notes import absent_notes, curve_notes, time_notes, warmup_notes
from fusetrain.schedule.stages import stage_rates
from fusetrain.schedule.stretch import make_stretch, raise_problems


def make_plan(
    settings: ScheduleSettings,
    *,
    lr0: float,
    epochs: int,
    batches_per_epoch: int,
    accumulate: int,
    momentum: float,
    parts: Sequence[str],
    part_scales: Mapping[Part, float] | Mapping[str, float],
    stages: Sequence[StageSettings] = (),
) -> SchedulePlan:
    """Plan the schedule of a run.

    Args:
        settings: The curve, its warmup, and the plans of a run that was extended.
        lr0: Peak learning rate.
        epochs: Epochs of the whole run.
        batches_per_epoch: Micro-batches of one epoch over all ranks together.
        accumulate: Micro-batches of one optimizer step; a trailing group is stepped too.
        momentum: Momentum (or beta1) after the warmup.
        parts: Names of the parts that the model has.
        part_scales: Part to factor on its learning rate; 1 for the others.
        stages: Stages of the training, which fill its epochs.

    Raises:
        ConfigError: The curve, a parameter or the plans are wrong; all problems at once.
    """
    steps_per_epoch = -(-batches_per_epoch // accumulate)
    changes = _checked_changes(settings, epochs, steps_per_epoch)
    warmup = _warmup_of(settings)
    settings = settings.model_copy(update={"warmup": warmup})
    wanted = warmup_lengths(warmup, steps_per_epoch)
    stretch = partial(make_stretch, settings, wanted, lr0=lr0, steps_per_epoch=steps_per_epoch)
    stretches = tuple(stretch(change) for change in changes)
    ordered = _in_order(parts)
    scale_of = {str(part): scale for part, scale in part_scales.items()}
    rates = stage_rates(stages, warmup, epochs=epochs, steps_per_epoch=steps_per_epoch)
    staged = any(stage.scales for stage in rates)
    groups, scales = _groups(ordered, scale_of, wanted=wanted, must_differ=staged)
    named = (*wanted, *scale_of, *(part for stage in rates for part in stage.scales))
    return SchedulePlan(
        total_steps=epochs * steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
        epochs=epochs,
        lr0=lr0,
        notes=(
            *warmup_notes(stretches[-1], wanted, within_epoch=warmup.within_epoch, parts=ordered),
            *absent_notes(named, ordered),
            *time_notes(settings, epochs=epochs, steps_per_epoch=steps_per_epoch),
            *curve_notes(stretches[-1].shapes[None], momentum),
        ),
        groups=groups,
        scales=scales,
        bias_lr=warmup.bias_lr,
        momentum_start=warmup.momentum,
        base_momentum=momentum,
        stretches=stretches,
        stage_rates=rates,
    )


def replanned(
    plans: Sequence[PlanChange], *, from_step: int, old_epochs: int, new_epochs: int
) -> list[PlanChange]:
    """Return `schedule.plans` for a run that goes on with another number of epochs.

    Args:
        plans: The plans so far; empty for a run that was never extended.
        from_step: First optimizer step of the new plan, the next one to be made.
        old_epochs: `train.epochs` until now.
        new_epochs: `train.epochs` from now on.
    """
    past = list(plans) or [PlanChange(from_step=0, epochs=old_epochs)]
    return [*past, PlanChange(from_step=from_step, epochs=new_epochs)]


def moved_plans(plans: Sequence[PlanChange], factor: float) -> list[PlanChange]:
    """Return `schedule.plans` for epochs that are ``factor`` as long."""
    return [
        PlanChange(from_step=round(plan.from_step * factor), epochs=plan.epochs) for plan in plans
    ]


def _checked_changes(
    settings: ScheduleSettings, epochs: int, steps_per_epoch: int
) -> Sequence[PlanChange]:
    """Return from which step on the run is planned for how many epochs.

    Raises:
        ConfigError: The curve, a parameter or the plans are wrong; all problems at once.
    """
    changes = settings.plans or [PlanChange(from_step=0, epochs=epochs)]
    wrong_lengths = _length_problems(changes, epochs, steps_per_epoch)
    raise_problems([*curve_problems(settings), *wrong_lengths])
    return changes


def _warmup_of(settings: ScheduleSettings) -> WarmupSettings:
    """Return the warmup before the curve; none for a curve that warms up by itself."""
    if warms_up_itself(settings):
        return WarmupSettings(steps=0)
    return settings.warmup or WarmupSettings()


def _in_order(parts: Sequence[str]) -> list[str]:
    """Return parts in the order of their columns."""
    return sorted(parts, key=lambda part: PARTS.index(part) if part in PARTS else len(PARTS))


def _length_problems(
    changes: Sequence[PlanChange], epochs: int, steps_per_epoch: int
) -> list[KeyProblem]:
    problems: list[KeyProblem] = []
    if changes[-1].epochs != epochs:
        rule = f"the last of `plans` is for {changes[-1].epochs} epochs, train.epochs is {epochs}"
        problems.append((("plans",), f"{rule}; remove `plans` to train from the start"))
    for old, new in pairwise(changes):
        if new.from_step > old.epochs * steps_per_epoch:
            rule = f"from_step {new.from_step} lies behind the {old.epochs} epochs before it"
            problems.append((("plans",), rule))
    return problems


def _groups(
    parts: Sequence[str],
    scale_of: Mapping[str, float],
    *,
    wanted: Mapping[str | None, int],
    must_differ: bool,
) -> tuple[tuple[GroupKey, ...], dict[str | None, float]]:
    """Return the groups and the scales; part by part only where scale, warmup or stages differ."""
    own = [(scale_of.get(part, 1.0), wanted.get(part, wanted[None])) for part in parts]
    scale = own[0][0] if own else 1.0
    if not must_differ and set(own) <= {(scale, wanted[None])}:
        return tuple(GroupKey(None, kind) for kind in KINDS), {None: scale}
    groups = tuple(GroupKey(part, kind) for part in parts for kind in KINDS)
    scales: dict[str | None, float] = {None: 1.0}
    scales.update((part, scale) for part, (scale, _) in zip(parts, own, strict=True))
    return groups, scales
