"""How an audit looks in a terminal: findings by code, their counts, the verdict, what to do next.

The verdict stands last, where the eye is when the command ends. Without a terminal no line is
broken, so that `grep` finds a file and its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, ConsoleRenderable
from rich.padding import Padding
from rich.text import Text

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.findings import Finding
from fusetrain.checks.report import (
    FindingGroup,
    grouped,
    pictures_line,
    place,
    training_lines,
    untold_numbers,
    verdict_line,
)
from fusetrain.cli.console import table, visible

MAX_EXAMPLES = 4
INDENT = 2
STYLES = {"error": "bold red", "warn": "yellow", "info": "cyan", "ok": "green"}


def print_audit(report: AuditReport, console: Console) -> None:
    """Print the first findings of each code, a table of the codes, the verdict and what is next."""
    groups = grouped(report)
    for group in groups:
        _print_line(console, _heading(group))
        for line in _example_lines(group):
            _print_line(console, line, indent=INDENT)
        console.print()
    if groups:
        console.print(_counts(groups))
    verdict, rest = verdict_line(report).split(":", maxsplit=1)
    _print_line(console, Text.assemble((verdict, STYLES[verdict]), ":", visible(rest)))
    for sentence in training_lines(report) or [pictures_line(report)] * bool(groups):
        _print_line(console, Text(visible(sentence)))


def print_page(path: Path, console: Console) -> None:
    """Print where the page with the pictures is, and how large."""
    size = path.stat().st_size
    shown = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
    line = f"page: {path} ({shown})"
    console.print(Text(visible(line)), soft_wrap=True)


def _heading(group: FindingGroup) -> Text:
    return Text.assemble(
        (f"{group.level} {group.code}", STYLES[group.level]),
        f" ({len(group.findings)}): {visible(group.meaning)}",
    )


def _example_lines(group: FindingGroup) -> Iterator[Text]:
    """Yield the first findings of a group, how many more there are, and the remedy."""
    for entry in group.findings[:MAX_EXAMPLES]:
        yield _example(entry)
    if len(group.findings) > MAX_EXAMPLES:
        yield Text(f"… and {len(group.findings) - MAX_EXAMPLES} more (all with --json)", "dim")
    yield Text.assemble(("next: ", "bold"), visible(group.remedy))


def _example(entry: Finding) -> Text:
    numbers = untold_numbers(entry)
    return Text.assemble(
        (visible(place(entry)), "bold"),
        f": {visible(entry.message)}",
        (f" ({visible(numbers)})" if numbers else "", "dim"),
    )


def _counts(groups: Sequence[FindingGroup]) -> ConsoleRenderable:
    rows = [
        (
            Text(group.level, STYLES[group.level]),
            group.code,
            len(group.findings),
            group.meaning,
        )
        for group in groups
    ]
    return table(("level", "code", "count", "meaning"), rows, right=("count",))


def _print_line(console: Console, line: Text, *, indent: int = 0) -> None:
    """Print one paragraph; on a terminal it is wrapped with its indent, elsewhere left whole."""
    if console.is_terminal:
        line.overflow = "fold"
        console.print(Padding(line, (0, 0, 0, indent), expand=False))
    else:
        console.print(Text.assemble(" " * indent, line), soft_wrap=True)
