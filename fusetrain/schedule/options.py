"""What is wrong with the `schedule` settings alone, and how long a warmup they ask for.

Everything is found by `curve_problems`, so that the config loader can show all of it with line
numbers before anything starts. How a curve is made of its parameters stands in `making.py`.
"""

from __future__ import annotations

import math
from typing import Any

from fusetrain.config.schema import ScheduleSettings, WarmupSettings
from fusetrain.errors import ConfigError
from fusetrain.schedule.curve_time import CurveTime, KeyProblem, length_in_steps
from fusetrain.schedule.making import SEQUENCE, class_of, curve_from

__all__ = ["KeyProblem", "curve_problems", "length_in_steps", "warms_up_itself", "warmup_lengths"]

# Settings are checked before the length of an epoch is known; one this long rounds nothing to 0.
_ANY_TIME = CurveTime(epochs=10**3, steps_per_epoch=10**6, is_known=False)


def curve_problems(settings: ScheduleSettings) -> list[KeyProblem]:
    """Return all that is wrong with the settings, whatever the length of the run."""
    try:
        class_of(settings.name)
    except ConfigError as error:
        return [(("name",), error.what)]
    _, problems = curve_from(settings, time=_ANY_TIME, lr0=math.inf)
    return [*problems, *_warmup_problems(settings), *_plan_problems(settings)]


def warms_up_itself(settings: ScheduleSettings) -> bool:
    """Return whether the curve, or the first one of a sequence, has a warmup of its own."""
    if settings.name != SEQUENCE:
        return bool(getattr(class_of(settings.name), "own_warmup", False))
    pieces: Any = settings.curve_options.get("curves")
    first = pieces[0] if isinstance(pieces, list) and pieces else {}
    name = first.get("name") if isinstance(first, dict) else None
    try:
        return bool(getattr(class_of(name), "own_warmup", False)) if name else False
    except ConfigError:
        return False


def _warmup_problems(settings: ScheduleSettings) -> list[KeyProblem]:
    warmup = settings.warmup
    if warmup is None:
        return []
    if warms_up_itself(settings):
        return [(("warmup",), f"schedule {settings.name!r} warms up by itself; remove `warmup`")]
    problems: list[KeyProblem] = []
    if warmup.curve == "constant":
        problems += [
            (("warmup", key), f"a constant warmup needs `{key}` above 0, or nothing is learned")
            for key, value in (("start", warmup.start), ("bias_lr", warmup.bias_lr))
            if value == 0.0
        ]
    for part, length in warmup.parts.items():
        steps = length.get("steps")
        if len(length) != 1 or (steps is not None and steps != int(steps)):
            rule = f"`{part}` should be {{epochs: X}} or {{steps: N}}"
            problems.append((("warmup", "parts", part), rule))
    return problems


def _plan_problems(settings: ScheduleSettings) -> list[KeyProblem]:
    steps = [change.from_step for change in settings.plans]
    if steps and (steps[0] != 0 or steps != sorted(steps)):
        return [(("plans",), "`plans` should begin with from_step 0 and ascend")]
    return []


def warmup_lengths(warmup: WarmupSettings | None, steps_per_epoch: int) -> dict[str | None, int]:
    """Return the wanted warmup in steps, by part; None stands for all other parts."""
    warmup = warmup or WarmupSettings()
    common: Any = 3 if warmup.epochs is None else warmup.epochs
    common = common if warmup.steps is None else {"steps": warmup.steps}
    lengths: dict[str | None, int] = {None: length_in_steps(common, steps_per_epoch)}
    for part, length in warmup.parts.items():
        value = length["epochs"] if "epochs" in length else dict(length)
        lengths[part] = length_in_steps(value, steps_per_epoch)
    return lengths
