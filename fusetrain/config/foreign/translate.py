"""Read a config or data YAML of another trainer and write ours, with the fate of every key.

A key is taken over, or left out with a reason; none is dropped in silence. The result is checked
like any config of ours. What each key becomes is told in `keys.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from fusetrain.config.data_schema import DataSettings
from fusetrain.config.faults import Keys, known_keys, located_problems
from fusetrain.config.foreign.keys import DATA_KEYS, KEYS, Key
from fusetrain.config.foreign.values import NotTakenError, Values, accumulated
from fusetrain.config.load import Check
from fusetrain.config.schema import Config
from fusetrain.config.yaml import YamlDocument, dump_yaml, fault_error, read_yaml, require_mapping
from fusetrain.errors import ConfigError, Problem

Kind = Literal["config", "data"]
AUTO = "auto"
ANCHORED = ("obj", "anchor_t", "loss_ota")
NO_SUCH_KEY = "no documented key of Ultralytics or YOLOFuse has this name"
UNSET = "not set there"
# Their rate moves once an epoch under a warmup whose first step has rate 0.
THEIR_SCHEDULE: Values = {"schedule.name": "linear", "schedule.unit": "epoch"}
THEIR_WARMUP: Values = {
    "schedule.warmup.start": 0.0,
    "schedule.warmup.align": "start",
    "schedule.warmup.compose": "overlap",
}


@dataclass(frozen=True)
class Fate:
    """What became of one key.

    Attributes:
        key: As their file has it.
        line: Where it stands, from 1.
        value: What it said.
        values: Dotted keys of ours to values; empty where ours behaves so anyway, or it was left.
        reason: Why it was left out; empty where it was taken.
    """

    key: str
    line: int
    value: Any
    values: Values
    reason: str = ""


@dataclass(frozen=True)
class Translation:
    """A file of ours made from one of theirs.

    Attributes:
        path: Their file.
        kind: What it is: a training config, or a data YAML.
        settings: Our file, as nested mappings.
        fates: Every key of theirs, in their order.
    """

    path: Path
    kind: Kind
    settings: dict[str, Any]
    fates: tuple[Fate, ...]

    @property
    def left(self) -> list[Fate]:
        """Return the keys that were not taken over."""
        return [fate for fate in self.fates if fate.reason]

    def to_yaml(self) -> str:
        """Return our file; what was left out stands in comments above it."""
        head = [f"# From {self.path.name}. `fusetrain config show` prints all other settings."]
        for fate in self.left:
            key = " ".join(fate.key.split())
            head.append(f"# left out, line {fate.line}: {key}: {fate.reason}")
        return "\n".join(head) + "\n" + (dump_yaml(self.settings) if self.settings else "")


def translate(path: Path, *, checks: Sequence[Check] = ()) -> Translation:
    """Read a file of theirs.

    Args:
        path: An args.yaml, a hyp.yaml or a data YAML of Ultralytics or YOLOFuse.
        checks: Further rules that a config of ours has to obey, such as names.

    Raises:
        ConfigError: It is no YAML of settings, or what it says is not possible here; all at once.
    """
    document = read_yaml(path)
    require_mapping(document, "file", expected="an args.yaml, hyp.yaml or data.yaml")
    _refuse_ours(document)
    is_data = "names" in document.value and "epochs" not in document.value
    fates = _data_fates(document) if is_data else _config_fates(document)
    settings: dict[str, Any] = {}
    places: dict[Keys, Keys] = {}
    for fate in fates:
        for key, value in fate.values.items():
            keys = tuple(key.split("."))
            _put(settings, keys, value)
            places.update({keys[:depth]: (fate.key,) for depth in range(1, len(keys) + 1)})
    if not is_data:
        _complete_schedule(settings)
    model = DataSettings if is_data else Config
    _require_possible(settings, model, document=document, places=places)
    settings = {name: settings[name] for name in model.model_fields if name in settings}
    if not is_data:
        _require_rules(Config.model_validate(settings), checks, document=document, places=places)
    return Translation(path, "data" if is_data else "config", settings, tuple(fates))


def _refuse_ours(document: YamlDocument) -> None:
    """Refuse a file that needs no import: theirs have no groups of settings.

    Raises:
        ConfigError: It is a config of ours.
    """
    groups = [name for name, _ in known_keys(Config) if len(name) == 1]
    for (name,) in groups:
        if isinstance(document.value.get(name), dict):
            raise ConfigError(
                "this is a config of fusetrain already",
                where=document.where((name,)),
                expected="an args.yaml, hyp.yaml or data.yaml of Ultralytics or YOLOFuse",
                remedy=f"`fusetrain train --config {document.path}`",
            )


def _config_fates(document: YamlDocument) -> list[Fate]:
    """Return the fates of all keys of an args.yaml or hyp.yaml."""
    value = document.value
    fates = [_fate(document, name, KEYS) for name in value]
    if str(value.get("optimizer", "")).lower() == AUTO:
        reason = "with optimizer: auto it was not used there"
        fates = _without(fates, ("lr0", "momentum", "warmup_bias_lr"), reason)
    if steps := accumulated(value.get("nbs"), value.get("batch", value.get("batch_size"))):
        fates = [
            replace(fate, values={"train.accumulate": steps}, reason="")
            if fate.key == "nbs"
            else fate
            for fate in fates
        ]
    if any(name in value for name in ANCHORED):
        fates = _without(fates, ("box", "cls"), "a gain of a loss with anchors, another scale")
    return fates


def _data_fates(document: YamlDocument) -> list[Fate]:
    """Return the fates of all keys of a data YAML, with the folder of infrared images."""
    fates = [_fate(document, name, DATA_KEYS) for name in document.value]
    pairs = [
        (str(document.value.get(split)), str(document.value[f"{split}_ir"]))
        for split in ("train", "val", "test")
        if f"{split}_ir" in document.value
    ]
    swaps = {swap for visible, infrared in pairs if (swap := _swap(visible, infrared))}
    if len(swaps) != 1:
        return fates
    ((visible, infrared),) = swaps
    taken = {"ir": {visible: infrared}}
    return [
        Fate(fate.key, fate.line, fate.value, taken) if fate.key.endswith("_ir") else fate
        for fate in fates
    ]


def _swap(visible: str, infrared: str) -> tuple[str, str] | None:
    """Return the one folder name that differs between two paths; None where it is not one."""
    pairs = list(zip(visible.split("/"), infrared.split("/"), strict=False))
    different = [pair for pair in pairs if pair[0] != pair[1]]
    is_one = len(different) == 1 and visible.count("/") == infrared.count("/")
    return different[0] if is_one else None


def _fate(document: YamlDocument, name: Any, keys: Mapping[str, Key]) -> Fate:
    value, line = document.value[name], document.positions[(name,)][0]
    known = keys.get(str(name).replace("-", "_"))
    if known is None:
        return Fate(str(name), line, value, {}, NO_SUCH_KEY)
    if value is None:
        return Fate(str(name), line, value, {}, UNSET)
    try:
        return Fate(str(name), line, value, known.convert(value))
    except NotTakenError as reason:
        return Fate(str(name), line, value, {}, str(reason))


def _without(fates: list[Fate], names: tuple[str, ...], reason: str) -> list[Fate]:
    return [
        Fate(fate.key, fate.line, fate.value, {}, reason)
        if fate.key in names and not fate.reason
        else fate
        for fate in fates
    ]


def _complete_schedule(settings: dict[str, Any]) -> None:
    """Give a schedule of theirs the shape that it has there."""
    schedule = settings.get("schedule")
    if not schedule:
        return
    for key, value in {**THEIR_SCHEDULE, **(THEIR_WARMUP if "warmup" in schedule else {})}.items():
        keys = tuple(key.split("."))
        _put(settings, keys, value, only_if_absent=True)


def _put(
    settings: dict[str, Any], keys: tuple[str, ...], value: Any, *, only_if_absent: bool = False
) -> None:
    group = settings
    for key in keys[:-1]:
        group = group.setdefault(key, {})
    if not (only_if_absent and keys[-1] in group):
        group[keys[-1]] = value


def _require_possible(
    settings: dict[str, Any],
    model: type[BaseModel],
    *,
    document: YamlDocument,
    places: Mapping[Keys, Keys],
) -> None:
    """Check the result as one of our files, with the places of theirs.

    Raises:
        ConfigError: Values are not possible here.
    """
    found = located_problems(model, settings, where=lambda keys: _where(keys, document, places))
    if found:
        raise _refusal([problem for _, problem in found], document)


def _require_rules(
    config: Config,
    checks: Sequence[Check],
    *,
    document: YamlDocument,
    places: Mapping[Keys, Keys],
) -> None:
    """Check the names in the result.

    Raises:
        ConfigError: Some are not possible here.
    """
    problems = [
        Problem(message, _where(keys, document, places))
        for check in checks
        for keys, message in check(config)
    ]
    if problems:
        raise _refusal(problems, document)


def _where(keys: Keys, document: YamlDocument, places: Mapping[Keys, Keys]) -> str:
    """Return the place of what became a key of ours, or a group around it."""
    near = (places.get(keys[:length]) for length in range(len(keys), 0, -1))
    return document.where(next((place for place in near if place), ()))


def _refusal(problems: list[Problem], document: YamlDocument) -> ConfigError:
    told = fault_error(problems, "imported file")
    remedy = f"change or remove it in {document.path}"
    return ConfigError(told.what, problems=problems, remedy=remedy)
