"""From the parameters of a curve to the curve: checked, epochs turned into steps, rates to shares.

Curves that are made of curves (`sequence`, `adaptive`) are made here too, and torch's schedulers.
Warmup and length of the run are the business of `options.py` and `stretch.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass, replace
from functools import partial
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from fusetrain.config.schema import ScheduleSettings
from fusetrain.errors import ConfigError, did_you_mean
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.curve_time import CurveTime, KeyProblem, in_steps, is_amount
from fusetrain.schedule.curves import Curve, EpochValued
from fusetrain.schedule.following import FollowingCurve
from fusetrain.schedule.pieces import sequence_from

TORCH = "torch:"
TORCH_PATH = "torch.optim.lr_scheduler"
SEQUENCE = "sequence"
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


def class_of(name: str) -> Any:
    """Return the curve class behind a name.

    Raises:
        ConfigError: It is not known, cannot be imported or is no curve.
    """
    if problem := _name_problem(name):
        raise ConfigError(problem)
    if name.startswith(TORCH):
        from fusetrain.schedule import torch_replay

        if problem := torch_replay.class_problem(name):
            raise ConfigError(f"{name} {problem}")
        return torch_replay.TorchReplay
    curve_class = SCHEDULES.get(name)
    if problem := _class_problem(curve_class):
        raise ConfigError(f"schedule {name!r} {problem}")
    return curve_class


def _name_problem(name: str) -> str | None:
    """Return why a name is none of a schedule, with the one that was meant, or None.

    A class of torch under its own name, or under its path in torch, is known as ``torch:<class>``.
    """
    is_path = name.startswith((f"{TORCH_PATH}:", f"{TORCH_PATH}."))
    problem = f"unknown schedule {name!r}" if is_path else SCHEDULES.problem(name)
    own_name = name.removeprefix(TORCH_PATH).lstrip(".:") if is_path else name
    if problem is None or not own_name[:1].isupper():
        return problem
    from fusetrain.schedule import torch_replay

    of_torch = torch_replay.class_problem(f"{TORCH}{own_name}")
    if of_torch is None:
        return f"unknown schedule {name!r}; did you mean '{TORCH}{own_name}'?"
    tells_more = is_path or own_name in torch_replay.INSTEAD
    tells_more |= "did you mean" in of_torch and "did you mean" not in problem
    return f"unknown schedule {name!r}; {TORCH}{own_name} {of_torch}" if tells_more else problem


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
        settings: Its name and parameters, and the unit of its time.
        time: How epochs become steps.
        lr0: Peak learning rate, of which absolute rates are shares; infinite where not known yet.
    """
    try:
        curve_class = class_of(settings.name)
    except ConfigError as error:
        return None, [(("name",), error.what)]
    if settings.name.startswith(TORCH):
        return _replayed(settings, time=time, lr0=lr0)
    if settings.name == SEQUENCE:
        return sequence_from(settings, time=time, make=partial(_inner, settings, lr0=lr0))
    arguments, problems = _arguments(curve_class, settings, lr0=lr0)
    hints = get_type_hints(curve_class, include_extras=True)
    for item in settings_of(curve_class):
        if item.name in {keys[0] for keys, _ in problems}:
            continue
        if item.metadata.get("curve"):
            given = arguments.get(item.name, {"name": item.metadata["curve"]})
            curve, found = _inner(settings, given, time=replace(time, begin=0), lr0=lr0)
            problems += [((item.name, *keys), message) for keys, message in found]
            arguments[item.name] = curve
            continue
        try:
            _put_value(arguments, item, hints[item.name], time=time)
        except ValueError as error:
            problems.append(((item.name,), f"`{item.name}` {error}"))
    if problems:
        return None, problems
    try:
        return curve_class(**arguments), []
    except (TypeError, ValueError) as error:
        return None, [(("name",), f"schedule {settings.name!r}: {error}")]


def settings_of(curve_class: Any) -> list[Field[Any]]:
    """Return the fields that a config may give."""
    return [
        item for item in fields(curve_class) if item.init and item.metadata.get("setting", True)
    ]


def _put_value(arguments: dict[str, Any], item: Field[Any], hint: Any, *, time: CurveTime) -> None:
    """Turn one argument into steps where it is a time, and check its type; raises ValueError."""
    marks: EpochValued | None = item.metadata.get("epochs")
    if marks and item.name not in arguments:
        if marks.or_warmup and time.warmup:
            arguments[item.name] = {"steps": time.warmup}
        elif marks.default:
            value: Any = marks.default(time.epochs)
            if marks.fits:
                steps = in_steps(value, time, marks=marks)
                value = {"steps": max(1, min(steps, time.length - 1))}
            arguments[item.name] = list(value) if isinstance(value, tuple) else value
    if item.name in arguments:
        given = arguments[item.name]
        value = in_steps(given, time, marks=marks) if marks else given
        try:
            arguments[item.name] = _checked(hint, value, given=given)
        except ValueError:
            if marks and value == 0:
                raise ValueError(_too_short(given, time)) from None
            raise


def _too_short(given: Any, time: CurveTime) -> str:
    """Return why a time of no steps is too short, in steps and in what was given."""
    rule = f"should be at least 1 step, not {given!r}"
    if isinstance(given, Mapping) or given == 0 or not time.is_known:
        return rule
    steps = given * time.steps_per_epoch
    return f"{rule} epochs: {steps:g} steps of {time.steps_per_epoch} an epoch are rounded to 0"


def _inner(
    outer: ScheduleSettings, given: Any, *, time: CurveTime, lr0: float
) -> tuple[Curve | None, list[KeyProblem]]:
    """Make a curve inside of another one; it can neither follow the run nor warm up."""
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        return None, [((), f"should be {{name: …, parameters}}, not {given!r}")]
    own = [key for key in ("unit", "warmup", "plans") if key in given]
    if own:
        return None, [((key,), f"`{key}` belongs to the whole schedule") for key in own]
    settings = ScheduleSettings.model_validate({**given, "unit": outer.unit})
    curve, problems = curve_from(settings, time=time, lr0=lr0)
    if curve is not None and isinstance(curve, FollowingCurve):
        return None, [(("name",), f"{settings.name!r} follows the run and cannot be a part")]
    if curve is not None and outer.name != SEQUENCE and getattr(curve, "own_warmup", False):
        return None, [(("name",), f"{settings.name!r} warms up by itself; take another curve")]
    return curve, problems


def _replayed(
    settings: ScheduleSettings, *, time: CurveTime, lr0: float
) -> tuple[Curve | None, list[KeyProblem]]:
    from fusetrain.schedule.torch_replay import replay

    every = time.steps_per_epoch if settings.unit == "epoch" else 1
    return replay(
        settings.name,
        settings.curve_options,
        lr0=1e-3 if math.isinf(lr0) else lr0,
        length=-(-time.length // every) if time.is_known else 2,
        every=every,
    )


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
    own = {item.name: item for item in settings_of(curve_class)}
    for name, item in own.items():
        absolute = item.metadata.get("rate")
        if absolute in options and name in options:
            problems.append(((absolute,), f"give either `{absolute}` or `{name}`, not both"))
        elif absolute in options:
            rate = options[absolute]
            if not is_amount(rate) or rate > lr0:
                limit = "" if math.isinf(lr0) else f" and at most lr0 ({lr0:g})"
                rule = f"`{absolute}` should be a rate of at least 0{limit}, not {rate!r}"
                problems.append(((absolute,), rule))
            elif not math.isinf(lr0):
                options[name] = rate / lr0
    known = [*own, *(item.metadata["rate"] for item in own.values() if "rate" in item.metadata)]
    problems += [
        ((name,), _unknown(name, settings.name, known)) for name in options if name not in known
    ]
    return {name: options[name] for name in options if name in own}, problems


def _unknown(name: str, schedule: str, known: list[str]) -> str:
    hint = did_you_mean(name, [*known, *ScheduleSettings.model_fields])
    hint = hint or f"known: {', '.join(known) or 'none'}"
    return f"unknown parameter {name!r} of schedule {schedule!r}; {hint}"
