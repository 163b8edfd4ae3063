"""Which curves a page of runs gets: scores, losses and rates over the epochs.

One run shows training beside validation; of several each has one line a chart, in a look of its
own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fusetrain.reporting.records import RunRecord
from fusetrain.results.history import BEST_COLUMN
from fusetrain.results.page.svg_lines import Line, lines

LOSSES = {"box loss": "box_loss", "class loss": "cls_loss", "distribution loss": "dfl_loss"}
SCORES = {
    "mAP50-95": BEST_COLUMN,
    "mAP50": "metrics/mAP50(B)",
    "precision": "metrics/precision(B)",
    "recall": "metrics/recall(B)",
}


def charts(runs: Sequence[RunRecord], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield title and SVG of each chart that has a point."""
    found = _of_one(runs[0]) if len(runs) == 1 else _of_several(runs, names)
    for title, drawn in found:
        svg = lines(drawn, x="epoch", y="", title=title)
        if svg:
            yield title, svg


def _of_one(run: RunRecord) -> Iterator[tuple[str, list[Line]]]:
    yield (
        "mean average precision",
        [_line(run, BEST_COLUMN, "IoU 0.5:0.95"), _line(run, SCORES["mAP50"], "IoU 0.5", look=1)],
    )
    yield (
        "precision and recall at the best F1",
        [
            _line(run, SCORES["precision"], "precision"),
            _line(run, SCORES["recall"], "recall", look=1),
        ],
    )
    for title, column in LOSSES.items():
        train, val = _line(run, f"train/{column}", "train"), _line(run, f"val/{column}", "val", 1)
        yield title, [train, val]
    yield "learning rate lr0", [_line(run, "lr0", "")]


def _of_several(
    runs: Sequence[RunRecord], names: Sequence[str]
) -> Iterator[tuple[str, list[Line]]]:
    columns = SCORES | {"learning rate lr0": "lr0"}
    for title, column in LOSSES.items():
        columns |= {f"{title}, train": f"train/{column}", f"{title}, val": f"val/{column}"}
    for title, column in columns.items():
        # The names stand beside the charts: there may be many, and long ones.
        yield title, [_line(run, column, "", number) for number, run in enumerate(runs)]


def _line(run: RunRecord, column: str, name: str, look: int = 0) -> Line:
    points = [
        (float(row["epoch"] or 0), float(value))
        for row in run.history
        if (value := row[column]) is not None
    ]
    best = run.best
    mark = None
    if column == BEST_COLUMN and best is not None:
        mark = (float(best["epoch"] or 0), float(best[column] or 0.0))
    return Line(name, points, look, mark)
