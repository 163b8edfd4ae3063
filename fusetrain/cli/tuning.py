"""The command `tune`: parse, call `fusetrain.tuning`, print what was found."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusetrain.cli.console import print_json, stdout_console, table, visible
from fusetrain.cli.ranks import say
from fusetrain.errors import UsageError

if TYPE_CHECKING:
    from fusetrain.tuning.report import SearchReport
    from fusetrain.tuning.space import Value


def tune(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="Training config.")],
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", help="Trials of the study in all.")
    ],
    space: Annotated[
        Path | None,
        typer.Option("--space", metavar="FILE", help="What to try; without it what is common."),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option("--study", metavar="FILE", help="Where to remember; PROJECT/tune.db if not."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; repeatable."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DATA", help="Data YAML or folder.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="CODE", help="Accept a finding of check-data; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Search for better settings; the same command goes on with a search that was stopped.

    Example: fusetrain tune --config demo/train.yaml --trials 20
    """
    if trials < 1:
        raise UsageError(f"--trials {trials}", expected="a whole number from 1")
    from fusetrain.tuning.wishes import wish_of

    wish, loaded = wish_of(config, tuple(sets or ()), data=data, space=space, note=_note)
    from fusetrain import build
    from fusetrain.cli.acceptance import checked_data
    from fusetrain.cli.live import ConsoleReporter
    from fusetrain.tuning.report import report_of
    from fusetrain.tuning.search import open_study, search

    settings = wish.config()
    opened = open_study(study or Path(settings.run.project) / "tune.db", wish, loaded)
    splits = checked_data(build.open_spec(settings), settings, allow or ())
    search(opened, wish, splits, wanted=trials, reporter=ConsoleReporter, say=say)
    report = report_of(opened)
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report, config)


def _note(text: str) -> None:
    say(f"note: {text}")


def _print_report(report: SearchReport, config: Path) -> None:
    """Print all trials, what mattered, and how to train with the best settings."""
    from fusetrain.tuning.wishes import described

    rows = [
        (
            trial.number,
            trial.state,
            "" if trial.score is None else f"{trial.score:.4f}",
            trial.epochs,
            trial.error or described(_rounded(trial.values)),
        )
        for trial in report.trials
    ]
    columns = ("trial", "state", "mAP50-95", "epochs", "settings")
    stdout_console().print(table(columns, rows, right=("trial", "mAP50-95", "epochs")))
    if report.importances:
        shares = [(name, f"{share:.0%}") for name, share in report.importances.items()]
        stdout_console().print(table(("setting", "share"), shares, right=("share",)))
    if report.picture is not None:
        say(f"picture: {report.picture}")
    if report.best is None:
        say("no trial is complete yet")
        return
    best = report.best
    stdout_console().print(
        visible(f"best: trial {best.number}, mAP50-95 {best.score:.4f}, {best.run}"),
        markup=False,
        soft_wrap=True,
    )
    sets = "".join(f" --set {described({key: value})}" for key, value in best.values.items())
    say(f"next: fusetrain train --config {shlex.quote(str(config))}{sets}")


def _rounded(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return settings as a table shows them."""
    return {
        key: float(f"{value:.4g}") if isinstance(value, float) else value
        for key, value in values.items()
    }
