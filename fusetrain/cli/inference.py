"""The commands `val` and `predict`: parse, call `judging` or `predicting`, print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from fusetrain.cli.console import print_json, progress, stderr_console, visible
from fusetrain.errors import Problem, UsageError

if TYPE_CHECKING:
    from fusetrain.inference.predicting import Predicted
    from fusetrain.inference.prediction_files import Pictures

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
    from fusetrain.inference.questions import questions_of

    asked = questions_of(blank, shift, by)
    from fusetrain.cli.val_view import judgement_json, print_judgement
    from fusetrain.inference.judgement_figures import require_place, save_figures
    from fusetrain.inference.judging import validate_weights

    require_place(out)
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
    for text in judgement.notes:
        stderr_console().print(visible(f"note: {text}"), markup=False, soft_wrap=True)
    joined = "" if partner is None else str(partner)
    if as_json:
        print_json(judgement_json(judgement, split=split, partner=joined))
    else:
        print_judgement(judgement, split=split, partner=joined)


def predict(
    weights: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Run folder or weights.")],
    rgb: Annotated[
        Path | None,
        typer.Option("--rgb", metavar="PATH", help="Visible image, folder or film."),
    ] = None,
    ir: Annotated[
        Path | None,
        typer.Option("--ir", metavar="PATH", help="Infrared image, folder or film."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path(
        "predictions"
    ),
    conf: Annotated[float, typer.Option("--conf", help="Lowest score that counts.")] = 0.25,
    iou: Annotated[float, typer.Option("--iou", help="Overlap that suppresses.")] = IOU,
    txt: Annotated[bool, typer.Option("--txt", help="Also write YOLO text files.")] = False,
    partner: Annotated[
        Path | None,
        typer.Option("--with", metavar="WEIGHTS", help="Join with a second detector."),
    ] = None,
    pictures: Annotated[
        str, typer.Option("--pictures", metavar="both|rgb|ir|none", help="What is drawn.")
    ] = "both",
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="shorter", help="Let one film end before the other."),
    ] = None,
    no_nms: Annotated[bool, typer.Option("--no-nms", help=NO_NMS_HELP)] = False,
) -> None:
    """Detect objects on pairs of images, folders or films, or on one modality alone.

    Example: fusetrain predict runs/fuse/exp --rgb images/val --ir imagesIR/val
    """
    _check_predict(conf, iou, pictures, allow or [], no_nms=no_nms)
    from fusetrain.inference.predicting import Wanted
    from fusetrain.inference.predicting import predict as predict_images

    notes: list[str] = []
    wanted = Wanted(conf, None if no_nms else iou, cast("Pictures", pictures), txt, bool(allow))
    with progress("predicting") as advance:
        done = predict_images(
            weights,
            rgb=rgb,
            ir=ir,
            out=out,
            wanted=wanted,
            partner=partner,
            progress=advance,
            note=notes.append,
        )
    drawn = "predictions.json" if pictures == "none" else "pictures and predictions.json"
    _print_predicted(done, notes, written=f"{drawn}: {out}")


def _print_predicted(done: Predicted, notes: Sequence[str], *, written: str) -> None:
    what = done.what if done.num_images == 1 else f"{done.what}s"
    for line in (
        *(f"note: {text}" for text in notes),
        f"{done.num_images} {what}, {done.num_objects} objects",
        written,
        *([f"film: {done.film}"] if done.film is not None else ()),
    ):
        stderr_console().print(visible(line), markup=False, soft_wrap=True)


def _check_predict(
    conf: float, iou: float, pictures: str, allow: Sequence[str], *, no_nms: bool
) -> None:
    """Raise if flags of `predict` make no sense.

    Raises:
        UsageError: All that is wrong with them.
    """
    problems = [
        Problem(f"{flag} {value}", hint="expected a number from 0 to 1")
        for flag, value in (("--conf", conf), ("--iou", iou))
        if not 0.0 <= value <= 1.0
    ]
    if pictures not in ("both", "rgb", "ir", "none"):
        problems.append(Problem(f"--pictures {pictures}", hint="expected both, rgb, ir or none"))
    problems += [
        Problem(f"--allow {word}", hint="expected shorter") for word in allow if word != "shorter"
    ]
    if no_nms and iou != IOU:
        problems.append(Problem("--iou suppresses, --no-nms does not", hint="expected one of them"))
    if problems:
        raise UsageError("cannot predict so", problems=problems)
