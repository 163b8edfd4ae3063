"""What may be changed between a save and a resume, setting by setting, and why not.

Three kinds: a free setting leaves what was learnt and how it goes on as it is, or is planned anew
from where the run stands; one to be confirmed makes the rest another training than the one that was
begun; a fixed one would not be a resume. What `run` says does not matter: a run goes on in the
folder that is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from fusetrain.config.schema import Config
from fusetrain.config.tolerance import ToleranceSettings
from fusetrain.errors import ConfigError, Problem


class Change(Enum):
    """What is asked before a changed setting is taken."""

    FREE = "free"
    CONFIRM = "with --accept-change"
    FIXED = "never"


# A group stands for its settings that are not named themselves.
TABLE: Mapping[str, tuple[Change, str]] = {
    "data": (Change.FREE, "a set may have moved; its content is held against the start"),
    "model": (Change.FIXED, "the saved weights are of this detector"),
    "train": (Change.FIXED, "the rest would be another training"),
    "train.epochs": (Change.FREE, "planned anew from the saved step on"),
    "train.patience": (Change.FREE, "only says when the run ends"),
    "train.val_every": (Change.FREE, "only says what is measured"),
    "train.save_every": (Change.FREE, "only says what is kept"),
    "train.workers": (Change.FREE, "batches do not depend on who reads them"),
    "train.cache": (Change.FREE, "batches do not depend on where they are kept"),
    "train.device": (Change.FREE, "exact on one kind of device only, which is said"),
    "train.devices": (Change.FREE, "the same batches are dealt out to other ranks"),
    "train.threads": (Change.FREE, "sums are rounded otherwise, which is said"),
    "train.collective_timeout": (Change.FREE, "only says how long ranks wait for each other"),
    "train.max_restarts": (Change.FREE, "only says who starts the run again"),
    "train.on_bad_sample": (Change.FREE, "only counts where an image cannot be read"),
    **{
        f"train.{name}": (Change.FREE, "only counts where something goes wrong")
        for name in ToleranceSettings.model_fields
    },
    "train.batch": (Change.CONFIRM, "other batches; an epoch that has begun starts anew"),
    "train.accumulate": (Change.CONFIRM, "other steps; an epoch that has begun starts anew"),
    "train.amp": (Change.CONFIRM, "other rounding from here on"),
    "train.memory_format": (Change.CONFIRM, "other rounding from here on"),
    "train.compile": (Change.CONFIRM, "other rounding from here on"),
    "train.deterministic": (Change.CONFIRM, "the rest may not be repeatable"),
    "train.clip_norm": (Change.CONFIRM, "other steps from here on"),
    "train.sync_bn": (Change.CONFIRM, "other batch statistics from here on"),
    "optim": (Change.FIXED, "the state of the optimizer and the plan of its rates are of these"),
    "optim.weight_decay": (Change.CONFIRM, "other steps from here on"),
    "schedule": (Change.FIXED, "results.csv would leave its plan; `train.epochs` may grow"),
    "loss": (Change.CONFIRM, "losses before and after cannot be compared"),
    "augment": (Change.CONFIRM, "other pictures from here on"),
    "run": (Change.FREE, "a run goes on in the folder that is given"),
}


@dataclass(frozen=True)
class Difference:
    """A setting that is not what it was."""

    name: str
    old: Any
    new: Any

    @property
    def rule(self) -> tuple[Change, str]:
        """Return what is asked before it is taken, and why."""
        return TABLE.get(self.name) or TABLE[self.name.partition(".")[0]]

    def __str__(self) -> str:
        return f"{self.name}: {self.old!r} -> {self.new!r}"


def differences(trained: Config, wanted: Config) -> list[Difference]:
    """Return the settings of a run that are to be others; its plans are no setting."""
    before, after = trained.model_dump(), wanted.model_dump()
    after["schedule"]["plans"] = before["schedule"]["plans"]
    found = []
    for group, values in before.items():
        if not isinstance(values, dict):
            values, after[group] = {"": values}, {"": after[group]}
        for key in dict.fromkeys((*values, *after[group])):
            old, new = values.get(key), after[group].get(key)
            if new != old:
                found.append(Difference(f"{group}.{key}".rstrip("."), old, new))
    return found


def accepted_changes(trained: Config, wanted: Config, *, is_change_accepted: bool) -> list[str]:
    """Return what there is to be said of the changes of a run that goes on.

    Args:
        trained: Settings that it was trained with.
        wanted: Settings that it is to go on with.
        is_change_accepted: Take those that have to be confirmed.

    Raises:
        ConfigError: A change is not possible, or has to be confirmed first; all of them at once.
    """
    changed = differences(trained, wanted)
    fixed = [change for change in changed if change.rule[0] is Change.FIXED]
    asked = [change for change in changed if change.rule[0] is Change.CONFIRM]
    refused = [*fixed, *([] if is_change_accepted else asked)]
    if refused:
        raise ConfigError(
            "a resumed run must keep these settings",
            problems=[Problem(str(change), hint=change.rule[1]) for change in refused],
            expected=f"changes of {', '.join(free_settings())} only",
            remedy="`fusetrain train` starts a new run with other settings"
            if fixed
            else "--accept-change goes on with them; the rest is another training then",
        )
    return [f"changed: {change} ({change.rule[1]})" for change in asked]


def free_settings() -> list[str]:
    """Return the settings that may change without a word."""
    return [name for name, (change, _) in TABLE.items() if change is Change.FREE and name != "run"]
