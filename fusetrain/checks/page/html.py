"""One HTML file that shows an audit: what was found, how the set looks, the flagged pairs.

The file needs no network and no script, so that it can be mailed or kept beside a run, and equal
audits give equal files. What is found is decided elsewhere; nothing is written into the data set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.flow.pool import default_workers, run_contained
from fusetrain.checks.page.charts import charts
from fusetrain.checks.page.findings import Card, code_sections, counts_table, level_badge
from fusetrain.checks.page.flagged import chosen, draw_tasks, flagged_pairs
from fusetrain.checks.page.pictures import crashed_drawing, draw_pair
from fusetrain.checks.report import training_lines, verdict_line
from fusetrain.errors import DataError
from fusetrain.results.page.document import require_page_name, require_page_place, write_page
from fusetrain.results.page.markup import escaped
from fusetrain.results.pictures import colour_of

MAX_PAIRS = 300
MAX_CLASSES = 24


def write_html(report: AuditReport, path: Path, *, workers: int | None = None) -> None:
    """Write the report as one file, whole or not at all.

    Of very many flagged pairs MAX_PAIRS get thumbnails, dealt evenly to the codes; the page says
    how many it leaves out.

    Args:
        report: What an audit found.
        path: File to write; one that is there is replaced.
        workers: Child processes that draw thumbnails; one a core when None.

    Raises:
        UsageError: The name does not end in .html.
        DataError: The path lies inside the data set.
        ResourceError: The file cannot be written.
    """
    require_html_path(path, roots=data_roots(report))
    pairs = flagged_pairs(report)
    shown = chosen(pairs, MAX_PAIRS)
    drawn = run_contained(
        draw_pair,
        draw_tasks(shown, report),
        crashed=crashed_drawing,
        workers=workers or default_workers(),
    )
    cards = [
        Card(f"pair-{number}", pair, thumbnails)
        for number, (pair, thumbnails) in enumerate(zip(shown, drawn, strict=True))
    ]
    body = "\n".join(_body(report, cards, num_flagged=len(pairs)))
    write_page(path, title=f"Data check: {_name(report)}", body=body, flag="--html")


def require_html_path(path: Path, *, roots: Sequence[Path]) -> None:
    """Refuse a place for the page before anything is checked.

    Args:
        path: File to write.
        roots: Folders of the data set.

    Raises:
        UsageError: The name does not end in .html, or is that of a folder.
        DataError: The path lies inside the data set.
        ResourceError: Nothing can be written there.
    """
    require_page_name(path, flag="--html")
    place = os.path.realpath(path)
    for root in roots:
        inside = os.path.realpath(root)
        if os.path.commonpath([inside, place]) == inside:
            raise DataError(
                f"the report {path} would lie inside the data set, where nothing is ever written",
                where=str(root),
                remedy=f"choose another folder, such as --html {Path(inside).name}-check.html "
                "beside it",
            )
    require_page_place(path, flag="--html")


def data_roots(report: AuditReport) -> list[Path]:
    """Return the folders that belong to the data set of a report; of a broken YAML its own."""
    roots = {Path(scan.index.root) for scan in report.scans.values()}
    if not roots and report.path is not None:
        roots = {report.path if report.path.is_dir() else report.path.parent}
    return sorted(roots)


def _body(report: AuditReport, cards: Sequence[Card], *, num_flagged: int) -> Iterator[str]:
    yield f"<header><h1>Data check: {_name(report)}</h1>"
    level, rest = verdict_line(report).split(":", maxsplit=1)
    yield f'<p class="verdict {level}">{level_badge(level)}<span>:{escaped(rest)}</span></p>'
    yield from (f"<p>{escaped(line)}</p>" for line in training_lines(report))
    yield f"<dl>{''.join(_facts(report))}</dl></header>"
    yield counts_table(report)
    drawn = list(charts(report))
    if drawn:
        yield '<h2 id="charts">How the set looks</h2><div class="charts">'
        for chart in drawn:
            note = f'<p class="soft">{escaped(chart.note)}</p>' if chart.note else ""
            head = f"<h3>{escaped(chart.title)}</h3>"
            yield f'<section class="chart">{head}{chart.svg}{note}</section>'
        yield "</div>"
    yield from code_sections(report, cards)
    note = _thumbnail_note(len(cards), num_flagged)
    if note:
        yield f'<footer class="soft"><p>{escaped(note)}</p></footer>'


def _facts(report: AuditReport) -> Iterator[str]:
    """Yield what was checked, as terms and descriptions."""
    pairs = ", ".join(f"{name} {count}" for name, count in report.num_pairs.items())
    for term, text in (
        ("data", str(report.path) if report.path else ""),
        ("recognised as", report.layout),
        *(("note", note) for note in report.notes),
        ("pairs", pairs or "none"),
    ):
        if text:
            yield f"<dt>{term}</dt><dd>{escaped(text)}</dd>"
    for scan in list(report.scans.values())[:1]:
        names = scan.index.class_names
        chips = [_class_chip(number, name) for number, name in enumerate(names[:MAX_CLASSES])]
        more = f" and {len(names) - MAX_CLASSES} more" if len(names) > MAX_CLASSES else ""
        yield f"<dt>classes</dt><dd>{' '.join(chips)}{more}</dd>"


def _class_chip(number: int, name: str) -> str:
    """Return a class with the colour that its boxes have in the pictures."""
    red, green, blue = colour_of(number)
    return (
        f'<span class="class"><span class="chip" style="background:rgb({red},{green},{blue})">'
        f"</span>{escaped(name)}</span>"
    )


def _thumbnail_note(num_shown: int, num_flagged: int) -> str:
    if num_shown == num_flagged:
        return f"Thumbnails of all {num_flagged} flagged pairs." if num_flagged else ""
    return (
        f"Thumbnails of {num_shown} of {num_flagged} flagged pairs, dealt evenly to the codes; "
        "the others stand as rows."
    )


def _name(report: AuditReport) -> str:
    if report.path is None:
        return "data set"
    path = Path(os.path.abspath(report.path))
    return escaped(f"{path.parent.name}/{path.name}" if path.suffix else path.name)
