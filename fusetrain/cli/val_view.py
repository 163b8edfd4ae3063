"""What `val` shows: tables for people, one JSON object for scripts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from fusetrain.cli.console import print_table, stdout_console
from fusetrain.results.metrics import CONFIDENCES, RECALL_LEVELS
from fusetrain.results.miss_rate import REASONABLE_HEIGHT_PX, REFERENCE_FPPI
from fusetrain.results.score_rows import ScoreRow

if TYPE_CHECKING:
    from fusetrain.inference.judging import Judgement
    from fusetrain.results.miss_rate import MissRates

COLUMNS = ("class", "boxes", "precision", "recall", "mAP50", "mAP50-95", "MR^-2")
ROW_COLUMNS = ("pairs", "boxes", "precision", "recall", "mAP50", "mAP50-95", "MR^-2")
# Every so many-th of the 1000 confidence levels is told in JSON.
CURVE_STEP = 9
DIGITS = 6


def print_judgement(judgement: Judgement, *, split: str, partner: str = "") -> None:
    """Print the tables on stdout."""
    console = stdout_console()
    rates, reasonable = _both_rates(judgement)
    print_table(COLUMNS, list(_rows(judgement, rates)), right=COLUMNS[1:])
    for title, first, rows in (
        ("infrared or visible worse than it is", "pairs shown", judgement.conditions),
        ("part by part", "part", tuple(row for _, row in judgement.parts)),
    ):
        if rows:
            cells = [_cells(row) for row in rows]
            print_table((first, *ROW_COLUMNS), cells, title=title, right=ROW_COLUMNS)
    metrics = judgement.result.metrics
    lines = [
        f"{split}: {len(judgement.index)} pairs; precision and recall at confidence "
        f"{metrics.best_confidence:.3f}, IoU 0.5",
        f"MR^-2: log-average miss rate, lower is better; of boxes at least "
        f"{REASONABLE_HEIGHT_PX[0]:g} px high {_number(reasonable.mean)}",
    ]
    if partner:
        lines.append(f"joined by probability with the detections of {partner}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def judgement_json(judgement: Judgement, *, split: str, partner: str = "") -> dict[str, Any]:
    """Return what `--json` prints."""
    result, info = judgement.result, judgement.info
    metrics, per_class = result.metrics, result.metrics.per_class
    rates, reasonable = _both_rates(judgement)
    document = {
        "split": split,
        "pairs": len(judgement.index),
        "notes": list(judgement.notes),
        "metrics": {
            "precision": metrics.precision,
            "recall": metrics.recall,
            "mAP50": metrics.map50,
            "mAP50-95": metrics.map50_95,
            "confidence": metrics.best_confidence,
            "MR-2": rates.mean,
            "MR-2-reasonable": reasonable.mean,
        },
        "losses": dict(zip(("box", "cls", "dfl"), result.losses, strict=True)),
        "classes": [
            {
                "name": name,
                "boxes": per_class.num_truth[number],
                "precision": per_class.precision[number],
                "recall": per_class.recall[number],
                "AP50": per_class.ap50[number],
                "AP50-95": per_class.ap50_95[number],
                "MR-2": rates.log_average[number],
                "MR-2-reasonable": reasonable.log_average[number],
            }
            for number, name in enumerate(info.class_names)
        ],
        "conditions": [_row_json(row) for row in judgement.conditions],
        "parts": [{"by": part, **_row_json(row)} for part, row in judgement.parts],
        "confusion": _confusion(judgement),
        "curves": _curves(judgement, rates),
    }
    return document | ({"with": partner} if partner else {})


def _rows(judgement: Judgement, rates: MissRates) -> Iterator[tuple[object, ...]]:
    metrics, per_class = judgement.result.metrics, judgement.result.metrics.per_class
    whole = (metrics.precision, metrics.recall, metrics.map50, metrics.map50_95, rates.mean)
    yield ("all", int(per_class.num_truth.sum()), *map(_number, whole))
    for number, name in enumerate(judgement.info.class_names):
        values = (
            per_class.precision[number],
            per_class.recall[number],
            per_class.ap50[number],
            per_class.ap50_95[number],
            rates.log_average[number],
        )
        yield (name, int(per_class.num_truth[number]), *map(_number, values))


def _cells(row: ScoreRow) -> tuple[object, ...]:
    scores = (row.precision, row.recall, row.map50, row.map50_95, row.miss_rate)
    return (row.name, row.pairs, row.boxes, *map(_number, scores))


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _row_json(row: ScoreRow) -> dict[str, Any]:
    names = {"map50": "mAP50", "map50_95": "mAP50-95", "miss_rate": "MR-2"}
    return {names.get(key, key): value for key, value in asdict(row).items()}


def _both_rates(judgement: Judgement) -> tuple[MissRates, MissRates]:
    """Return the miss rates of all boxes, and of those that are high enough."""
    return judgement.miss_rates(), judgement.miss_rates(height_range_px=REASONABLE_HEIGHT_PX)


def _confusion(judgement: Judgement) -> dict[str, Any]:
    """Return the confusion matrix; row true, column found."""
    return {
        "confidence": judgement.result.metrics.best_confidence,
        "names": [*judgement.info.class_names, "background"],
        "counts": judgement.confusion().tolist(),
    }


def _curves(judgement: Judgement, rates: MissRates) -> dict[str, Any]:
    """Return the curves at IoU 0.5, class by class."""
    curves = judgement.result.metrics.curves
    every = slice(None, None, CURVE_STEP)
    return {
        "confidence": _short(CONFIDENCES[every]),
        "recall_levels": _short(RECALL_LEVELS),
        "fppi": _short(REFERENCE_FPPI),
        "classes": [
            {
                "name": name,
                "precision": _short(curves.precision[number, every]),
                "recall": _short(curves.recall[number, every]),
                "f1": _short(curves.f1[number, every]),
                "precision_at_recall": _short(curves.precision_at_recall[number]),
                "miss_rate_at_fppi": _short(rates.at_fppi[number]),
            }
            for number, name in enumerate(judgement.info.class_names)
        ],
    }


def _short(values: Sequence[float] | np.ndarray[Any, Any]) -> list[float]:
    return [round(value, DIGITS) for value in np.asarray(values).tolist()]
