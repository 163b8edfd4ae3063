"""Say what is wrong with settings in the words of the file: the key, its value, what was expected.

Turns the errors of a pydantic model into problems with a place and the nearest known key. It reads
no files and decides no rules; the rules are the model's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from fusetrain.config.base import PATTERNS
from fusetrain.errors import Problem, did_you_mean, nearest

Keys = tuple[str | int, ...]
Where = Callable[[Keys], str]
MAX_SHOWN = 40
EXPECTED: Mapping[str, str] = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_too_short": "text that is not empty",
    "string_type": "text",
    "too_short": "at least {min_length} of them",
}


@dataclass(frozen=True)
class Fault:
    """One error of the model, with the keys under which the file has it.

    Attributes:
        keys: Path of the value, or of the unknown or missing key.
        kind: Type of the error as pydantic names it; "key" where the key itself is wrong.
        expected: What was expected, or the sentence of a rule between values.
        is_choice: The value failed one of several possible types.
    """

    keys: Keys
    kind: str
    expected: str
    is_choice: bool = False


def located_problems(
    model: type[BaseModel], value: Any, *, where: Where
) -> list[tuple[Keys, Problem]]:
    """Return all problems of ``value`` as an instance of ``model``, with the keys they speak of.

    Args:
        model: The settings to fill, checked strictly: no text becomes a number.
        value: What the file says.
        where: Gives the place of keys.
    """
    try:
        model.model_validate(value, strict=True)
    except ValidationError as failure:
        faults = [_fault(error, value) for error in failure.errors(include_url=False)]
    else:
        return []
    groups: dict[Keys, list[Fault]] = {}
    for fault in _deepest_choices(faults):
        groups.setdefault(fault.keys, []).append(fault)
    return [
        (keys, _problem(group, model=model, value=value, where=where(keys)))
        for keys, group in groups.items()
    ]


def unknown_key_hint(keys: Keys, model: type[BaseModel]) -> str:
    """Return the nearest known key for an unknown one, or the keys that are known there."""
    known = dict(known_keys(model))
    name = str(keys[-1])
    if (nested := (*keys[:-1], *name.split("."))) in known and "." in name:
        return f"write it as `{': {'.join(map(str, nested))}: ...{'}' * (len(nested) - 1)}`"
    parent = tuple(key for key in keys[:-1] if isinstance(key, str))
    siblings = [path[-1] for path in known if path[:-1] == parent]
    if near := nearest(name, siblings):
        return f"did you mean `{near}`?"
    same_name = [dotted(path) for path in known if path[-1] == name]
    everywhere = {dotted(path): path for path in known}
    alike = same_name or get_close_matches(dotted(keys), everywhere, n=1, cutoff=0.75)
    if alike:
        return f"did you mean `{alike[0]}`?"
    return f"known here: {', '.join(siblings)}" if siblings else ""


def known_keys(
    model: type[BaseModel], *, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[BaseModel] | None]]:
    """Yield the path of every setting, depth first, with its model where it is a group."""
    for name, field in model.model_fields.items():
        group = _group(field.annotation)
        yield (*prefix, name), group
        if group:
            yield from known_keys(group, prefix=(*prefix, name))


def dotted(keys: Keys) -> str:
    """Return keys as messages and ``--set`` write them."""
    return ".".join(str(key) for key in keys)


def shown(value: Any) -> str:
    """Return a value as a message shows it, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _group(annotation: Any) -> type[BaseModel] | None:
    """Return the settings class inside an annotation such as ``list[PlanChange]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((group for part in get_args(annotation) if (group := _group(part))), None)


def _fault(error: Any, value: Any) -> Fault:
    """Return a pydantic error with the keys of the file instead of pydantic's own steps."""
    keys: list[str | int] = []
    kind, is_choice, here = error["type"], False, value
    *steps, last = error["loc"] or ("",)
    for step in (*steps, last):
        if step == "[key]":
            kind = "key"
        elif _holds(here, step):
            keys.append(step)
            here = here[step]
        elif kind == "missing" and step is last:
            keys.append(step)
        elif step != "":
            is_choice = True
    return Fault(tuple(keys), kind, _expected(error), is_choice)


def _holds(container: Any, step: str | int) -> bool:
    if isinstance(container, dict):
        return step in container
    return isinstance(container, list) and isinstance(step, int)


def _expected(error: Any) -> str:
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    if error["type"] == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]]
    if template := EXPECTED.get(error["type"]):
        text = template.format(**context)
        return text.replace("False", "false") if error["type"] == "literal_error" else text
    return str(error["msg"])


def _deepest_choices(faults: list[Fault]) -> list[Fault]:
    """Drop the types that did not fit at all where another fits but for something inside."""
    inner = [fault.keys for fault in faults if fault.is_choice]
    return [
        fault
        for fault in faults
        if not fault.is_choice
        or fault.kind == "key"
        or not any(keys[: len(fault.keys)] == fault.keys != keys for keys in inner)
    ]


def _problem(group: list[Fault], *, model: type[BaseModel], value: Any, where: str) -> Problem:
    """Return one problem for all faults of one key."""
    first = group[0]
    name = f"`{dotted(first.keys)}`" if first.keys else "the settings"
    if first.kind in ("extra_forbidden", "invalid_key"):
        return Problem(f"unknown key {name}", where, unknown_key_hint(first.keys, model))
    if first.kind == "missing":
        return Problem(f"{name} is missing", where)
    if first.kind == "value_error":
        return Problem(f"{name}: {first.expected}", where)
    choices = " or ".join(dict.fromkeys(fault.expected for fault in group))
    if first.kind == "key":
        hint = f"expected {choices}{_nearest(first.keys[-1], choices)}"
        return Problem(f"{name} has the wrong key", where, hint)
    found = _at(value, first.keys)
    hint = f"expected {choices}{_nearest(found, choices)}{_quoting(found, group)}"
    return Problem(f"{name} is {shown(found)}", where, hint)


def _at(value: Any, keys: Keys) -> Any:
    for key in keys:
        value = value[key]
    return value


def _nearest(found: Any, choices: str) -> str:
    """Return the quoted choice that is nearest to what was found, as the end of a sentence."""
    if not isinstance(found, str):
        return ""
    names = [part for part in choices.split("'")[1::2] if part]
    hint = did_you_mean(found, names)
    return f"; {hint}" if hint else ""


def _quoting(found: Any, group: list[Fault]) -> str:
    """Return a word about quotes where a number was written as text, or text as a number."""
    kinds = {fault.kind for fault in group}
    if isinstance(found, bool | int | float) and "string_type" in kinds:
        return "; put it in quotes"
    if isinstance(found, str) and kinds & {"int_type", "float_type", "bool_type"}:
        return "; without quotes or leading zeros" if _is_number(found) else ""
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
