"""Runs as one page of HTML: what came out, curves, classes, worst pairs, data, environment.

The file needs no network and no script, and stays below MAX_BYTES: pictures that would not fit are
left out, and the page says so. Equal runs give equal files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fusetrain.checks.findings import CODES
from fusetrain.reporting.comparing import (
    Comparison,
    differing_settings,
    labels_of,
    outcome,
    setting_text,
    trained_on,
)
from fusetrain.reporting.curves import charts
from fusetrain.reporting.pictures import Budget, gallery, run_figures
from fusetrain.reporting.records import RunRecord
from fusetrain.results.page.document import write_page
from fusetrain.results.page.markup import escaped
from fusetrain.results.page.svg_axes import DASHES, NUM_LOOKS

MAX_BYTES = 3_000_000
MAX_CLASSES = 100
STATUS_LEVELS = {"finished": "ok", "stopped early": "ok", "stopped": "warn"}
SOURCE = {"rgb": "RGB alone", "ir": "IR alone", "fused": "both, fused"}


def write_report(runs: Sequence[RunRecord], path: Path) -> None:
    """Write the page of one run or more, whole or not at all.

    Args:
        runs: At least one.
        path: File to write; one that is there is replaced.

    Raises:
        ResourceError: The file cannot be written.
    """
    names = labels_of(runs)
    title = f"Run {names[0]}" if len(runs) == 1 else f"{len(runs)} runs: {', '.join(names)}"
    first, second = "\n".join(_numbers(runs, names)), "\n".join(_ground(runs, names))
    room = Budget.beside(len(first.encode()) + len(second.encode()), MAX_BYTES, runs=len(runs))
    shown = "\n".join(
        _pictures(run, name, room.share(), is_alone=len(runs) == 1)
        for run, name in zip(runs, names, strict=True)
    )
    head = f"<header><h1>{escaped(title)}</h1>{''.join(_verdicts(runs, names))}</header>"
    write_page(
        path, title=escaped(title), body="\n".join((head, first, shown, second)), flag="--out"
    )


def _verdicts(runs: Sequence[RunRecord], names: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each run: how it stands and what it reached."""
    for run, name in zip(runs, names, strict=True):
        level = STATUS_LEVELS.get(run.status, "info")
        best = run.best
        said = "no epoch was validated yet"
        if best is not None:
            said = (
                f"mAP50-95 {best['metrics/mAP50-95(B)']:.3f}, mAP50 "
                f"{best['metrics/mAP50(B)'] or 0.0:.3f} at epoch {best['epoch']:g}"
            )
        who = f"{escaped(name)}: " if len(runs) > 1 else ""
        yield (
            f'<p class="verdict {level}">{who}<b class="badge">{escaped(run.status)}</b>'
            f"<span>: {escaped(said)}</span></p>"
        )


def _numbers(runs: Sequence[RunRecord], names: Sequence[str]) -> Iterator[str]:
    """Yield tables and curves."""
    yield '<h2 id="outcome">What came out</h2>'
    yield comparison_table(outcome(runs), names)
    if len(runs) > 1:
        yield '<h2 id="differences">Settings that differ</h2>'
        rows = differing_settings(runs)
        yield comparison_table(rows, names) if rows else "<p>All settings are equal.</p>"
    yield '<h2 id="training">What was trained on what</h2>'
    yield comparison_table(trained_on(runs), names)
    yield from _gains(runs, names)
    drawn = list(charts(runs, names))
    if drawn:
        yield '<h2 id="curves">Curves</h2>'
        if len(runs) > 1:
            yield f"<p>{''.join(_key(number, name) for number, name in enumerate(names))}</p>"
        yield '<p class="soft">A diamond marks the best epoch, whose weights are kept.</p>'
        yield '<div class="charts">'
        for title, svg in drawn:
            yield f'<section class="chart"><h3>{escaped(title)}</h3>{svg}</section>'
        yield "</div>"
    for run, name in zip(runs, names, strict=True):
        yield from _classes(run, name, is_alone=len(runs) == 1)


def _ground(runs: Sequence[RunRecord], names: Sequence[str]) -> Iterator[str]:
    """Yield what the runs stand on: data findings, environment, all settings."""
    yield '<h2 id="data">What the data check said</h2>'
    for run, name in zip(runs, names, strict=True):
        yield from _findings(run, name, is_alone=len(runs) == 1)
    yield '<h2 id="environment">Environment</h2>'
    yield comparison_table(_environment(runs), names)
    yield '<h2 id="settings">All settings</h2>'
    for run, name in zip(runs, names, strict=True):
        rows = "".join(
            f'<tr><th scope="row">{escaped(key)}</th><td>{escaped(setting_text(value))}</td></tr>'
            for key, value in run.settings.items()
        )
        yield (
            f"<details><summary>{escaped(name)}: {len(run.settings)} settings</summary>"
            f"<table><tbody>{rows}</tbody></table></details>"
        )


def comparison_table(rows: Sequence[Comparison], names: Sequence[str]) -> str:
    """Return rows with a column for each run; the best of a row is marked by a star."""
    heads = "".join(f'<th scope="col">{escaped(name)}</th>' for name in names)
    head = f"<thead><tr><td></td>{heads}</tr></thead>" if len(names) > 1 else ""
    body = "".join(
        f'<tr><th scope="row">{escaped(row.label)}</th>'
        + "".join(
            f"<td>{escaped(cell)}{' <b>★</b>' if number in row.best else ''}</td>"
            for number, cell in enumerate(row.cells)
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="table"><table>'
        f"{head}<tbody>{body}</tbody></table></div>"
    )


def _key(number: int, name: str) -> str:
    look = number % NUM_LOOKS
    dashes = f' stroke-dasharray="{DASHES[look]}"' if DASHES[look] else ""
    return (
        f'<span class="key"><svg class="swatch" viewBox="0 0 30 8" aria-hidden="true">'
        f'<path class="l{look}" d="M1 4h28"{dashes}/></svg> {escaped(name)}</span> '
    )


def _gains(runs: Sequence[RunRecord], names: Sequence[str]) -> Iterator[str]:
    """Yield what fusion gained over the best single modality, for runs that know it."""
    known = [(run, name) for run, name in zip(runs, names, strict=True) if run.gain is not None]
    if known:
        yield '<h2 id="gain">What fusion gains</h2>'
    for run, name in known:
        assert run.gain is not None
        scores, gain = run.gain["scores"], run.gain["gain"]
        rows = [
            Comparison(SOURCE[kind], [_score(scores.get(kind, {}), key) for key in gain])
            for kind in SOURCE
        ]
        rows.append(Comparison("gain over the better one alone", [f"{gain[k]:+.3f}" for k in gain]))
        columns = [{"map50": "mAP50", "map50_95": "mAP50-95"}.get(key, key) for key in gain]
        yield f"<h3>{escaped(name)}</h3>{comparison_table(rows, columns)}"


def _score(scores: dict[str, float], key: str) -> str:
    value = scores.get(key)
    return "-" if value is None else f"{value:.3f}"


def _classes(run: RunRecord, name: str, *, is_alone: bool) -> Iterator[str]:
    """Yield the scores of the best weights, class by class."""
    classes = run.judged.get("classes")
    if not isinstance(classes, list) or not classes:
        return
    whose = "" if is_alone else f" of {escaped(name)}"
    yield f"<h2>Class by class{whose}</h2>"
    columns = ("boxes", "AP50-95", "AP50", "precision", "recall")
    keys = ("num_truth", "ap50_95", "ap50", "precision", "recall")
    rows = [
        Comparison(str(entry.get("name", "")), [_cell(entry.get(key)) for key in keys])
        for entry in classes[:MAX_CLASSES]
    ]
    yield f'<div class="scores">{comparison_table(rows, columns)}</div>'
    if len(classes) > MAX_CLASSES:
        yield f'<p class="soft">{MAX_CLASSES} of {len(classes)} classes.</p>'


def _cell(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.3f}" if isinstance(value, float) else "-"


def _pictures(run: RunRecord, name: str, budget: Budget, *, is_alone: bool) -> str:
    """Return worst pairs and figures of a run, as far as they fit."""
    whose = "" if is_alone else f" of {escaped(name)}"
    worst = gallery(run.path, budget)
    parts = [f"<h2>Worst pairs{whose}</h2>{worst}"] if worst else []
    figures = run_figures(run.path, budget)
    if figures:
        parts.append(f"<h2>Figures{whose}</h2>{figures}")
    if budget.left_out:
        parts.append(
            f'<p class="soft">{budget.left_out} pictures are left out to keep the page small; '
            f"they are in <code>{escaped(run.path)}</code>.</p>"
        )
    return "".join(parts)


def _findings(run: RunRecord, name: str, *, is_alone: bool) -> Iterator[str]:
    if not is_alone:
        yield f"<h3>{escaped(name)}</h3>"
    if run.findings is None:
        yield "<p>Nothing is written down; <code>fusetrain check-data</code> tells.</p>"
    elif not run.findings:
        yield "<p>Nothing was found.</p>"
    else:
        rows = [
            Comparison(code, [CODES[code].level, str(count), CODES[code].meaning])
            for code, count in sorted(run.findings.items())
            if code in CODES
        ]
        yield comparison_table(rows, ("level", "count", "meaning"))


def _environment(runs: Sequence[RunRecord]) -> list[Comparison]:
    """Return what the runs ran on, as their last starts said."""
    told = [{**run.start.get("surroundings", {}), **run.start} for run in runs]
    keys = ("machine", "fusetrain", "torch", "numpy", "pillow", "python", "cpu")
    rows = [Comparison(key, [str(one.get(key, "-")) for one in told]) for key in keys]
    rows.append(Comparison("starts", [str(run.starts) for run in runs]))
    return [row for row in rows if set(row.cells) != {"-"}]
