"""The command `export`: parse, call `fusetrain.export`, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusetrain.cli.console import stderr_console, visible
from fusetrain.errors import UsageError

FORMATS = ("onnx",)


def export(
    weights: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Run folder or weights.")],
    file_format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Kind of file: onnx.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write; beside the weights if not."),
    ] = None,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Any batch, and height and width in steps of 32 px.")
    ] = False,
    no_nms: Annotated[bool, typer.Option("--no-nms", help="No suppression in the file.")] = False,
) -> None:
    """Write a detector as a file that runs without fusetrain, and compare both.

    Example: fusetrain export runs/fuse/exp --format onnx
    """
    if file_format not in FORMATS:
        raise UsageError(f"no such --format: {file_format}", expected=" or ".join(FORMATS))
    from fusetrain.export.onnx_file import export_onnx

    with stderr_console().status("exporting and comparing"):
        exported = export_onnx(weights, out, is_dynamic=dynamic, with_nms=not no_nms)
    suppression = {
        "nms": f"suppression inside, at IoU {exported.info.overlap:g}",
        "one-to-one": "no suppression needed",
        "raw": "no suppression: raw boxes and scores",
    }[exported.info.suppression]
    for line in (
        f"inputs: {', '.join(exported.inputs)}; {suppression}",
        f"beside the detector: {exported.parity}",
        f"written: {exported.path}",
    ):
        stderr_console().print(visible(line), markup=False, soft_wrap=True)
