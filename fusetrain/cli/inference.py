"""The commands `val` and `predict`: parse, call `judging` or `predicting`, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusetrain.cli.console import print_json, progress, stderr_console, visible
from fusetrain.errors import UsageError

IOU = 0.7
NO_NMS_HELP = "Use the head that needs no suppression (model.one_to_one)."


def val(
    weights: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Run folder or weights.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DATA", help="Data set; that of the run if not given."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Split to measure on.")] = "val",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    blank: Annotated[
        str | None,
        typer.Option("--blank", metavar="rgb|ir", help="Also with this modality grey."),
    ] = None,
    shift: Annotated[
        float | None,
        typer.Option("--shift", metavar="PX", help="Also with IR moved so far, four ways."),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="day,night,size,class", help="Also part by part.")
    ] = "",
    partner: Annotated[
        Path | None,
        typer.Option("--with", metavar="WEIGHTS", help="Join with a second detector."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Draw curves and confusions here.")
    ] = None,
    no_nms: Annotated[bool, typer.Option("--no-nms", help=NO_NMS_HELP)] = False,
) -> None:
    """Measure a trained detector: precision, recall, average precision, miss rate, class by class.

    Example: fusetrain val runs/fuse/exp --blank ir --by day,night
    """
    from fusetrain.questions import questions_of

    asked = questions_of(blank, shift, by)
    from fusetrain.cli.val_view import judgement_json, print_judgement
    from fusetrain.judgement_figures import save_figures
    from fusetrain.judging import validate_weights

    with progress("validating") as advance:
        judgement = validate_weights(
            weights,
            data=data,
            split=split,
            questions=asked,
            partner=partner,
            overlap=None if no_nms else IOU,
            progress=advance,
        )
    if out is not None:
        save_figures(judgement, out)
    joined = "" if partner is None else str(partner)
    if as_json:
        print_json(judgement_json(judgement, split=split, partner=joined))
    else:
        print_judgement(judgement, split=split, partner=joined)


def predict(
    weights: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Run folder or weights.")],
    rgb: Annotated[Path, typer.Option("--rgb", metavar="PATH", help="Visible image or folder.")],
    ir: Annotated[Path, typer.Option("--ir", metavar="PATH", help="Infrared image or folder.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path(
        "predictions"
    ),
    conf: Annotated[float, typer.Option("--conf", help="Lowest score that counts.")] = 0.25,
    iou: Annotated[float, typer.Option("--iou", help="Overlap that suppresses.")] = IOU,
    txt: Annotated[bool, typer.Option("--txt", help="Also write YOLO text files.")] = False,
    no_nms: Annotated[bool, typer.Option("--no-nms", help=NO_NMS_HELP)] = False,
) -> None:
    """Detect objects on one pair or two folders; write pictures and predictions.json.

    Example: fusetrain predict runs/fuse/exp --rgb images/val --ir imagesIR/val
    """
    for flag, value in (("--conf", conf), ("--iou", iou)):
        if not 0.0 <= value <= 1.0:
            raise UsageError(f"{flag} {value}", expected="a number from 0 to 1")
    if no_nms and iou != IOU:
        raise UsageError("--iou suppresses, --no-nms does not", expected="one of them")
    from fusetrain.predicting import predict as predict_pairs

    notes: list[str] = []
    with progress("predicting") as advance:
        predictions = predict_pairs(
            weights,
            rgb=rgb,
            ir=ir,
            out=out,
            confidence=conf,
            overlap=None if no_nms else iou,
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
