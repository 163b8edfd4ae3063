"""The command `models`: every detector that a config can ask for, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fusetrain.cli.console import print_json, stdout_console, table
from fusetrain.cli.long_progress import long_progress
from fusetrain.errors import UsageError

if TYPE_CHECKING:
    from fusetrain.catalogue import Entry

FINEST = ("p3", "p2")
COLUMNS = ("fusion", "operator", "size", "params M", "GFLOPs", "ms")


def models(
    fusion: Annotated[
        list[str] | None,
        typer.Option("--fusion", metavar="KIND", help="Repeatable; all of them if not given."),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="n|s|m|l|x", help="Repeatable; all if not given."),
    ] = None,
    imgsz: Annotated[
        int, typer.Option("--imgsz", help="Side of the square canvas, px; goes up to 32s.")
    ] = 640,
    backbone: Annotated[str, typer.Option("--backbone", help="As `model.backbone`.")] = "csp",
    finest: Annotated[
        str, typer.Option("--finest", metavar="p3|p2", help="As `model.finest`.")
    ] = "p3",
    width: Annotated[float, typer.Option("--width", help="As `model.width`.")] = 1.0,
    classes: Annotated[int, typer.Option("--classes", help="Number of classes.")] = 3,
    speed: Annotated[bool, typer.Option("--speed", help="Time one pair on this machine.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List every kind, operator and size with its parameters and operations.

    Example: fusetrain models --size n --speed
    """
    _require_names(fusion or (), size or (), backbone=backbone, finest=finest)
    _require(32 <= imgsz <= 8192, f"--imgsz {imgsz}", "32 to 8192")
    _require(0 < width <= 4, f"--width {width:g}", "above 0, at most 4")
    _require(1 <= classes <= 10_000, f"--classes {classes}", "1 to 10000")
    from fusetrain import catalogue
    from fusetrain.engine.machine import default_machine, describe

    wanted = catalogue.specs(
        fusion or (),
        size or (),
        backbone=backbone,
        width=width,
        num_classes=classes,
        finest=finest,
    )
    rows = []
    machine = default_machine()
    machine.apply()
    with long_progress("counting", "detectors") as advance:
        for entry in catalogue.entries(wanted, imgsz=imgsz):
            rows.append(catalogue.timed(entry, machine, imgsz=imgsz) if speed else entry)
            advance(len(rows), len(wanted))
    note = f"{catalogue.canvas(imgsz)} px, {classes} classes; {describe(machine)}"
    if as_json:
        print_json({"imgsz": catalogue.canvas(imgsz), "models": [_values(row) for row in rows]})
    elif markdown:
        _print_markdown(rows, speed=speed)
    else:
        shown = COLUMNS if speed else COLUMNS[:-1]
        cells = [_cells(row)[: len(shown)] for row in rows]
        stdout_console().print(table(shown, cells, title=note, right=COLUMNS[3:]))


def _require_names(
    fusions: Sequence[str], sizes: Sequence[str], *, backbone: str, finest: str
) -> None:
    """Raise a usage error where a name is not known."""
    from fusetrain.detector import BACKBONES
    from fusetrain.detector.backbone import SCALES
    from fusetrain.detector.fusion import KINDS

    _require_known("--fusion", fusions, KINDS.names())
    _require_known("--size", sizes, tuple(SCALES))
    _require(backbone in BACKBONES, f"--backbone {backbone}", ", ".join(BACKBONES.names()))
    _require(finest in FINEST, f"--finest {finest}", ", ".join(FINEST))


def _require(is_fine: bool, what: str, expected: str) -> None:
    """Raise a usage error where a value is not possible."""
    if not is_fine:
        raise UsageError(what, expected=expected)


def _require_known(flag: str, values: Sequence[str], known: Sequence[str]) -> None:
    """Raise a usage error that names the values that are not known."""
    unknown = [value for value in values if value not in known]
    _require(not unknown, f"{flag} {' '.join(unknown)}", ", ".join(known))


def _cells(entry: Entry) -> tuple[str, ...]:
    return (
        entry.spec.kind,
        entry.operator,
        entry.spec.size,
        f"{entry.params / 1e6:.2f}",
        f"{entry.flops / 1e9:.2f}",
        "" if entry.seconds is None else f"{1000 * entry.seconds:.0f}",
    )


def _values(entry: Entry) -> dict[str, object]:
    return {
        "fusion": entry.spec.kind,
        "operator": None if entry.operator == "-" else entry.operator,
        "size": entry.spec.size,
        "backbone": entry.spec.backbone,
        "width": entry.spec.width,
        "finest": entry.spec.finest,
        "params": entry.params,
        "flops": entry.flops,
        "seconds": entry.seconds,
    }


def _print_markdown(rows: list[Entry], *, speed: bool) -> None:
    shown = COLUMNS if speed else COLUMNS[:-1]
    typer.echo("| " + " | ".join(shown) + " |")
    typer.echo("| --- | --- | --- |" + " ---: |" * (len(shown) - 3))
    for row in rows:
        typer.echo("| " + " | ".join(_cells(row)[: len(shown)]) + " |")
