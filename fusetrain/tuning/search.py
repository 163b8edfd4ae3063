"""Train one trial after the other: claim it, train or resume its run, tell the study how it went.

What a trial tries and what is remembered of it is the business of `study.py`. Every trial is a run
folder like any other: it can be resumed, validated and exported.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fusetrain.build import TrainingData
from fusetrain.config.keys import values_by_key
from fusetrain.config.load import LoadedConfig, load_config
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.errors import (
    ConfigError,
    DivergedError,
    FusetrainError,
    ResourceError,
    RunError,
    StoppedError,
)
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import config_checks
from fusetrain.runs.reporters import PassingOn, RunReporter
from fusetrain.runs.resuming import resume
from fusetrain.runs.session import Session
from fusetrain.runs.training import train
from fusetrain.tuning.space import assignment
from fusetrain.tuning.study import Claim, Study
from fusetrain.tuning.wishes import Wish, described

MAX_FAILURES = 3  # of this process in a row: then it is not the settings that are wrong
MENDABLE = (ConfigError, DivergedError, ResourceError, RunError)
# Settings that neither scores nor trials depend on.
FREE = (
    "data",
    "run.",
    "train.cache",
    "train.collective_timeout",
    "train.device",
    "train.max_restarts",
    "train.save_every",
    "train.threads",
    "train.workers",
)


def open_study(path: Path, wish: Wish, loaded: LoadedConfig) -> Study:
    """Open the study of a search, or begin it; its first trial has the values of the config.

    Raises:
        ConfigError: The study is of another search.
    """
    values = values_by_key(loaded.config.model_dump(mode="json"))
    keys = {part.key for part in wish.space}
    held = {
        key: value for key, value in values.items() if key not in keys and not key.startswith(FREE)
    }
    first = {part.key: values[part.key] for part in wish.space if part.holds(values.get(part.key))}
    seed, epochs = loaded.config.train.seed, loaded.config.train.epochs
    return Study(path, wish.space, settings=held, seed=seed, epochs=epochs, first=first)


def search(
    study: Study,
    wish: Wish,
    data: TrainingData,
    *,
    wanted: int,
    reporter: Callable[[], RunReporter],
    say: Callable[[str], None],
) -> None:
    """Train until the study has as many trials as are wanted.

    Args:
        study: Remembers the trials.
        wish: What is searched around.
        data: The splits, audited.
        wanted: Number of trials of the study in all.
        reporter: Makes who is told how a run goes.
        say: Told when a trial begins and how it ended.

    Raises:
        StoppedError: A signal came; the same command goes on.
        FusetrainError: What made several trials in a row fail.
    """
    failures = 0
    while (claim := study.claim(wanted)) is not None:
        say(f"trial {claim.number}: {described(claim.values)}")
        try:
            outcome = _train_trial(study, claim, wish, data, reporter=reporter(), say=say)
        except MENDABLE as error:
            study.fail(claim, error.what)
            say(f"trial {claim.number} failed: {error.what}")
            failures += 1
            if failures == MAX_FAILURES:
                raise
        except BaseException as error:
            study.release(claim)
            if isinstance(error, StoppedError):
                raise _stopped(error, claim) from None
            raise
        else:
            failures = 0
            say(f"trial {claim.number}: {outcome}")


def _train_trial(
    study: Study,
    claim: Claim,
    wish: Wish,
    data: TrainingData,
    *,
    reporter: RunReporter,
    say: Callable[[str], None],
) -> str:
    """Train what is left of a trial, tell the study, and return how it went."""
    judge = _Judge(reporter, study, claim)
    try:
        if (before := _begun(claim)) is not None:
            say(f"trial {claim.number} goes on in {before.path}")
            resume(before, load_config(before.config, checks=[config_checks]), reporter=judge)
        else:
            config = wish.config([assignment(key, value) for key, value in claim.values.items()])
            named = {"name": f"{config.run.name}-trial{claim.number}"}
            config = config.model_copy(update={"run": config.run.model_copy(update=named)})
            train(
                config, data, reporter=judge, on_folder=lambda run: study.note_run(claim, run.path)
            )
    except StoppedError:
        if not judge.is_pruned:
            raise
        study.prune(claim)
        return f"pruned after epoch {judge.epoch}, mAP50-95 {judge.score:.4f}"
    study.complete(claim, judge.score)
    return f"mAP50-95 {judge.score:.4f}"


def _begun(claim: Claim) -> RunDir | None:
    """Return the run of a trial that another process began, if it came that far."""
    if claim.run is None or not (claim.run / "config.yaml").is_file():
        return None
    return RunDir.open(claim.run)


class _Judge(PassingOn):
    """Passes on how a trial goes, and stops one that is hopeless after a validated epoch."""

    def __init__(self, inner: RunReporter, study: Study, claim: Claim) -> None:
        super().__init__(inner)
        self.is_pruned = False
        self.score = 0.0
        self.epoch = 0
        self._epochs = 0
        self._study = study
        self._claim = claim

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        """Note how far a resumed run came."""
        super().on_start(session, run, state)
        self._epochs = session.config.train.epochs
        self.score = max(0.0, state.best_score)

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        """Tell the study the score of the epoch.

        Raises:
            StoppedError: The trial is pruned.
        """
        super().on_epoch(state, validation)
        self.epoch, self.score = state.epoch, max(0.0, state.best_score)
        if validation is None:
            return
        score = validation.metrics.map50_95
        is_hopeless = self._study.is_hopeless(self._claim, state.epoch, score)
        if is_hopeless and state.epoch < self._epochs and not state.stopped_early:
            self.is_pruned = True
            raise StoppedError(f"pruned after epoch {state.epoch}")


def _stopped(error: StoppedError, claim: Claim) -> FusetrainError:
    return StoppedError(
        f"{error.what}; trial {claim.number} waits for whoever goes on with it",
        remedy="the same command goes on",
    )
