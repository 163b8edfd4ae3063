"""What a search may try: settings with a range or a list of values, read from YAML and checked.

A setting that somebody has fixed is never searched behind their back: a space that names it has to
say `replace: true`, and what `--set` fixes stays fixed. Sampling is left to `study.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from fusetrain.config.base import Settings
from fusetrain.config.faults import located_problems
from fusetrain.config.load import DEFAULT, LoadedConfig
from fusetrain.config.yaml import YamlDocument, fault_error, read_yaml, require_mapping
from fusetrain.errors import ConfigError, Problem

Value = str | int | float | bool | None
EXAMPLE = "lines such as `optim.lr0: {low: 1e-4, high: 1e-2, log: true}`"
# A search compares equal trainings on equal data: what these say is for the config alone.
NOT_SEARCHED = ("data", "run", "train.epochs", "train.stages", "train.device", "train.devices")


class DimensionSettings(Settings):
    """One line of a space; a list stands for `choices`."""

    low: int | float | None = Field(None, description="Smallest value.")
    high: int | float | None = Field(None, description="Largest value.")
    log: bool = Field(False, description="Draw from the logarithm of the range.")
    step: int | float | None = Field(None, gt=0, description="Distance between values.")
    choices: list[Value] | None = Field(None, min_length=1, description="The values.")
    replace: bool = Field(False, description="Search although the config sets a value.")

    @model_validator(mode="after")
    def _range_or_choices(self) -> DimensionSettings:
        if self.choices is not None:
            if (self.low, self.high, self.step, self.log) != (None, None, None, False):
                raise ValueError("give either choices or a range, not both")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log wants a low above 0 and no step")
        return self


@dataclass(frozen=True)
class Dimension:
    """A setting and what may be tried for it.

    Attributes:
        key: Dotted key of the setting.
        low: Smallest value of a range.
        high: Largest value of a range.
        log: Whether it is drawn from the logarithm of the range.
        step: Distance between values; None is none, or 1 for whole numbers.
        is_whole: Whether values are whole numbers.
        choices: The values where there is no range; empty where there is one.
    """

    key: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    step: float | None = None
    is_whole: bool = False
    choices: tuple[Value, ...] = ()

    def ends(self) -> tuple[Value, ...]:
        """Return the values that tell whether all are possible: all choices, or both ends."""
        return self.choices or (self._number(self.low), self._number(self.high))

    def holds(self, value: object) -> bool:
        """Return whether a search may come upon a value."""
        if self.choices:
            return any(value == choice and type(value) is type(choice) for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        steps = (value - self.low) / (self.step or (1 if self.is_whole else 1e-300))
        is_on_step = not (self.step or self.is_whole) or abs(steps - round(steps)) < 1e-9
        return self.low <= value <= self.high and is_on_step

    def to_json(self) -> dict[str, Any]:
        """Return what a study keeps of it."""
        return {**asdict(self), "choices": list(self.choices)}

    def _number(self, value: float) -> int | float:
        return int(value) if self.is_whole else float(value)


# What is searched where no space is given: settings whose best value depends on the data most.
DEFAULT_SPACE = (
    Dimension("optim.lr0", 1e-4, 1e-2, log=True),
    Dimension("optim.weight_decay", 1e-5, 1e-2, log=True),
    Dimension("augment.mosaic", 0.0, 1.0, step=0.25),
    Dimension("augment.scale", 0.0, 0.9),
)


def assignment(key: str, value: Value) -> str:
    """Return a value as `--set` wants it."""
    is_word = isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]*", value)
    is_plain = is_word and value not in ("true", "false", "null")
    return f"{key}={value if is_plain else json.dumps(value)}"


def open_space(loaded: LoadedConfig, default: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Return what is searched where no space is given: what nobody has fixed.

    Raises:
        ConfigError: All of it is fixed.
    """
    left = tuple(part for part in default if loaded.sources.get(part.key) == DEFAULT)
    if not left:
        names = ", ".join(part.key for part in default)
        raise ConfigError(
            f"nothing is left to search: the config fixes {names}",
            where=str(loaded.path),
            remedy="--space FILE says what to search; see docs/tune.md",
        )
    return left


def read_space(
    path: Path, loaded: LoadedConfig, *, try_sets: Callable[[str], object]
) -> tuple[Dimension, ...]:
    """Read a space and hold it against a config.

    Args:
        path: YAML file: dotted key of a setting to a range or a list of values.
        loaded: The config that is searched around.
        try_sets: Loads the config with one more `--set`; raises if that is no config.

    Raises:
        ConfigError: The file, a key or a value is wrong, or a value is fixed; all at once.
    """
    document = read_yaml(path, remedy="docs/tune.md shows one")
    require_mapping(document, "space", expected=EXAMPLE)
    problems: list[Problem] = []
    dimensions = []
    for key, value in document.value.items():
        found = list(_problems(document, str(key), value, loaded, try_sets=try_sets))
        problems += found
        if not found:
            dimensions.append(_dimension(str(key), value, loaded))
    if problems:
        raise fault_error(problems, "space")
    return tuple(dimensions)


def _problems(
    document: YamlDocument,
    key: str,
    value: Any,
    loaded: LoadedConfig,
    *,
    try_sets: Callable[[str], object],
) -> Iterator[Problem]:
    """Yield what is wrong with one line of a space."""
    where = document.where((key,))
    if any(key == name or key.startswith(f"{name}.") for name in NOT_SEARCHED):
        yield Problem(f"{key} cannot be searched: the config alone says it", where)
        return
    found = located_problems(
        DimensionSettings, _as_mapping(value), where=lambda keys: document.where((key, *keys))
    )
    if found:
        yield from (Problem(f"{key}: {each.message}", each.where, each.hint) for _, each in found)
        return
    source = loaded.sources.get(key, DEFAULT)
    if source == "--set":
        yield Problem(f"{key} is fixed by --set and in the space", where, "drop one of them")
    elif source != DEFAULT and not _as_mapping(value).get("replace"):
        hint = f"`replace: true` in the space searches it all the same; see {key} in {source}"
        yield Problem(f"{key} is fixed in the config and in the space", where, hint)
    for end in _dimension(key, value, loaded).ends():
        try:
            try_sets(assignment(key, end))
        except ConfigError as error:
            inner = error.problems[0] if error.problems else Problem(error.what)
            yield Problem(f"{key}: {end!r} is not possible: {inner.message}", where, inner.hint)
            return


def _as_mapping(value: Any) -> Any:
    return {"choices": value} if isinstance(value, list) else value


def _dimension(key: str, value: Any, loaded: LoadedConfig) -> Dimension:
    settings = DimensionSettings.model_validate(_as_mapping(value), strict=True)
    if settings.choices is not None:
        return Dimension(key, choices=tuple(settings.choices))
    assert settings.low is not None
    assert settings.high is not None
    ends = (settings.low, settings.high, settings.step or 1)
    is_whole = all(isinstance(end, int) for end in ends) and not _is_real(key, loaded)
    return Dimension(key, settings.low, settings.high, settings.log, settings.step, is_whole)


def _is_real(key: str, loaded: LoadedConfig) -> bool:
    """Return whether a setting is a number with a fraction, as far as its present value tells."""
    value: Any = loaded.config.model_dump()
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return isinstance(value, float)
