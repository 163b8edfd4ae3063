"""What a plan says of settings that are used otherwise than they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fusetrain.schedule.following import FollowingCurve
from fusetrain.schedule.stretch import Shape, Stretch


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
        "overlap": "so that two steps are left without it",
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
        f"the model has no part {part}: its learning-rate settings are ignored"
        for part in dict.fromkeys(absent)
    ]


def curve_notes(shape: Shape, momentum: float) -> list[str]:
    """Return what the curve says, and which settings it does not follow."""
    notes = list(shape.notes)
    if shape.moves_momentum:
        notes.append(f"the schedule moves the momentum; optim.momentum ({momentum:g}) is not used")
    if isinstance(shape.curve, FollowingCurve):
        notes.append("the schedule follows the run: what is planned holds until it decides")
    return notes
