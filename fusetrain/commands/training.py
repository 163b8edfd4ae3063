"""Training from Python: train, resume, search for settings, test the range of learning rates."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from fusetrain import build, distributed
from fusetrain.build import TrainingData
from fusetrain.checks.acceptance import require_trainable
from fusetrain.checks.audit import audit, require_acceptable
from fusetrain.commands.given import NONE, PathLike, Settings, path_or_none, sets_of
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config
from fusetrain.engine.lr_range import RangeTest
from fusetrain.errors import ConfigError
from fusetrain.launched import place
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import config_checks, require_data, require_trackers, require_weights
from fusetrain.runs import resuming, training
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.session import choose_machine

if TYPE_CHECKING:
    from fusetrain.tuning.report import SearchReport


def train(
    config: PathLike | None,
    settings: Settings = NONE,
    *,
    data: PathLike | None = None,
    allow: Collection[str] = (),
    reporter: RunReporter | None = None,
) -> Path:
    """Train a detector in a new run folder, as `train` does; see README.md.

    Args:
        config: Training config; None starts from the defaults, with ``data``.
        settings: Dotted key to value, as ``--set`` has them: ``{"train.epochs": 3}``.
        data: Data YAML or folder in place of the one that the config names.
        allow: Codes of findings of `check_data` that are accepted.
        reporter: Is told how the run goes; None tells nobody.

    Returns:
        The run folder.

    Raises:
        FusetrainError: Whatever a user can mend; `StoppedError` after a signal.
    """
    wanted = _loaded(config, settings, data)
    device, timeout = choose_machine(wanted).device, wanted.train.collective_timeout
    with distributed.process_group(device, timeout_seconds=timeout):
        splits = distributed.from_main(lambda: _checked(wanted, allow))
        return training.train(wanted, splits, reporter=reporter or RunReporter()).path


def resume(
    run: PathLike,
    settings: Settings = NONE,
    *,
    accept_data_change: bool = False,
    accept_change: bool = False,
    reporter: RunReporter | None = None,
) -> Path:
    """Continue a run exactly where it stopped, as `resume` does; see docs/resume.md.

    Args:
        run: Run folder or its last.pt.
        settings: What is to change, by dotted key.
        accept_data_change: Go on although the data set changed.
        accept_change: Go on with settings that make it another training.
        reporter: Is told how the run goes; None tells nobody.

    Returns:
        The run folder.

    Raises:
        FusetrainError: Whatever a user can mend; `StoppedError` after a signal.
    """
    folder = RunDir.open(Path(run))
    wanted = load_config(folder.config, sets_of(settings), checks=[config_checks])
    require_trackers(wanted.config)
    _require_one_process(wanted.config)
    return resuming.resume(
        folder,
        wanted,
        accept_data_change=accept_data_change,
        accept_change=accept_change,
        reporter=reporter or RunReporter(),
    ).path


def find_lr(
    config: PathLike,
    settings: Settings = NONE,
    *,
    data: PathLike | None = None,
    allow: Collection[str] = (),
) -> RangeTest:
    """Test a range of learning rates on a throw-away model, as `train --lr-find` does.

    Args:
        config: Training config.
        settings: Dotted key to value, as ``--set`` has them.
        data: Data YAML or folder in place of the one that the config names.
        allow: Codes of findings of `check_data` that are accepted.

    Returns:
        Rates and losses, and the rate to begin with; drawn into lr_find.png in the project folder.

    Raises:
        FusetrainError: Whatever a user can mend.
    """
    from fusetrain.runs.lr_find import find_rate

    wanted = _loaded(config, settings, data)
    found, _ = find_rate(wanted, _checked(wanted, allow), progress=lambda done, total: None)
    return found


def tune(
    config: PathLike,
    trials: int,
    settings: Settings = NONE,
    *,
    space: PathLike | None = None,
    study: PathLike | None = None,
    data: PathLike | None = None,
    allow: Collection[str] = (),
) -> SearchReport:
    """Search for better settings, as `tune` does; see docs/tune.md.

    Args:
        config: Training config.
        trials: Trials of the study in all.
        settings: Dotted key to value, as ``--set`` has them.
        space: What to try; None tries what is common.
        study: Where to remember; None is ``tune.db`` in the project folder.
        data: Data YAML or folder in place of the one that the config names.
        allow: Codes of findings of `check_data` that are accepted.

    Returns:
        All trials, the best of them, and what mattered.

    Raises:
        FusetrainError: Whatever a user can mend; `StoppedError` after a signal.
    """
    from fusetrain.tuning.wishes import wish_of

    wish, loaded = wish_of(
        Path(config),
        sets_of(settings),
        data=path_or_none(data),
        space=path_or_none(space),
        note=_to_nobody,
    )
    from fusetrain.tuning.report import report_of
    from fusetrain.tuning.search import open_study, search

    base = wish.config()
    path = Path(base.run.project) / "tune.db" if study is None else Path(study)
    opened = open_study(path, wish, loaded)
    splits = _checked(base, allow)
    search(opened, wish, splits, wanted=trials, reporter=RunReporter, say=_to_nobody)
    return report_of(opened)


def _loaded(config: PathLike | None, settings: Settings, data: PathLike | None) -> Config:
    """Return checked settings whose paths hold from the working folder."""
    loaded = load_config(path_or_none(config), sets_of(settings), checks=[config_checks])
    placed = loaded.anew(path_or_none(data))
    require_data(placed)
    require_trackers(placed)
    require_weights(placed)
    _require_one_process(placed)
    return placed


def _require_one_process(config: Config) -> None:
    """Raise where the command would start processes, which a function does not."""
    if place().world_size == 1 and config.train.devices not in (None, 1):
        raise ConfigError(
            f"train.devices {config.train.devices}: a function starts no processes",
            remedy="torchrun with your script, or `fusetrain train --devices`",
        )


def _checked(config: Config, allowed: Collection[str]) -> TrainingData:
    """Audit the splits that are trained on, and return them."""
    require_acceptable(allowed)
    spec = build.open_spec(config)
    report = audit(spec, only_splits=build.TRAINING_SPLITS, imgsz=config.train.imgsz)
    require_trainable(report, spec, allowed)
    return build.open_data(config, scans=report.scans)


def _to_nobody(text: str) -> None:
    """Take what nobody reads."""
