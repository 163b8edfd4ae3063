"""The commands `report` and `compare`: runs as a page of HTML, or side by side in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusetrain.cli.console import print_json, print_table, stderr_console, stdout_console, visible
from fusetrain.errors import UsageError

if TYPE_CHECKING:
    from fusetrain.reporting.comparing import Comparison

LABEL_COLUMNS = 24
RUN_COLUMNS = 14
REPORT = "report.html"

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Run folders, or their last.pt.")
]


def report(
    runs: Runs,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="HTML file to write; without it report.html, in the folder of a single run.",
        ),
    ] = None,
) -> None:
    """Write one page about a run, or about several side by side; it needs no network.

    Example: fusetrain report runs/fuse/latest --out report.html
    """
    from fusetrain.reporting.page import write_report
    from fusetrain.reporting.records import read_run
    from fusetrain.results.page.document import require_page_name, require_page_place

    if out is not None:
        require_page_name(out, flag="--out")
        require_page_place(out, flag="--out")
    records = [read_run(path) for path in runs]
    place = out or (records[0].path / REPORT if len(records) == 1 else Path(REPORT))
    write_report(records, place)
    stderr_console().print(f"wrote {visible(place)}", markup=False, soft_wrap=True)


def compare(
    runs: Runs,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Set runs side by side: settings that differ, best epoch, scores, gain, time.

    Example: fusetrain compare runs/fuse/exp runs/fuse/exp2
    """
    from fusetrain.reporting import comparing
    from fusetrain.reporting.records import read_run

    if len(runs) < 2:
        raise UsageError(
            "one run has nothing to be compared with",
            expected="two run folders or more",
            remedy="`fusetrain report RUN` shows one",
        )
    records = [read_run(path) for path in runs]
    if as_json:
        print_json(comparing.json_of(records))
        return
    names = comparing.labels_of(records)
    _print_rows("what came out", names, comparing.outcome(records))
    settings = comparing.differing_settings(records)
    _print_rows("settings that differ", names, settings)
    if not settings:
        stdout_console().print("all settings are equal")
    stdout_console().print("* highest of the runs", style="dim")


def _print_rows(title: str, names: Sequence[str], rows: Sequence[Comparison]) -> None:
    """Print rows with a column for each run; runs that do not fit stand in a table below."""
    if not rows:
        return
    cells = [
        (row.label, *(cell + (" *" if n in row.best else "") for n, cell in enumerate(row.cells)))
        for row in rows
    ]
    widths = (LABEL_COLUMNS, *[RUN_COLUMNS] * len(names))
    print_table(("", *names), cells, title=title, widths=widths)
