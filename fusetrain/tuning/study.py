"""The memory of a search: a SQLite file with every trial, shared by all processes of this host.

A trial belongs to the process that runs it. What a dead process left is taken over as it is, under
its own number and with its own settings, so that a search that was killed goes on as if it had not
been. How a trial is trained is told in `search.py`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusetrain.errors import ConfigError, Problem, ResourceError, RunError
from fusetrain.results.run_lock import Holder, alone_with
from fusetrain.tuning.space import Dimension, Value

try:
    import optuna
    from optuna.trial import FrozenTrial, Trial, TrialState
except ImportError as error:
    raise ResourceError(
        "optuna is not installed", remedy="pip install 'fusetrain[tune]'"
    ) from error

NAME = "fusetrain"
METRIC = "mAP50-95"
WAIT_SECONDS = 120.0  # for other processes that write
TRIALS_BEFORE_PRUNING = 4
MEMORY, HOLDER, RUN, ERROR = "search", "holder", "run", "error"


@dataclass(frozen=True)
class Claim:
    """A trial that belongs to this process.

    Attributes:
        number: Of the trial, from 0.
        values: Dotted key to the value that is tried.
        run: Run folder that was begun for it; None for none.
        reported: Epochs whose score is known already.
        trial: Optuna's.
    """

    number: int
    values: Mapping[str, Value]
    run: Path | None
    reported: frozenset[int]
    trial: Trial


@dataclass(frozen=True)
class TrialRow:
    """What is known of a trial.

    Attributes:
        number: From 0.
        state: complete, pruned, fail, running or waiting.
        score: Best mAP50-95 so far; None where none is known.
        epochs: Last epoch with a score.
        values: Dotted key to the value that was tried.
        run: Run folder; empty where none was made.
        error: Why it failed; empty where it did not.
    """

    number: int
    state: str
    score: float | None
    epochs: int
    values: Mapping[str, Value]
    run: str
    error: str


class Study:
    """All trials of a search.

    Args:
        path: The SQLite file; made if it is not there.
        space: What is searched.
        settings: Dotted key to value of all that must be equal in every trial.
        seed: What draws depend on, beside the number of the trial and those before.
        epochs: Length of a trial.
        first: Values of the first trial.

    Raises:
        ConfigError: The file is of another search.
        RunError: The file is no study.
        ResourceError: It cannot be written.
    """

    def __init__(
        self,
        path: Path,
        space: Sequence[Dimension],
        *,
        settings: Mapping[str, Any],
        seed: int,
        epochs: int,
        first: Mapping[str, Value],
    ) -> None:
        self.path = path
        self.space = tuple(space)
        self._seed = seed
        self._pruner = optuna.pruners.MedianPruner(
            n_startup_trials=TRIALS_BEFORE_PRUNING, n_warmup_steps=1 + max(1, epochs // 5)
        )
        memory = {"space": [part.to_json() for part in space], "settings": dict(settings)}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._study = self._opened()
                known = self._study.user_attrs.get(MEMORY)
                if known is None:
                    self._study.set_user_attr(MEMORY, memory)
                    if first:
                        self._study.enqueue_trial(dict(first))
        except OSError as error:
            raise ResourceError(f"{path} cannot be written: {error}") from error
        _require_same(known or memory, memory, path)

    def claim(self, wanted: int) -> Claim | None:
        """Take a trial that a dead process left, or a new one while fewer than ``wanted`` exist."""
        with self._alone():
            trials = self._study.get_trials(deepcopy=False)
            left = [trial for trial in trials if _is_left(trial)]
            begun = [trial for trial in trials if trial.state is not TrialState.WAITING]
            if left:
                # Optuna has no public way to go on with a trial of another process.
                trial = Trial(self._study, left[0]._trial_id)
            elif len(begun) < wanted:
                trial = self._study.ask()
            else:
                return None
            trial.set_user_attr(HOLDER, str(Holder.here()))
            # draws depend on the number, so that it does not matter in which process they happen
            self._study.sampler = optuna.samplers.TPESampler(
                seed=(self._seed * 1_000_003 + trial.number) % 2**32
            )
            values = {part.key: _suggested(trial, part) for part in self.space}
        known = self._study.get_trials(deepcopy=False)[trial.number]
        run = known.user_attrs.get(RUN)
        folder = None if run is None else self.path.parent / run
        return Claim(trial.number, values, folder, frozenset(known.intermediate_values), trial)

    def note_run(self, claim: Claim, folder: Path) -> None:
        """Remember the run folder of a trial."""
        claim.trial.set_user_attr(RUN, os.path.relpath(folder, self.path.parent.absolute()))

    def is_hopeless(self, claim: Claim, epoch: int, score: float) -> bool:
        """Take the score of an epoch; return whether most trials were better by then."""
        if epoch not in claim.reported:
            claim.trial.report(score, epoch)
        return bool(claim.trial.should_prune())

    def complete(self, claim: Claim, score: float) -> None:
        """End a trial that was trained to its end."""
        self._study.tell(claim.trial, score)

    def prune(self, claim: Claim) -> None:
        """End a trial that was given up."""
        self._study.tell(claim.trial, state=TrialState.PRUNED)

    def fail(self, claim: Claim, why: str) -> None:
        """End a trial that could not be trained."""
        claim.trial.set_user_attr(ERROR, why)
        self._study.tell(claim.trial, state=TrialState.FAIL)

    def release(self, claim: Claim) -> None:
        """Leave a trial for whoever goes on with it."""
        claim.trial.set_user_attr(HOLDER, "")

    def rows(self) -> list[TrialRow]:
        """Return all trials."""
        folder = self.path.parent
        return [_row(trial, folder) for trial in self._study.get_trials(deepcopy=False)]

    def importances(self) -> dict[str, float]:
        """Return each setting's share in the differences of scores; empty where there are none."""
        rows = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len({trial.value for trial in rows}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about methods that may change
            try:
                found = optuna.importance.get_param_importances(self._study)
            except (ImportError, RuntimeError, ValueError, ZeroDivisionError):
                return {}
        return {name: float(share) for name, share in found.items()}

    def _opened(self) -> optuna.Study:
        storage_error = optuna.exceptions.StorageInternalError
        try:
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{self.path.absolute()}",
                engine_kwargs={"connect_args": {"timeout": WAIT_SECONDS}},
            )
            return optuna.create_study(
                storage=storage,
                study_name=NAME,
                direction="maximize",
                load_if_exists=True,
                pruner=self._pruner,
            )
        except Exception as error:
            if not isinstance(error, storage_error) and "sqlalchemy" not in type(error).__module__:
                raise
            raise RunError(
                f"{self.path} is no study: {str(error).partition(chr(10))[0]}",
                remedy="--study FILE names another one",
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with alone_with(self.path.with_name(f".{self.path.name}.lock")):
            yield


def _is_left(trial: FrozenTrial) -> bool:
    """Return whether a running trial belongs to no living process."""
    if trial.state is not TrialState.RUNNING:
        return False
    holder = Holder.parse(str(trial.user_attrs.get(HOLDER, "")))
    return holder is None or not holder.may_live()


def _suggested(trial: Trial, part: Dimension) -> Value:
    """Return the value of a trial for a setting: as it was drawn, or drawn now."""
    if part.choices:
        chosen: Value = trial.suggest_categorical(part.key, part.choices)
        return chosen
    if part.is_whole:
        low, high, step = int(part.low), int(part.high), int(part.step or 1)
        return trial.suggest_int(part.key, low, high, step=step, log=part.log)
    return trial.suggest_float(part.key, part.low, part.high, step=part.step, log=part.log)


def _row(trial: FrozenTrial, folder: Path) -> TrialRow:
    scores, run = trial.intermediate_values, trial.user_attrs.get(RUN)
    score = trial.value if trial.value is not None else max(scores.values(), default=None)
    return TrialRow(
        trial.number,
        trial.state.name.lower(),
        score,
        max(scores, default=0),
        dict(trial.params),
        "" if run is None else str(folder / run),
        str(trial.user_attrs.get(ERROR, "")),
    )


def _require_same(known: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """Raise if a study was begun with other settings or another space."""
    before, now = ({part["key"]: part for part in each["space"]} for each in (known, wanted))
    problems = [Problem(f"{key}: another space") for key in _differing(before, now)]
    old, new = known["settings"], wanted["settings"]
    problems += [
        Problem(f"{key}: {old.get(key)!r} -> {new.get(key)!r}") for key in _differing(old, new)
    ]
    if problems:
        raise ConfigError(
            "the study is of another search",
            where=str(path),
            problems=problems,
            expected="the config and space that it was begun with: scores could not be compared",
            remedy="--study FILE begins another one",
        )


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
