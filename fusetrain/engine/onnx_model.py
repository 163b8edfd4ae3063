"""An exported ONNX file in the place of a detector: onnxruntime computes, no network is built.

The file says by itself what it was made from and whether it suppresses; `val` and `predict` treat
it like any other weights. Writing such files is the business of `export/`.
Shape legend: B pairs of H x W pixels, K detections, A anchor points, C classes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusetrain.data.transforms import PADDING
from fusetrain.engine.weights import WeightsInfo
from fusetrain.errors import ResourceError, RunError, UsageError
from fusetrain.sample import DecodedPredictions, Detections

SUFFIX = ".onnx"
NOTES = ("kind", "strides_px", "version")  # for people and other programs, never read back
OF_FILE = ("suppression", "conf", "score_floor", "iou")
Suppression = Literal["nms", "one-to-one", "raw"]
OUTPUTS: dict[str, tuple[str, ...]] = {
    "nms": ("boxes", "scores", "labels"),
    "one-to-one": ("boxes", "scores", "labels"),
    "raw": ("raw",),
}


@dataclass(frozen=True)
class OnnxInfo:
    """What an exported file says about itself.

    Attributes:
        weights: The detector, its classes, its canvas and its thermal window.
        suppression: `nms`: inside the file; `one-to-one`: not needed; `raw`: left to the user.
        confidence: Lowest score that a user would count.
        floor: Lowest score that the file reports.
        overlap: IoU above which `nms` drops the lower score.
    """

    weights: WeightsInfo
    suppression: Suppression
    confidence: float = 0.25
    floor: float = 0.001
    overlap: float = 0.7

    def to_metadata(self) -> dict[str, str]:
        """Return the description as ONNX metadata: JSON texts by name."""
        own = (self.suppression, self.confidence, self.floor, self.overlap)
        values = self.weights.to_json() | dict(zip(OF_FILE, own, strict=True))
        return {name: json.dumps(value) for name, value in values.items()}

    @classmethod
    def from_metadata(cls, texts: dict[str, str]) -> OnnxInfo:
        """Return the description that `to_metadata` wrote.

        Raises:
            RunError: It is of another version, or of another program.
        """
        try:
            values = {name: json.loads(text) for name, text in texts.items() if name not in NOTES}
            suppression, *numbers = (values[name] for name in OF_FILE)
            confidence, floor, overlap = map(float, numbers)
            if suppression not in OUTPUTS:
                raise ValueError(f"suppression {suppression!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                "the file does not say what it detects", expected="a file of `fusetrain export`"
            ) from error
        weights = WeightsInfo.from_json(values)
        return cls(weights, suppression, confidence, floor, overlap)


class OnnxDetector(nn.Module):
    """A session of onnxruntime that takes and gives tensors as a detector does.

    Args:
        session: The session.
        info: What the file says about itself.
    """

    def __init__(self, session: Any, info: OnnxInfo) -> None:
        super().__init__()
        self.session = session
        self.info = info
        self.shapes: dict[str, list[Any]] = {
            given.name: given.shape for given in session.get_inputs()
        }

    @property
    def canvas_hw(self) -> tuple[int, int] | None:
        """Return the one canvas that the file takes; None where it takes any."""
        height, width = next(iter(self.shapes.values()))[2:]
        return (height, width) if isinstance(height, int) else None

    def forward(self, rgb: Tensor, ir: Tensor) -> DecodedPredictions | list[Detections]:
        """Return what the file finds for rgb (B, 3, H, W) and ir (B, 1, H, W), both in [0, 1].

        A file of one canvas gets pairs one by one, with padding at the right and at the bottom.
        """
        given = {name: image for name, image in (("rgb", rgb), ("ir", ir)) if name in self.shapes}
        canvas = self.canvas_hw
        if canvas is None:
            return self._read(self._run(given), rgb.device)
        height, width = (whole - part for whole, part in zip(canvas, rgb.shape[-2:], strict=True))
        grey = PADDING / 255
        given = {
            name: functional.pad(image, (0, width, 0, height), value=grey)
            for name, image in given.items()
        }
        rows = [
            self._run({name: image[row : row + 1] for name, image in given.items()})
            for row in range(len(rgb))
        ]
        joined = [torch.cat(column) for column in zip(*rows, strict=True)]
        return self._read(joined, rgb.device)

    def _run(self, given: dict[str, Tensor]) -> list[Tensor]:
        arrays = {name: image.float().contiguous().cpu().numpy() for name, image in given.items()}
        names = list(OUTPUTS[self.info.suppression])
        return [torch.from_numpy(array) for array in self.session.run(names, arrays)]

    def _read(
        self, outputs: list[Tensor], device: torch.device
    ) -> DecodedPredictions | list[Detections]:
        if self.info.suppression == "raw":
            raw = outputs[0].to(device)
            return DecodedPredictions(raw[..., :4], raw[..., 4:])
        found = []
        for boxes, scores, labels in zip(*(output.to(device) for output in outputs), strict=True):
            kept = labels >= 0
            found.append(Detections(boxes[kept], scores[kept], labels[kept]))
        return found


def is_onnx(path: Path) -> bool:
    """Return whether a path names an ONNX file."""
    return path.suffix.lower() == SUFFIX


def load_onnx(path: Path) -> tuple[OnnxDetector, OnnxInfo]:
    """Return the detector that an exported file stands for, on the CPU, and its description.

    Raises:
        RunError: The file is missing, damaged, or was not exported here.
        ResourceError: onnxruntime is not installed.
    """
    runtime = _runtime()
    if not path.is_file():
        raise RunError(f"no weights at {path}", remedy="`fusetrain export RUN --format onnx`")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base of their own
        lines = str(error).splitlines() or [type(error).__name__]
        raise RunError(f"{path} cannot be read as ONNX: {lines[0]}") from error
    try:
        info = OnnxInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
    except RunError as error:
        raise RunError(f"{path}: {error.what}", expected=error.expected) from error
    _check_ports(session, info, path)
    return OnnxDetector(session, info), info


def check_thresholds(info: OnnxInfo, *, confidence: float, overlap: float | None) -> None:
    """Check that a file can answer with the thresholds that were asked for.

    Raises:
        RunError: No suppression is wanted, and the file needs it.
        UsageError: They are others than those inside the file.
    """
    if overlap is None and info.suppression != "one-to-one":
        raise RunError(
            "the file has no outputs that need no suppression",
            expected="a detector trained with model.one_to_one, exported with --no-nms",
        )
    if info.suppression == "raw":
        return
    if overlap not in (None, info.overlap):
        raise UsageError(
            f"--iou {overlap:g}: suppression is inside the file, at {info.overlap:g}",
            expected="no --iou; or the weights themselves, or a file of `export --no-nms`",
        )
    if confidence < info.floor:
        raise UsageError(f"--conf {confidence:g}: the file reports scores from {info.floor:g} up")


def _check_ports(session: Any, info: OnnxInfo, path: Path) -> None:
    """Raise if the inputs and outputs are not those that the description promises."""
    inputs = {port.name: port.shape for port in session.get_inputs()}
    outputs = [port.name for port in session.get_outputs()]
    known = inputs and set(inputs) <= {"rgb", "ir"}
    whole = all(len(shape) == 4 for shape in inputs.values())
    if not known or not whole or outputs != list(OUTPUTS[info.suppression]):
        raise RunError(
            f"{path} takes {', '.join(inputs)} and gives {', '.join(outputs)}",
            expected="a file of `fusetrain export`",
        )


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ResourceError(
            "onnxruntime is not installed", remedy="pip install 'fusetrain[onnx]'"
        ) from error
    return onnxruntime
