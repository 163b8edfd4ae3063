"""The commands about data sets: `demo` writes one, `check-data` validates one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusetrain.cli import check_flags
from fusetrain.cli.console import (
    print_json,
    stderr_console,
    stdout_console,
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
    data: check_flags.Data,
    split: check_flags.Split = None,
    max_shift: check_flags.MaxShift = 10.0,
    registration: check_flags.Registration = None,
    headers_only: check_flags.HeadersOnly = False,
    workers: check_flags.Workers = None,
    state: check_flags.State = None,
    shard: check_flags.Shard = None,
    out: check_flags.Out = None,
    merge: check_flags.Merge = None,
    strict: check_flags.Strict = False,
    as_json: check_flags.AsJson = False,
    html: check_flags.Html = None,
) -> None:
    """Validate the pairs, images and labels of a data set; nothing is ever written into it.

    Example: fusetrain check-data demo/data.yaml
    """
    from fusetrain.cli.checking import Request, run_audit, run_merge, run_shard

    request = Request(
        data, tuple(split or ()), workers, registration, max_shift, headers_only, state, html
    )
    request.check()
    if shard is not None and merge is not None:
        raise UsageError("--shard with --merge", expected="one of the two")
    if shard is not None:
        _print_shard(shard, *run_shard(request, shard, out=out), as_json=as_json)
        return
    if out is not None:
        raise UsageError("--out without --shard", expected="--shard I/N, whose file it names")
    if merge is None:
        report = run_audit(request, always_reports=as_json)
    else:
        report = run_merge(request, merge)
    if html is not None:
        from fusetrain.checks.page.html import write_html
        from fusetrain.cli.audit_view import print_page

        with stderr_console().status("drawing the pairs for the page"):
            write_html(report, html, workers=workers)
        print_page(html, stderr_console())
    if as_json:
        _print_json(report)
    else:
        _print_report(report)
    if report.verdict == "error" or (strict and report.verdict == "warn"):
        raise typer.Exit(DataError.exit_code)


def _print_shard(shard: str, file: Path, num_pairs: int, *, as_json: bool) -> None:
    """Print where the measurements of a part are."""
    if as_json:
        print_json({"shard": shard, "pairs": num_pairs, "file": str(file)})
        return
    for line in (
        f"{file}: shard {shard}, {num_pairs} pairs measured",
        "next: fusetrain check-data DATA --merge DIR, once the files of all shards are in DIR",
    ):
        stdout_console().print(visible(line), markup=False, soft_wrap=True)


def _print_json(report: AuditReport) -> None:
    from fusetrain.checks.report import to_json

    print_json(to_json(report))


def _print_report(report: AuditReport) -> None:
    """Print the findings by code, the verdict and what to do next."""
    from fusetrain.cli.audit_view import print_audit

    print_audit(report, stdout_console())
