"""The commands about data sets: `demo` writes one, `check-data` validates one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusetrain.cli.console import (
    print_json,
    progress,
    stderr_console,
    stdout_console,
    table,
    visible,
)
from fusetrain.errors import DataError, UsageError

if TYPE_CHECKING:
    from fusetrain.checks.audit import AuditReport


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder to write to.")],
    pairs: Annotated[int, typer.Option("--pairs", help="Number of pairs, train and val.")] = 240,
    seed: Annotated[int, typer.Option("--seed", help="Other seed, other scenes.")] = 0,
    defects: Annotated[
        bool, typer.Option("--defects", help="Plant one of each known defect (defects.json).")
    ] = False,
) -> None:
    """Write a small synthetic RGB-IR data set with labels, data.yaml and train.yaml.

    Example: fusetrain demo demo --pairs 240
    """
    from fusetrain.data.demo import write_demo

    summary = write_demo(folder, num_pairs=pairs, seed=seed, with_defects=defects)
    command = f"fusetrain train --config {shlex.quote(str(folder / 'train.yaml'))}"
    for line in (f"{folder}: {summary}", f"next: {command}"):
        stderr_console().print(visible(line), markup=False, soft_wrap=True)


def check_data(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data YAML or data-set folder.")],
    split: Annotated[
        list[str] | None, typer.Option("--split", help="Split to check; repeatable.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; one a core if not given.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 on warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Validate the pairs, images and labels of a data set; nothing is written.

    Example: fusetrain check-data demo/data.yaml
    """
    from fusetrain.checks.audit import audit_path
    from fusetrain.checks.report import to_json

    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}", expected="a whole number from 1")
    with progress("checking pairs") as advance:
        report = audit_path(data, only_splits=split or (), workers=workers, progress=advance)
    if as_json:
        print_json(to_json(report))
    else:
        _print_report(report)
    if report.verdict == "error" or (strict and report.verdict == "warn"):
        raise typer.Exit(DataError.exit_code)


def _print_report(report: AuditReport) -> None:
    """Print the codes with their counts, the first places of each, and the verdict."""
    from fusetrain.checks.report import code_rows, example_lines, verdict_line

    console = stdout_console()
    if report.findings:
        columns = ("level", "code", "count", "meaning")
        console.print(table(columns, code_rows(report), right=("count",)))
        console.print(table(("code", "first places"), example_lines(report)))
    console.print(verdict_line(report), markup=False)
