"""The commands `train` and `resume`, and what they print while a run goes on.

With a terminal a bar shows the running epoch; with or without one, each epoch leaves one line.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusetrain.cli.console import progress, stderr_console, stdout_console, table, visible
from fusetrain.cli.long_progress import long_progress
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config
from fusetrain.errors import DataError, Problem
from fusetrain.requeue import own_run
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import config_checks, require_data, require_weights

if TYPE_CHECKING:
    from fusetrain.build import TrainingData
    from fusetrain.checks.audit import AuditReport
    from fusetrain.checks.findings import Finding
    from fusetrain.data.spec import DataSpec

MAX_RANGE_ROWS = 16


def train(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="Training config.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; repeatable."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DATA", help="Data YAML or folder.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run folder.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build all, run one batch, print the plan, stop.")
    ] = False,
    lr_find: Annotated[
        bool, typer.Option("--lr-find", help="Suggest lr0 by a short range test, and stop.")
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="CODE", help="Accept a finding of check-data; repeatable."),
    ] = None,
) -> None:
    """Train a detector on the pairs of a data set.

    Example: fusetrain train --config demo/train.yaml --set train.epochs=50
    """
    settings = _settings(config, sets or (), data=data, name=name)
    require_data(settings)
    if not (lr_find or dry_run) and (own := own_run(settings)):
        stderr_console().print(
            f"note: this job was restarted; it goes on with {visible(own.path)}",
            markup=False,
            soft_wrap=True,
        )
        resume(own.path)
        return
    require_weights(settings)
    from fusetrain import build

    spec = build.open_spec(settings)
    from fusetrain.cli.live import ConsoleReporter
    from fusetrain.session import choose_machine
    from fusetrain.training import train as train_in_new_folder

    choose_machine(settings)  # a device that is not there is told before all images are read
    report = _audited(spec, settings.train.imgsz, allowed=allow or ())
    _print_remarks(report)
    splits = build.open_data(settings, scans=report.scans)
    if lr_find:
        _print_suggestion(settings, splits)
        return
    if dry_run:
        from fusetrain.dry_run import measure_plan

        _print_plan(measure_plan(settings, splits))
        return
    run = train_in_new_folder(settings, splits, reporter=ConsoleReporter())
    _print_end(run.path)


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder or its last.pt.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change what may change; repeatable."),
    ] = None,
    accept_data_change: Annotated[
        bool, typer.Option("--accept-data-change", help="Go on although the data set changed.")
    ] = False,
    accept_change: Annotated[
        bool,
        typer.Option("--accept-change", help="Go on with settings that make it another training."),
    ] = False,
) -> None:
    """Continue a run exactly where it stopped, or extend a finished one.

    Example: fusetrain resume runs/fuse/exp --set train.epochs=200
    """
    folder = RunDir.open(run)
    wanted = load_config(folder.config, sets or (), checks=[config_checks])
    from fusetrain.cli.live import ConsoleReporter
    from fusetrain.resuming import resume as resume_run

    resume_run(
        folder,
        wanted,
        accept_data_change=accept_data_change,
        accept_change=accept_change,
        reporter=ConsoleReporter(),
    )
    _print_end(folder.path)


def _settings(path: Path, sets: Sequence[str], *, data: Path | None, name: str | None) -> Config:
    """Return the checked config with the data set and the run name of the command line."""
    extra = [] if name is None else [f"run.name={json.dumps(name, ensure_ascii=False)}"]
    return load_config(path, [*sets, *extra], checks=[config_checks]).placed(data)


def _audited(spec: DataSpec, imgsz: int, *, allowed: Sequence[str]) -> AuditReport:
    """Check the two splits that are trained on, and refuse what training would choke on."""
    from fusetrain.build import TRAINING_SPLITS
    from fusetrain.checks.audit import audit, require_acceptable

    require_acceptable(allowed)
    for line in (f"data: {spec.layout.sentence}", *spec.layout.notes):
        stderr_console().print(visible(line), markup=False, soft_wrap=True)
    with long_progress("checking", "measurements") as advance:
        report = audit(spec, only_splits=TRAINING_SPLITS, imgsz=imgsz, progress=advance)
    refusals = report.refusals(allowed)
    if refusals:
        errors = "1 error" if len(refusals) == 1 else f"{len(refusals)} errors"
        shown = shlex.quote(str(spec.path))
        raise DataError(
            f"training is refused: {errors} in the data set",
            where=str(spec.path),
            problems=[_problem(finding) for finding in refusals],
            remedy=f"`fusetrain check-data {shown}` lists all; --allow CODE accepts one kind",
        )
    return report


def _problem(finding: Finding) -> Problem:
    where = finding.path if finding.line is None else f"{finding.path}:{finding.line}"
    return Problem(f"{finding.code} {finding.message}", where=where)


def _print_remarks(report: AuditReport) -> None:
    """Print how many warnings there are, by code."""
    warned = {finding.code for finding in report.findings if finding.level in ("warn", "error")}
    if warned:
        counts = ", ".join(f"{code} x{report.counts[code]}" for code in sorted(warned))
        stderr_console().print(f"data: {counts} (see fusetrain check-data)", markup=False)


def _print_plan(rows: Sequence[tuple[str, str]]) -> None:
    stdout_console().print(table(("what", "as planned"), rows))


def _print_suggestion(settings: Config, splits: TrainingData) -> None:
    """Run the range test; print some of what it saw, its picture and the rate it suggests."""
    from fusetrain.lr_find import find_rate

    with progress("learning-rate range test") as advance:
        found, picture = find_rate(settings, splits, progress=advance)
    every = max(1, len(found.rates) // MAX_RANGE_ROWS)
    rows = [
        (f"{rate:.1e}", f"{loss:.3f}", "<- steepest fall" if rate == found.suggested else "")
        for place, (rate, loss) in enumerate(zip(found.rates, found.smoothed, strict=True))
        if place % every == 0 or rate == found.suggested
    ]
    stdout_console().print(table(("rate", "smoothed loss", ""), rows, right=("smoothed loss",)))
    suggestion = (
        "the loss does not fall clearly at any rate: look at data and labels first"
        if found.suggested is None
        else f"suggestion: --set optim.lr0={found.suggested:.1e}"
    )
    stdout_console().print(suggestion, markup=False)
    stderr_console().print(f"picture: {visible(picture)}", markup=False, soft_wrap=True)


def _print_end(run: Path) -> None:
    """Print where the run is, as it is reached from here, and what can be done with it."""
    here = Path.cwd()
    shown = run.relative_to(here) if run.is_relative_to(here) else run
    word = visible(shlex.quote(str(shown)))
    for line in (
        f"run folder: {visible(shown)}",
        f"next: fusetrain val {word}",
        f"      fusetrain plot-lr {word}",
    ):
        stderr_console().print(line, markup=False, soft_wrap=True)
