"""What users and scripts rely on is written down in contract.json, which may only grow.

A deliberate addition is recorded by running this file as a script; it never changes or removes what
is recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.main import get_command

from fusetrain import errors
from fusetrain.cli.app import app
from fusetrain.config.schema import Config, DataSettings
from fusetrain.results.run_dir import CSV_COLUMNS

RECORD = Path(__file__).with_name("contract.json")


def current_contract() -> dict[str, Any]:
    """Return commands with their parameters, settings with their defaults, exit codes, CSV head."""
    config = {"/".join(keys): value for keys, value in _leaves(Config().model_dump())}
    data = {
        name: "required" if field.is_required() else field.get_default()
        for name, field in DataSettings.model_fields.items()
    }
    return {
        "commands": dict(_commands("fusetrain", get_command(app))),
        "config": config,
        "data": data,
        "exit_codes": _exit_codes(errors.FusetrainError),
        "results.csv": list(CSV_COLUMNS),
    }


def _leaves(value: Any, prefix: tuple[str, ...] = ()) -> Any:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*prefix, key))
    else:
        yield prefix, value


def _commands(path: str, command: Any) -> Any:
    yield path, {"/".join(param.opts): _traits(param) for param in command.params}
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from _commands(f"{path} {name}", command.get_command(None, name))


def _traits(param: Any) -> str:
    kind = "flag" if getattr(param, "is_flag", False) else param.param_type_name
    words = [kind, "required" if param.required else "", "repeatable" * (param.nargs == -1)]
    words[2] = words[2] or "repeatable" * bool(getattr(param, "multiple", False))
    return " ".join(word for word in words if word)


def _exit_codes(error: type[errors.FusetrainError]) -> dict[str, int]:
    codes = {error.__name__: error.exit_code}
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            codes |= _exit_codes(child)
    return codes


def departures(recorded: Any, current: Any, path: str = "") -> list[str]:
    """Return what is recorded and now missing or different."""
    if isinstance(recorded, dict) and isinstance(current, dict):
        missing = [f"{path}/{key} is gone" for key in recorded if key not in current]
        kept = [key for key in recorded if key in current]
        inner = [departures(recorded[key], current[key], f"{path}/{key}") for key in kept]
        return missing + [line for lines in inner for line in lines]
    if recorded == current or _is_relaxed(recorded, current):
        return []
    return [f"{path} was {recorded!r} and is {current!r}"]


def _is_relaxed(recorded: Any, current: Any) -> bool:
    """Return whether a parameter that had to be given may now be left out, which breaks nobody."""
    return isinstance(recorded, str) and recorded.replace(" required", "") == current


def merged(recorded: Any, current: Any) -> Any:
    """Return the record with the additions."""
    if isinstance(recorded, dict) and isinstance(current, dict):
        keys = [*recorded, *(key for key in current if key not in recorded)]
        return {
            key: merged(recorded[key], current.get(key)) if key in recorded else current[key]
            for key in keys
        }
    return current if _is_relaxed(recorded, current) else recorded


def _recorded() -> Any:
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def test_nothing_recorded_is_missing_or_changed() -> None:
    assert departures(_recorded(), current_contract()) == []


def test_every_addition_is_recorded() -> None:
    unrecorded = departures(current_contract(), _recorded())
    assert unrecorded == [], f"run `python {Path(__file__).name}` to record additions"


def test_departures_see_removals_and_changes_but_not_additions() -> None:
    old = {"commands": {"train": {"--config": "option"}}, "results.csv": ["epoch"]}
    grown = {"commands": {"train": {"--config": "option", "--x": "flag"}}, "results.csv": ["epoch"]}
    changed = {"commands": {"train": {}}, "results.csv": ["time"]}
    assert departures(old, grown) == []
    assert merged(old, grown) == grown
    assert departures(old, changed) == [
        "/commands/train/--config is gone",
        "/results.csv was ['epoch'] and is ['time']",
    ]
    assert merged(old, changed) == old


def test_a_parameter_may_stop_being_required_but_not_start_to_be() -> None:
    strict, loose = {"--rgb": "option required"}, {"--rgb": "option"}
    assert departures(strict, loose) == []
    assert merged(strict, loose) == loose
    assert departures(loose, strict) == ["/--rgb was 'option' and is 'option required'"]
    assert merged(loose, strict) == loose


if __name__ == "__main__":
    text = json.dumps(merged(_recorded(), current_contract()), indent=1)
    RECORD.write_text(text + "\n", encoding="utf-8")
