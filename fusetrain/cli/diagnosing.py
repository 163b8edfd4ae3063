"""The command `diagnose`: why a run does not learn or is slow, told with evidence and remedy."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusetrain.cli.console import print_json, stderr_console, stdout_console, visible
from fusetrain.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from fusetrain.diagnose.examine import Examination
    from fusetrain.diagnose.symptoms import Diagnosis

INDENT = "   "


def diagnose(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="Run folder or its last.pt.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Config, before training.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; with --config."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say why a run does not learn or is slow: evidence, cause, remedy. Exit code 0 in any case.

    Example: fusetrain diagnose runs/fuse/exp
    """
    if (run is None) == (config is None):
        raise UsageError("nothing, or two things, to diagnose", expected="RUN, or --config FILE")
    if sets and config is None:
        raise UsageError("--set with RUN", expected="--set with --config FILE")
    from fusetrain.cli.console import progress
    from fusetrain.diagnose.data_look import look_at
    from fusetrain.diagnose.examine import examine_config, examine_run

    with progress("looking at the pairs") as advance:
        look = partial(look_at, progress=advance)
        if config is not None:
            found = examine_config(config, sets or (), look=look)
        else:
            assert run is not None
            found = examine_run(run, look=look)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)


def _print(found: Examination) -> None:
    """Print each finding with its evidence, cause and remedy, then what was looked at."""
    console = stdout_console()
    for number, item in enumerate(found.findings, start=1):
        _print_finding(console, number, item)
    if not found.findings:
        console.print("nothing found", markup=False)
    for line in (f"looked at {', '.join(found.looked_at)}", *found.unseen):
        stderr_console().print(visible(line), markup=False, soft_wrap=True)


def _print_finding(console: Console, number: int, item: Diagnosis) -> None:
    from rich.padding import Padding
    from rich.text import Text

    symptom = item.symptom
    console.print(f"{number}. {item.code}: {symptom.meaning}", markup=False)
    for label, text in (
        ("evidence", item.evidence),
        ("cause", symptom.cause),
        ("remedy", item.remedy),
    ):
        line = Text(visible(f"{label}: {text}"))
        if label == "remedy":  # a command is copied, so that only the terminal may break it
            console.print(Text.assemble(INDENT, line), soft_wrap=True)
        else:
            console.print(Padding(line, (0, 0, 0, len(INDENT)), expand=False))
