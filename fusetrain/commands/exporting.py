"""Detectors handed on as ONNX files, from Python; what is compared stands in `export`."""

from __future__ import annotations

from pathlib import Path

from fusetrain.commands.given import PathLike, path_or_none
from fusetrain.export import onnx_file
from fusetrain.export.onnx_file import Exported


def export_onnx(
    weights: PathLike, out: PathLike | None = None, *, dynamic: bool = False, nms: bool = True
) -> Exported:
    """Write a detector as an ONNX file that answers alike, as `export` does; see docs/export.md.

    Args:
        weights: Run folder or weights file.
        out: File to write; None puts it beside the weights.
        dynamic: Batch, height and width are free.
        nms: Put suppression into the file.

    Raises:
        FusetrainError: Whatever a user can mend.
    """
    return onnx_file.export_onnx(Path(weights), path_or_none(out), is_dynamic=dynamic, with_nms=nms)
