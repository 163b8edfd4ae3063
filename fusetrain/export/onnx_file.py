"""Write a detector as one ONNX file, check it, and only then give it its name.

The graph is captured by `torch.export`; what it says about itself travels as metadata.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fusetrain import __version__
from fusetrain.data.transforms import up_to_stride
from fusetrain.detector.backbone import STRIDES_PX
from fusetrain.detector.detector import FusionDetector
from fusetrain.engine.onnx_model import OUTPUTS, OnnxInfo, Suppression, is_onnx, load_onnx
from fusetrain.engine.weights import load_detector, weights_file
from fusetrain.errors import ComparisonError, ResourceError, RunError, UsageError, reason
from fusetrain.export.graph import ExportGraph, onnx_unsuppressed
from fusetrain.export.parity import MAX_BOX_PX, MAX_SCORE, Parity, compare
from fusetrain.results.out_place import require_no_file_above

OPSET = 18
CHANNELS = {"rgb": 3, "ir": 1}
STRIDE_PX = max(STRIDES_PX)


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: The file.
        info: What it says about itself.
        inputs: Names and shapes of its inputs, such as ``rgb (1, 3, 640, 640)``.
        parity: How far it is from its detector.
    """

    path: Path
    info: OnnxInfo
    inputs: tuple[str, ...]
    parity: Parity


def export_onnx(
    weights: Path, out: Path | None = None, *, is_dynamic: bool, with_nms: bool
) -> Exported:
    """Write weights as an ONNX file whose answers are those of the detector.

    Args:
        weights: Run folder or weights file.
        out: File to write, replaced if it is there; None puts it beside the weights.
        is_dynamic: Batch, height and width are free; else one pair of the trained canvas.
        with_nms: Put suppression into the file; else its outputs need none, where the detector was
            trained for that, or are raw.

    Raises:
        RunError: The weights cannot be used, or their detector cannot be exported.
        UsageError: ``out`` is no name for an ONNX file, or the detector takes one canvas only.
        ResourceError: A package is not installed, or the file cannot be written.
        ComparisonError: The file does not answer as the detector; it is removed.
    """
    require_packages()
    source = weights_file(weights)
    if is_onnx(source):
        raise RunError(f"{source} is exported already", expected="a run folder or its weights")
    target = source.with_suffix(".onnx") if out is None else out
    if not is_onnx(target):
        raise UsageError(f"--out {target}", expected="a file name that ends in .onnx")
    require_no_file_above(target, flag="--out")
    detector, description = load_detector(source)
    if is_dynamic:
        _require_any_canvas(detector)
    info = OnnxInfo(description, _suppression(with_nms, description.detector.one_to_one))
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _program(detector, info, is_dynamic=is_dynamic).save(draft, external_data=False)
        file, _ = load_onnx(draft)
        parity = compare(detector, file)
        if not parity.holds:
            raise ComparisonError(
                f"the exported file does not answer as the detector: {parity}",
                expected=f"boxes within {MAX_BOX_PX} px, scores within {MAX_SCORE}",
            )
        draft.replace(target)
    except OSError as error:
        what = f"{target} cannot be written: {reason(error)}"
        raise ResourceError(what, remedy="--out FILE") from error
    finally:
        with suppress(OSError):
            draft.unlink()
    inputs = tuple(f"{name} ({_shape_text(dims)})" for name, dims in file.shapes.items())
    return Exported(target, info, inputs, parity)


def require_packages() -> None:
    """Check that what writes and runs ONNX files is installed.

    Raises:
        ResourceError: Something is not.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ResourceError(
            f"{error.name or 'onnx'} is not installed, and `export` needs it",
            remedy="pip install 'fusetrain[onnx]'",
        ) from error


def _require_any_canvas(detector: FusionDetector) -> None:
    """Raise if a part of the detector is tied to the canvas that it is exported for."""
    for module in detector.modules():
        if getattr(module, "needs_fixed_canvas", False):
            raise UsageError(
                f"--dynamic: {type(module).__name__} averages over squares whose side follows from "
                "the size of the canvas, which ONNX has to know beforehand",
                remedy="export without --dynamic",
            )


def _suppression(with_nms: bool, has_second_head: bool) -> Suppression:
    if with_nms:
        return "nms"
    return "one-to-one" if has_second_head else "raw"


def _program(detector: FusionDetector, info: OnnxInfo, *, is_dynamic: bool) -> Any:
    """Return the ONNX program of a detector, with its description as metadata.

    Raises:
        RunError: Something in the detector has no counterpart in ONNX.
    """
    graph = ExportGraph(detector, info)
    side = up_to_stride(info.weights.imgsz)
    count = 2 if is_dynamic else 1
    examples = tuple(torch.rand(count, CHANNELS[name], side, side) for name in detector.sees)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it speaks of its own inner workings
            program = torch.onnx.export(
                graph,
                examples,
                dynamo=True,
                input_names=list(detector.sees),
                output_names=list(OUTPUTS[info.suppression]),
                dynamic_shapes=_dimensions(len(examples)) if is_dynamic else None,
                opset_version=OPSET,
                custom_translation_table={
                    torch.ops.fusetrain.unsuppressed.default: onnx_unsuppressed
                },
                verbose=False,
            )
    except Exception as error:  # of capture, conversion or an operator of a user
        spec = info.weights.detector
        raise RunError(
            f"{spec.kind} with {spec.operator} cannot be exported: {_reason(error)}"
        ) from error
    assert program is not None, "dynamo export returns a program"
    program.model.producer_name, program.model.producer_version = "fusetrain", __version__
    program.model.metadata_props.update(info.to_metadata() | _notes(info))
    return program


def _dimensions(num_images: int) -> tuple[tuple[dict[int, Any], ...]]:
    """Return which dimensions of the images are free: batch, and height and width in strides."""
    batch = torch.export.Dim("batch", min=1)
    height, width = (torch.export.Dim(f"{name}_{STRIDE_PX}", min=1) for name in ("height", "width"))
    free = {0: batch, 2: STRIDE_PX * height, 3: STRIDE_PX * width}
    return ((free,) * num_images,)


def _shape_text(dims: Sequence[object]) -> str:
    """Return a shape, with a letter for each dimension that is free."""
    shown = (
        str(size) if isinstance(size, int) else letter
        for size, letter in zip(dims, "BCHW", strict=True)
    )
    return ", ".join(shown)


def _notes(info: OnnxInfo) -> dict[str, str]:
    """Return metadata for people and other programs, which is not read back."""
    return {
        "kind": info.weights.detector.kind,
        "strides_px": str(list(info.weights.detector.strides_px)),
        "version": __version__,
    }


def _reason(error: BaseException) -> str:
    """Return the first line of what lies behind an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0]
