"""What a plan says of settings that are used otherwise than they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fusetrain.config.schema import ScheduleSettings
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.curve_time import is_amount, length_in_steps
from fusetrain.schedule.following import FollowingCurve
from fusetrain.schedule.stretch import Shape, Stretch

TIMES = ("t_max", "t0", "hold", "milestones", "timescale")
COSINE_OF_TORCH = "torch:CosineAnnealingLR"


def warmup_notes(
    stretch: Stretch,
    wanted: Mapping[str | None, int],
    *,
    within_epoch: bool,
    parts: Sequence[str],
) -> list[str]:
    """Return a sentence for each warmup that was cut.

    Args:
        stretch: The shapes as they are run.
        wanted: Part to the steps asked for; None stands for all others.
        within_epoch: The warmup has to end within the first epoch.
        parts: Names of the parts that the model has.
    """
    common = stretch.shapes[None]
    reason = {
        "shift": "so that one step runs at lr0 and the last at the end of the curve",
        "overlap": "so that lr0 is reached before the curve falls or the run ends",
    }[common.compose]
    notes = []
    for part, steps in wanted.items():
        used = stretch.shapes[part].ramp.steps
        if used < steps and (part is None or part in parts):
            is_epoch = within_epoch and used == common.steps_per_epoch - 1
            notes.append(
                f"the warmup{f' of {part}' if part else ''} is cut from {steps} to {used} of "
                f"{common.total_steps} steps, "
                f"{'so that it ends within an epoch' if is_epoch else reason}"
            )
    return notes


def absent_notes(named: Iterable[str | None], parts: Sequence[str]) -> list[str]:
    """Return a sentence for each part that is named and that the model does not have."""
    absent = [part for part in named if part is not None and part not in parts]
    return [
        f"the model has no part {part}: what is set for it is ignored"
        for part in dict.fromkeys(absent)
    ]


def misfits(
    settings: ScheduleSettings, *, epochs: int, steps_per_epoch: int
) -> list[tuple[str, str]]:
    """Return (key, sentence) for each time of the curve that the run never reaches, or runs past.

    Curves inside of a sequence, and curves of your own, have their own words.
    """
    total = epochs * steps_per_epoch
    if settings.name.startswith("torch:"):
        return list(_torch_times(settings, epochs if settings.unit == "epoch" else total))
    if settings.name not in SCHEDULES.names():
        return []
    end = shown_steps(total, steps_per_epoch)
    notes = []
    for key in TIMES:
        for value in _values(settings, key):
            steps = length_in_steps(value, steps_per_epoch)
            # A period may end with the run; a milestone has to lie within it.
            if steps > total or (key == "milestones" and steps == total):
                named = shown_steps(steps, steps_per_epoch)
                notes.append((key, f"`{key}` names {named}, the run ends after {end}"))
    return notes


def time_notes(settings: ScheduleSettings, *, epochs: int, steps_per_epoch: int) -> list[str]:
    """Return the sentences of `misfits` that the curve does not say itself."""
    found = misfits(settings, epochs=epochs, steps_per_epoch=steps_per_epoch)
    return [sentence for key, sentence in found if key != "hold"]


def _torch_times(settings: ScheduleSettings, length: int) -> Iterator[tuple[str, str]]:
    """Yield what does not fit of times that a class of torch counts in its own steps."""
    unit = "epochs" if settings.unit == "epoch" else "steps"
    for value in _values(settings, "milestones"):
        if is_amount(value) and value >= length:
            sentence = f"`milestones` names {value:g} {unit}, the run ends after {length} {unit}"
            yield "milestones", sentence
    for value in _values(settings, "T_max") if settings.name == COSINE_OF_TORCH else ():
        # The last step of the class is the one before the end; it may fall short of T_max by one.
        if is_amount(value) and not length - 1 <= value <= length:
            what = "the floor is never reached" if value > length else "it climbs again after that"
            sentence = f"`T_max` names {value:g} {unit}, the run ends after {length} {unit}"
            yield "T_max", f"{sentence}: {what}"


def _values(settings: ScheduleSettings, key: str) -> list[Any]:
    given = settings.curve_options.get(key)
    return given if isinstance(given, list) else [] if given is None else [given]


def shown_steps(steps: int, steps_per_epoch: int) -> str:
    """Return a number of steps, and of epochs, for readers."""
    epochs = steps / steps_per_epoch
    return f"{steps} steps ({epochs:.3g} {'epoch' if epochs == 1 else 'epochs'})"


def curve_notes(shape: Shape, momentum: float) -> list[str]:
    """Return what the curve says, and which settings it does not follow."""
    notes = list(shape.notes)
    if shape.moves_momentum:
        notes.append(f"the schedule moves the momentum; optim.momentum ({momentum:g}) is not used")
    if isinstance(shape.curve, FollowingCurve):
        notes.append("the schedule follows the run: what is planned holds until it decides")
    return notes
