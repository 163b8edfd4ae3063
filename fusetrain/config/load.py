"""Turn a config file, its `extends` base and `--set` values into one checked `Config`.

Later beats earlier: defaults, the base, the file, `--set`. Every problem of all of them is reported
in one error, each with its place. What a setting means is told in `schema.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fusetrain.config.faults import Keys, dotted, located_problems, shown
from fusetrain.config.keys import all_keys, leaves
from fusetrain.config.schema import Config
from fusetrain.config.yaml import (
    YamlDocument,
    dump_yaml,
    fault_error,
    read_yaml,
    read_yaml_text,
    require_mapping,
)
from fusetrain.errors import ConfigError, Problem, UsageError

KeyProblem = tuple[Keys, str]
Check = Callable[[Config], Iterable[KeyProblem]]
DEFAULT = "default"
EXAMPLE = "`key: value` lines such as those of configs/demo.yaml"
NO_FILE = Path("no config file")


@dataclass(frozen=True)
class Origin:
    """Where a value was set.

    Attributes:
        source: "file:line" or "--set".
        where: What messages say: "file:line:column" or "--set optim.lr0=…".
        folder: What a relative path in the value is relative to.
        rank: Counts up in the order in which values were written.
    """

    source: str
    where: str
    folder: Path
    rank: int


@dataclass(frozen=True)
class LoadedConfig:
    """A checked config and where each of its values came from.

    Attributes:
        config: All settings, defaults filled in.
        path: The config file; NO_FILE where all starts from the defaults.
        sources: Dotted key of every value to "default", "file:line" or "--set".
        data_path: The data set; relative to the file that names it, or to the working folder where
            ``--set`` does. None where no data set is named.
        model_paths: Key of `model` to the file or run that it names, relative as above.
    """

    config: Config
    path: Path
    sources: Mapping[str, str]
    data_path: Path | None
    model_paths: Mapping[str, Path]

    def anew(self, data: Path | None = None) -> Config:
        """Return the config of a new training, as `placed` does.

        It may be that of a run: the steps at which that one was extended mean nothing to others.
        """
        config = self.placed(data)
        schedule = config.schedule.model_copy(update={"plans": []})
        return config.model_copy(update={"schedule": schedule})

    def placed(self, data: Path | None = None) -> Config:
        """Return the config with its paths as they hold from the working folder.

        Args:
            data: A data set in place of the one that the config names.
        """
        chosen = data or self.data_path
        named = {key: str(path) for key, path in self.model_paths.items()}
        model = self.config.model.model_copy(update=named)
        paths = {"data": str(chosen) if chosen else None, "model": model}
        return self.config.model_copy(update=paths)


def load_config(
    path: Path | None, sets: Sequence[str] = (), *, checks: Sequence[Check] = ()
) -> LoadedConfig:
    """Read and check a config.

    Args:
        path: The YAML file; None starts from the defaults.
        sets: ``key=value`` with a dotted key and a YAML value; a mapping replaces the whole group.
        checks: Further rules, such as names against their registries; called with the config.

    Raises:
        ConfigError: The file or a value is wrong; all problems at once.
        UsageError: A ``--set`` without ``=``.
    """
    assignments = [_assignment(text) for text in sets]
    layers = _Layers()
    for document in _documents(path) if path is not None else ():
        layers.add_file(document)
    for keys, text in assignments:
        layers.add_set(keys, text)
    problems = sorted([*layers.problems, *_problems(layers, checks)], key=layers.rank)
    if problems:
        raise fault_error([problem for _, problem in problems], "config")
    config = Config.model_validate(layers.value, strict=True)
    sources = {dotted(keys): layers.source(keys) for keys in leaves(config.model_dump())}
    data_path = layers.folder(("data",)) / config.data if config.data is not None else None
    named = config.model.paths.items()
    model_paths = {key: layers.folder(("model", key)) / named_path for key, named_path in named}
    return LoadedConfig(config, path or NO_FILE, sources, data_path, model_paths)


def effective_yaml(config: Config) -> str:
    """Return all settings as YAML, defaults included; it loads again as an equal config."""
    return dump_yaml(config.model_dump())


class _Layers:
    """The merged settings, and for each key the place that set it last."""

    def __init__(self) -> None:
        self.value: dict[str | int, Any] = {}
        self.problems: list[tuple[Keys, Problem]] = []
        self._origins: dict[Keys, Origin] = {}
        self._written = 0

    def add_file(self, document: YamlDocument) -> None:
        """Lay a file over what is there; mappings are merged, all else is replaced."""
        self.value = _merged(self.value, document.value)
        for keys, (line, _) in document.positions.items():
            self._put(
                keys,
                source=f"{document.path}:{line}",
                where=document.where(keys),
                folder=document.path.parent,
            )

    def add_set(self, keys: Keys, text: str) -> None:
        """Put one ``--set`` value in its place, instead of what was there."""
        where = f"--set {dotted(keys)}=…"
        try:
            value = read_yaml_text(text, where).value
        except ConfigError as error:
            inner = error.problems or (Problem(error.what),)
            self.problems += [(keys, Problem(each.message, where)) for each in inner]
            self._put(keys, source="--set", where=where, folder=Path())
            return
        group = self.value
        for depth, key in enumerate(keys[:-1], start=1):
            if not isinstance(group.get(key), dict):
                group[key] = {}
                self._put(keys[:depth], source="--set", where=where, folder=Path())
            group = group[key]
        group[keys[-1]] = value
        self._origins = {old: at for old, at in self._origins.items() if old[: len(keys)] != keys}
        for inner_keys in all_keys(value, prefix=keys):
            self._put(inner_keys, source="--set", where=where, folder=Path())

    def source(self, keys: Keys) -> str:
        """Return "file:line", "--set" or "default" for a value of the config."""
        origin = self._origins.get(keys)
        return origin.source if origin else DEFAULT

    def folder(self, keys: Keys) -> Path:
        """Return what a relative path in a value is relative to."""
        origin = self._origins.get(keys)
        return origin.folder if origin else Path()

    def where(self, keys: Keys) -> str:
        """Return the place of a value or of the nearest group around it; empty for defaults."""
        origin = self._nearest(keys)
        return origin.where if origin else ""

    def rank(self, entry: tuple[Keys, Problem]) -> int:
        """Return when the key of a problem was written, to sort by."""
        origin = self._nearest(entry[0])
        return origin.rank if origin else -1

    def is_written(self, keys: Keys) -> bool:
        """Return whether somebody set the value."""
        return keys in self._origins

    def _nearest(self, keys: Keys) -> Origin | None:
        shorter = (self._origins.get(keys[:length]) for length in range(len(keys), 0, -1))
        return next((origin for origin in shorter if origin), None)

    def _put(self, keys: Keys, *, source: str, where: str, folder: Path) -> None:
        self._written += 1
        self._origins[keys] = Origin(source, where, folder, self._written)


def _assignment(text: str) -> tuple[Keys, str]:
    key, equals, value = text.partition("=")
    keys = tuple(part.strip() for part in key.split("."))
    if not equals or not all(keys):
        raise UsageError(
            f"--set {text} is no assignment",
            expected="key=value with a dotted key, such as --set optim.lr0=3e-4",
        )
    return keys, value


def _documents(path: Path) -> list[YamlDocument]:
    """Return the base, if the file names one, and the file."""
    document = read_yaml(path, remedy="`fusetrain demo demo` writes a config to start with")
    require_mapping(document, "config", expected=EXAMPLE)
    if "names" in document.value and isinstance(document.value.get("train"), str | list):
        raise ConfigError(
            "this is a data YAML, not a training config",
            where=document.where(("names",)),
            expected=f"a config with the line `data: {path}`",
            remedy="`fusetrain demo demo` writes a config to start with",
        )
    if {"task", "mode", "imgsz"} <= set(document.value):
        raise ConfigError(
            "this is a config of another trainer",
            where=document.where(("task",)),
            expected="groups of settings, such as `train: {imgsz: 640}`",
            remedy=f"`fusetrain config import {path} --out train.yaml` turns it into ours",
        )
    if "extends" not in document.value:
        return [document]
    name = document.value.pop("extends")
    where = document.where(("extends",))
    if not isinstance(name, str) or not (path.parent / name).is_file():
        raise ConfigError(
            f"`extends` is {shown(name)}, which is no file",
            where=where,
            expected="a config to start from; its path is relative to this file",
        )
    base = read_yaml(path.parent / name)
    require_mapping(base, "config", expected=EXAMPLE)
    if "extends" in base.value:
        is_own = (path.parent / name).samefile(path)
        raise ConfigError(
            "a config cannot extend itself"
            if is_own
            else "a config that others extend cannot extend another one",
            where=base.where(("extends",)),
            expected="another config, or no such line"
            if is_own
            else f"at most one level: merge it into {name} or name its base in {path}",
        )
    return [base, document]


def _problems(layers: _Layers, checks: Sequence[Check]) -> list[tuple[Keys, Problem]]:
    """Return the problems of the model, and those of the checks for what the model accepts."""
    found = located_problems(Config, layers.value, where=layers.where)
    try:
        config = Config.model_validate(
            _without(layers.value, [keys for keys, _ in found]), strict=True
        )
    except ValidationError:
        return found
    for check in checks:
        for keys, message in check(config):
            if not found or layers.is_written(keys):
                found.append((keys, Problem(message, layers.where(keys))))
    return found


def _without(value: dict[str | int, Any], paths: Iterable[Keys]) -> dict[str | int, Any]:
    """Return a copy without the values at some paths."""
    result = deepcopy(value)
    for path in paths:
        group: Any = result
        for key in path[:-1]:
            group = group.get(key, {}) if isinstance(group, dict) else {}
        if path and isinstance(group, dict):
            group.pop(path[-1], None)
    return result


def _merged(base: Mapping[Any, Any], top: Mapping[Any, Any]) -> dict[Any, Any]:
    result = dict(base)
    for key, value in top.items():
        both = isinstance(result.get(key), dict) and isinstance(value, dict)
        result[key] = _merged(result[key], value) if both else value
    return result
