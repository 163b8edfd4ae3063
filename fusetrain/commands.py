"""The commands as Python functions: train, resume, tune, check_data, plot_lr, export_onnx.

    import fusetrain
    run = fusetrain.train("demo/train.yaml", {"train.epochs": 3})

They do what the commands of these names do, in this process, and print nothing: what a run has to
say goes to its reporter. `val`, `predict` and the detector itself are in `api.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusetrain import build, distributed
from fusetrain.build import TrainingData
from fusetrain.checks.acceptance import require_trainable
from fusetrain.checks.audit import (
    AS_USUAL,
    AuditOptions,
    AuditReport,
    audit,
    audit_path,
    require_acceptable,
)
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config
from fusetrain.errors import ConfigError
from fusetrain.export import onnx_file
from fusetrain.export.onnx_file import Exported
from fusetrain.launched import place
from fusetrain.results.lr_plot import save_lr_figure
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import config_checks, require_data, require_trackers, require_weights
from fusetrain.runs import artifacts, resuming, training
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.session import choose_machine
from fusetrain.schedule.plan import SchedulePlan

if TYPE_CHECKING:
    from fusetrain.tuning.report import SearchReport

PathLike = str | os.PathLike[str]
Settings = Mapping[str, Any]
NONE: Settings = {}


def train(
    config: PathLike,
    settings: Settings = NONE,
    *,
    data: PathLike | None = None,
    allow: Collection[str] = (),
    reporter: RunReporter | None = None,
) -> Path:
    """Train a detector in a new run folder, as `train` does; see README.md.

    Args:
        config: Training config.
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
    wanted = load_config(folder.config, _sets(settings), checks=[config_checks])
    require_trackers(wanted.config)
    _require_one_process(wanted.config)
    return resuming.resume(
        folder,
        wanted,
        accept_data_change=accept_data_change,
        accept_change=accept_change,
        reporter=reporter or RunReporter(),
    ).path


def check_data(
    data: PathLike, *, splits: Sequence[str] = (), options: AuditOptions = AS_USUAL
) -> AuditReport:
    """Validate the pairs of a data set, as `check-data` does; see docs/check-data.md.

    Args:
        data: Data YAML or folder.
        splits: Splits to look at; all when empty.
        options: What is measured and how it is judged.

    Raises:
        DataError: There is no data set, or no such split.
    """
    return audit_path(Path(data), only_splits=splits, options=options)


def plot_lr(
    config: PathLike,
    settings: Settings = NONE,
    *,
    steps_per_epoch: int | None = None,
    out: PathLike | None = None,
) -> SchedulePlan:
    """Return the learning rates of a config before training, as `plot-lr` does.

    Args:
        config: Training config; that of a run folder plans the run.
        settings: Dotted key to value, as ``--set`` has them.
        steps_per_epoch: Optimizer steps of an epoch; None counts the training pairs.
        out: PNG or SVG to draw; None draws nothing.

    Returns:
        The plan: ``plan.row(step)`` are the rates under ``plan.columns``.

    Raises:
        FusetrainError: Whatever a user can mend.
    """
    loaded = load_config(Path(config), _sets(settings), checks=[config_checks])
    plan = build.plan_from_config(loaded.placed(), steps_per_epoch=steps_per_epoch)
    if out is not None:
        save_lr_figure(artifacts.lr_chart(plan, [], name=Path(config).name), Path(out))
    return plan


def export_onnx(
    weights: PathLike, out: PathLike | None = None, *, dynamic: bool = False, nms: bool = True
) -> Exported:
    """Write a detector as an ONNX file that answers alike, as `export` does; see docs/export.md.

    Args:
        weights: Run folder or weights file.
        out: File to write; None puts it beside the weights.
        dynamic: Batch, height and width are free.
        nms: Put suppression into the file.

    Raises:
        FusetrainError: Whatever a user can mend.
    """
    target = None if out is None else Path(out)
    return onnx_file.export_onnx(Path(weights), target, is_dynamic=dynamic, with_nms=nms)


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
        _sets(settings),
        data=None if data is None else Path(data),
        space=None if space is None else Path(space),
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


def _loaded(config: PathLike, settings: Settings, data: PathLike | None) -> Config:
    """Return checked settings whose paths hold from the working folder."""
    loaded = load_config(Path(config), _sets(settings), checks=[config_checks])
    placed = loaded.placed(None if data is None else Path(data))
    require_data(placed)
    require_trackers(placed)
    require_weights(placed)
    _require_one_process(placed)
    return placed


def _sets(settings: Settings) -> tuple[str, ...]:
    """Return settings as ``--set`` has them; JSON is YAML, too."""
    return tuple(f"{key}={json.dumps(value)}" for key, value in settings.items())


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
