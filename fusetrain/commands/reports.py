"""Looking back and ahead from Python: schedules, reports, comparisons, diagnoses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusetrain import build
from fusetrain.commands.given import NONE, PathLike, Settings, sets_of
from fusetrain.config.load import load_config
from fusetrain.diagnose.examine import Examination, examine_config, examine_run
from fusetrain.reporting.comparing import json_of
from fusetrain.reporting.page import write_report
from fusetrain.reporting.records import read_run
from fusetrain.results.lr_plot import save_lr_figure
from fusetrain.results.page.document import require_page_name
from fusetrain.rules import config_checks
from fusetrain.runs import artifacts
from fusetrain.schedule.plan import SchedulePlan


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
    loaded = load_config(Path(config), sets_of(settings), checks=[config_checks])
    plan = build.plan_from_config(loaded.placed(), steps_per_epoch=steps_per_epoch)
    if out is not None:
        save_lr_figure(artifacts.lr_chart(plan, [], name=Path(config).name), Path(out))
    return plan


def report(runs: PathLike | Sequence[PathLike], out: PathLike) -> Path:
    """Write one page of HTML about runs, as `report` does; see docs/report.md.

    Args:
        runs: A run folder, or several that stand side by side.
        out: File to write; its name ends in .html.

    Raises:
        UsageError: The name does not end in .html.
        RunError: One is no run folder.
        ResourceError: The file cannot be written.
    """
    target = Path(out)
    require_page_name(target, flag="out")
    several = [runs] if isinstance(runs, str | os.PathLike) else runs
    write_report([read_run(Path(run)) for run in several], target)
    return target


def compare(runs: Sequence[PathLike]) -> dict[str, Any]:
    """Return runs side by side, as `compare --json` does: best epoch, scores, settings that differ.

    Raises:
        RunError: One is no run folder.
    """
    return json_of([read_run(Path(run)) for run in runs])


def diagnose_run(run: PathLike) -> Examination:
    """Say why a run does not learn or is slow, as `diagnose RUN` does; see docs/diagnose.md.

    Raises:
        RunError: It is no run folder.
    """
    return examine_run(Path(run))


def diagnose_config(config: PathLike, settings: Settings = NONE) -> Examination:
    """Say what is wrong with a config before training, as `diagnose --config` does.

    Raises:
        ConfigError: It is no config.
    """
    return examine_config(Path(config), sets_of(settings))
