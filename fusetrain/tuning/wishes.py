"""What is searched around: config, changes of it, data set and space; checked without torch."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fusetrain.config.load import LoadedConfig, load_config
from fusetrain.config.schema import Config
from fusetrain.errors import ConfigError
from fusetrain.launched import place
from fusetrain.rules import config_checks, require_data, require_trackers, require_weights
from fusetrain.tuning.space import (
    DEFAULT_SPACE,
    Dimension,
    Value,
    assignment,
    open_space,
    read_space,
)


@dataclass(frozen=True)
class Wish:
    """What is searched around.

    Attributes:
        path: The config file.
        sets: Changes of it, as ``--set`` has them.
        data: A data set in place of the one that the config names.
        space: What is searched.
    """

    path: Path
    sets: tuple[str, ...]
    data: Path | None
    space: tuple[Dimension, ...]

    def config(self, values: Sequence[str] = ()) -> Config:
        """Return the settings with more ``--set``; paths hold from the working folder."""
        loaded = load_config(self.path, (*self.sets, *values), checks=[config_checks])
        return loaded.anew(self.data)


def wish_of(
    path: Path,
    sets: tuple[str, ...],
    *,
    data: Path | None,
    space: Path | None,
    note: Callable[[str], None],
) -> tuple[Wish, LoadedConfig]:
    """Return a checked wish, and its config with the sources of its values.

    Args:
        path: The config file.
        sets: Changes of it, as ``--set`` has them.
        data: A data set in place of the one that the config names.
        space: YAML file; None searches what nobody fixed of `DEFAULT_SPACE`.
        note: Told what is searched where no space is given.

    Raises:
        ConfigError: The config or the space is wrong, or several processes would train a trial.
        ResourceError: A package of a tracker is missing.
        RunError: There are no weights to start from where the config says.
    """
    loaded = load_config(path, sets, checks=[config_checks])
    settings = loaded.anew(data)
    require_data(settings)
    require_trackers(settings)
    require_weights(settings)
    if place().world_size > 1 or settings.train.devices not in (None, 1):
        raise ConfigError(
            "a trial is trained in one process",
            expected="no train.devices; several `fusetrain tune` on one study share its trials",
        )
    if space is None:
        found = open_space(loaded, DEFAULT_SPACE)
        note(f"searching {', '.join(part.key for part in found)}; --space FILE says otherwise")
    else:
        found = read_space(
            space,
            loaded,
            try_sets=lambda more: load_config(path, (*sets, more), checks=[config_checks]),
        )
    return Wish(path, sets, data, found), loaded


def described(values: Mapping[str, Value]) -> str:
    """Return settings as one types them."""
    return " ".join(shlex.quote(assignment(key, value)) for key, value in values.items())
