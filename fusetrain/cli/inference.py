"""The commands `val` and `predict`: parse, call `fusetrain.inference`, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusetrain.cli.console import (
    print_json,
    progress,
    stderr_console,
    stdout_console,
    table,
    visible,
)
from fusetrain.errors import UsageError

if TYPE_CHECKING:
    from fusetrain.engine.infer import Validation
    from fusetrain.engine.weights import WeightsInfo


def val(
    weights: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Run folder or weights.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DATA", help="Data set; that of the run if not given."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Split to measure on.")] = "val",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure a trained detector: precision, recall and average precision, class by class.

    Example: fusetrain val runs/fuse/exp --split val
    """
    from fusetrain.inference import validate_weights

    with progress("validating") as advance:
        result, info, index = validate_weights(weights, data=data, split=split, progress=advance)
    if as_json:
        print_json(_json(result, info, split=split, num_pairs=len(index)))
        return
    columns = ("class", "boxes", "precision", "recall", "mAP50", "mAP50-95")
    console = stdout_console()
    console.print(table(columns, _rows(result, info), right=columns[1:]))
    console.print(
        f"{split}: {len(index)} pairs; precision and recall at confidence "
        f"{result.metrics.best_confidence:.3f}, IoU 0.5",
        markup=False,
    )


def predict(
    weights: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Run folder or weights.")],
    rgb: Annotated[Path, typer.Option("--rgb", metavar="PATH", help="Visible image or folder.")],
    ir: Annotated[Path, typer.Option("--ir", metavar="PATH", help="Infrared image or folder.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path(
        "predictions"
    ),
    conf: Annotated[float, typer.Option("--conf", help="Lowest score that counts.")] = 0.25,
    iou: Annotated[float, typer.Option("--iou", help="Overlap that suppresses.")] = 0.7,
    txt: Annotated[bool, typer.Option("--txt", help="Also write YOLO text files.")] = False,
) -> None:
    """Detect objects on one pair or two folders; write pictures and predictions.json.

    Example: fusetrain predict runs/fuse/exp --rgb images/val --ir imagesIR/val
    """
    for flag, value in (("--conf", conf), ("--iou", iou)):
        if not 0.0 <= value <= 1.0:
            raise UsageError(f"{flag} {value}", expected="a number from 0 to 1")
    from fusetrain.inference import predict as predict_pairs

    notes: list[str] = []
    with progress("predicting") as advance:
        predictions = predict_pairs(
            weights,
            rgb=rgb,
            ir=ir,
            out=out,
            confidence=conf,
            overlap=iou,
            write_txt=txt,
            progress=advance,
            note=notes.append,
        )
    pairs = "1 pair" if len(predictions) == 1 else f"{len(predictions)} pairs"
    boxes = sum(len(prediction.found) for prediction in predictions)
    for line in (
        *(f"note: {text}" for text in notes),
        f"{pairs}, {boxes} objects",
        f"pictures and predictions.json: {out}",
    ):
        stderr_console().print(visible(line), markup=False, soft_wrap=True)


def _rows(result: Validation, info: WeightsInfo) -> list[tuple[object, ...]]:
    metrics, per_class = result.metrics, result.metrics.per_class
    rows: list[tuple[object, ...]] = [
        (
            "all",
            int(per_class.num_truth.sum()),
            f"{metrics.precision:.3f}",
            f"{metrics.recall:.3f}",
            f"{metrics.map50:.3f}",
            f"{metrics.map50_95:.3f}",
        )
    ]
    for number, name in enumerate(info.class_names):
        values = (
            per_class.precision[number],
            per_class.recall[number],
            per_class.ap50[number],
            per_class.ap50_95[number],
        )
        absent = per_class.num_truth[number] == 0
        cells = ("-" if absent else f"{value:.3f}" for value in values)
        rows.append((name, int(per_class.num_truth[number]), *cells))
    return rows


def _json(result: Validation, info: WeightsInfo, *, split: str, num_pairs: int) -> dict[str, Any]:
    metrics, per_class = result.metrics, result.metrics.per_class
    return {
        "split": split,
        "pairs": num_pairs,
        "metrics": {
            "precision": metrics.precision,
            "recall": metrics.recall,
            "mAP50": metrics.map50,
            "mAP50-95": metrics.map50_95,
            "confidence": metrics.best_confidence,
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
            }
            for number, name in enumerate(info.class_names)
        ],
    }
