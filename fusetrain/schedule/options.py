"""From the `schedule` settings to a curve: parameters checked, epochs turned into steps.

Everything that can be wrong with the settings alone is found by `curve_problems`, so that the
config loader can show all of it with line numbers before anything starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeGuard, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from fusetrain.config.schema import ScheduleSettings, WarmupSettings
from fusetrain.errors import ConfigError
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.curves import Curve, EpochValued

KeyProblem = tuple[tuple[str, ...], str]
"""Key path below `schedule`, and what is wrong there."""

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class CurveTime:
    """What turns epochs into steps of a curve.

    Attributes:
        epochs: Epochs of the run.
        steps_per_epoch: Optimizer steps of one epoch.
        begin: Step of the run at which the curve starts.
    """

    epochs: int
    steps_per_epoch: int
    begin: int = 0


# Settings are checked before the length of an epoch is known; one this long rounds nothing to 0.
_ANY_TIME = CurveTime(epochs=10**3, steps_per_epoch=10**6)


def curve_problems(settings: ScheduleSettings) -> list[KeyProblem]:
    """Return all that is wrong with the settings, whatever the length of the run."""
    if problem := SCHEDULES.problem(settings.name):
        return [(("name",), problem)]
    try:
        curve_class = SCHEDULES.get(settings.name)
    except ConfigError as error:
        return [(("name",), error.what)]
    if problem := _class_problem(curve_class):
        return [(("name",), f"schedule {settings.name!r} {problem}")]
    _, problems = curve_from(settings, time=_ANY_TIME, lr0=math.inf)
    return [*problems, *_warmup_problems(settings, curve_class), *_plan_problems(settings)]


def _class_problem(curve_class: Any) -> str | None:
    is_class = isinstance(curve_class, type) and is_dataclass(curve_class)
    if not (is_class and hasattr(curve_class, "factor")):
        return "is no dataclass with a method `factor(step, total_steps)`"
    try:
        get_type_hints(curve_class)
    except NameError as error:
        return f"has a type hint that cannot be read: {error}"
    return None


def curve_from(
    settings: ScheduleSettings, *, time: CurveTime, lr0: float
) -> tuple[Curve | None, list[KeyProblem]]:
    """Make the curve that the settings name, or say why it cannot be made.

    Args:
        settings: With a name that is known.
        time: How epochs become steps.
        lr0: Peak learning rate, of which absolute rates are shares; infinite where not known yet.
    """
    curve_class = SCHEDULES.get(settings.name)
    arguments, problems = _arguments(curve_class, settings, lr0=lr0)
    hints = get_type_hints(curve_class, include_extras=True)
    for item in fields(curve_class):
        if not item.init or item.name in {keys[0] for keys, _ in problems}:
            continue
        marks: EpochValued | None = item.metadata.get("epochs")
        try:
            if marks and item.name not in arguments and marks.default:
                arguments[item.name] = _listed(marks.default(time.epochs))
            if item.name in arguments:
                given = arguments[item.name]
                value = in_steps(given, time, marks=marks) if marks else given
                arguments[item.name] = _checked(hints[item.name], value, given=given)
        except ValueError as error:
            problems.append(((item.name,), f"`{item.name}` {error}"))
    if problems:
        return None, problems
    try:
        return curve_class(**arguments), []
    except (TypeError, ValueError) as error:
        return None, [(("name",), f"schedule {settings.name!r}: {error}")]


def in_steps(value: Any, time: CurveTime, *, marks: EpochValued) -> Any:
    """Return a number of epochs or ``{steps: N}``, or a list of such, in steps of the curve.

    Raises:
        ValueError: It is neither.
    """
    if value is None:
        return None
    if isinstance(value, list):
        return [in_steps(item, time, marks=marks) for item in value]
    steps = length_in_steps(value, time.steps_per_epoch)
    return steps - time.begin if marks.origin == "run" else steps


def length_in_steps(value: Any, steps_per_epoch: int) -> int:
    """Return a number of epochs or ``{steps: N}`` in steps, rounded to the nearest.

    Raises:
        ValueError: It is neither, or negative.
    """
    expected = f"should be a number of epochs or {{steps: N}}, at least 0, not {value!r}"
    if isinstance(value, Mapping):
        steps = value.get("steps")
        if set(value) != {"steps"} or not _is_amount(steps) or steps != int(steps):
            raise ValueError(expected)
        return int(steps)
    if not _is_amount(value):
        raise ValueError(expected)
    return math.floor(value * steps_per_epoch + 0.5)


def _is_amount(value: Any) -> TypeGuard[int | float]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0


def _listed(value: float | tuple[float, ...]) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else value


def _checked(hint: Any, value: Any, *, given: Any) -> Any:
    """Return the value as the type hint wants it; raises ValueError that quotes the given one."""
    value = tuple(value) if isinstance(value, list) else value
    try:
        return TypeAdapter(hint, config=_STRICT).validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"].replace("Input should", "should")
        raise ValueError(f"{reason.replace('tuple', 'list')}, not {given!r}") from None


def _arguments(
    curve_class: Any, settings: ScheduleSettings, *, lr0: float
) -> tuple[dict[str, Any], list[KeyProblem]]:
    """Return the options by field name, absolute rates as shares of lr0, and unknown ones."""
    options = settings.curve_options
    problems: list[KeyProblem] = []
    own = {item.name: item for item in fields(curve_class) if item.init}
    for name, item in own.items():
        absolute = item.metadata.get("rate")
        if absolute in options and name in options:
            problems.append(((absolute,), f"give either `{absolute}` or `{name}`, not both"))
        elif absolute in options:
            rate = options[absolute]
            if not _is_amount(rate) or rate > lr0:
                limit = "" if math.isinf(lr0) else f" and at most lr0 ({lr0:g})"
                rule = f"`{absolute}` should be a rate of at least 0{limit}, not {rate!r}"
                problems.append(((absolute,), rule))
            else:
                options[name] = rate / lr0
    known = [*own, *_rate_names(own)]
    problems += [
        ((name,), _unknown(name, settings.name, known)) for name in options if name not in known
    ]
    return {name: options[name] for name in options if name in own}, problems


def _rate_names(own: Mapping[str, Field[Any]]) -> list[str]:
    return [item.metadata["rate"] for item in own.values() if "rate" in item.metadata]


def _unknown(name: str, schedule: str, known: list[str]) -> str:
    near = get_close_matches(name, [*known, *ScheduleSettings.model_fields], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return f"unknown parameter {name!r} of schedule {schedule!r}; {hint}"


def _warmup_problems(settings: ScheduleSettings, curve_class: Any) -> list[KeyProblem]:
    warmup = settings.warmup
    if warmup is None:
        return []
    if getattr(curve_class, "own_warmup", False):
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
