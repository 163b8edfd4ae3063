"""Weights for inference: the tensors of a detector with everything that is needed to use them.

`best.safetensors` carries its description as metadata; a checkpoint carries the same beside the
training state, so that either can be validated, predicted with and exported.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fusetrain.data.image import ThermalWindow
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.checkpoint import MAGIC, require_known, unpack
from fusetrain.errors import ConfigError, RunError
from fusetrain.results.run_dir import followed

STATE_DICT_NESTS = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class TrainedWith:
    """Settings of the training that matter to those who judge and use its weights.

    Attributes:
        box: Gain of the CIoU loss.
        cls: Gain of the classification loss.
        dfl: Gain of the distribution focal loss.
        label_smoothing: Share taken from the target scores, in [0, 1).
        drop_rgb: Share of the training samples without an RGB image, in [0, 1].
        drop_ir: Share of the training samples without an IR image, in [0, 1].
        border_px: Width in px of the frame that was cut off all images.
    """

    box: float = 7.5
    cls: float = 0.5
    dfl: float = 1.5
    label_smoothing: float = 0.0
    drop_rgb: float = 0.0
    drop_ir: float = 0.0
    border_px: int = 0


@dataclass(frozen=True)
class WeightsInfo:
    """What belongs to a detector's tensors.

    Attributes:
        detector: Shape of the detector.
        class_names: Names of the classes by number.
        imgsz: Long side of the canvas in px that it was trained with.
        window: How raw infrared counts become brightness.
        training: What it was trained with; None in weights that do not say it.
    """

    detector: DetectorSpec
    class_names: tuple[str, ...]
    imgsz: int
    window: ThermalWindow
    training: TrainedWith | None = None

    @property
    def border_px(self) -> int:
        """Return the width in px of the frame that was cut off all images."""
        return 0 if self.training is None else self.training.border_px

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON types."""
        values: dict[str, Any] = {
            "detector": asdict(self.detector),
            "class_names": list(self.class_names),
            "imgsz": self.imgsz,
            "thermal": asdict(self.window),
        }
        return values if self.training is None else values | {"training": asdict(self.training)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WeightsInfo:
        """Return the description that `to_json` wrote.

        Raises:
            RunError: It is of another version, or describes nothing that can be.
        """
        try:
            info = cls(
                detector=DetectorSpec(**values["detector"]),
                class_names=tuple(map(str, values["class_names"])),
                imgsz=int(values["imgsz"]),
                window=ThermalWindow(**values["thermal"]),
                training=TrainedWith(**values["training"]) if "training" in values else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"the description of the weights is of another version: {error!r}"
            ) from error
        if not 32 <= info.imgsz <= 8192 or len(info.class_names) != info.detector.num_classes:
            raise RunError(
                f"the description of the weights makes no sense: imgsz {info.imgsz}, "
                f"{len(info.class_names)} names for {info.detector.num_classes} classes"
            )
        return info


def weights_file(path: Path) -> Path:
    """Return the weights that a path names: a file, or the best (else the last) of a run folder.

    Raises:
        RunError: There are none.
    """
    path = followed(path)
    if path.is_dir():
        for name in ("best.safetensors", "last.pt", "last.prev.pt"):
            if (path / "weights" / name).is_file():
                return path / "weights" / name
    if path.is_file():
        return path
    raise RunError(
        f"no weights at {path}",
        expected="a run folder, last.pt or best.safetensors",
        remedy="`fusetrain train` makes them",
    )


def load_detector(path: Path) -> tuple[FusionDetector, WeightsInfo]:
    """Return the detector of a weights file in evaluation mode on the CPU, and its description.

    Raises:
        RunError: The file is damaged, or of another version or model.
    """
    file = weights_file(path)
    tensors, info = _read(file)
    own = _shapes(info.detector, file)
    shapes = {name: getattr(value, "shape", None) for name, value in tensors.items()}
    wrong = [name for name in own if shapes.get(name) != own[name]]
    wrong += [name for name in tensors if name not in own]
    if wrong:
        raise RunError(f"{file}: {len(wrong)} tensors do not fit the detector (first: {wrong[0]})")
    detector = build_detector(info.detector).eval()
    detector.load_state_dict(tensors)
    return detector, info


def load_source(path: Path) -> tuple[dict[str, Tensor], FusionDetector | None]:
    """Return the tensors to start a training from, and a detector of their shape without memory.

    Args:
        path: A run folder, weights of ours, or a plain state_dict (.pt, .pth, .safetensors), such
            as torchvision publishes; for a plain one there is no detector.

    Raises:
        RunError: The file is damaged, or holds no tensors.
    """
    file = weights_file(path)
    plain = _plain_tensors(file)
    if plain is not None:
        return plain, None
    tensors, info = _read(file)
    with torch.device("meta"):
        return tensors, build_detector(info.detector)


def _plain_tensors(file: Path) -> dict[str, Tensor] | None:
    """Return the tensors of a file that describes no detector of ours; None where it does.

    Raises:
        RunError: The file holds no tensors.
    """
    try:
        if _is_checkpoint(file):
            return None
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as opened:
                if "detector" in (opened.metadata() or {}):
                    return None
                content = {name: opened.get_tensor(name) for name in list(opened.keys())}
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of pickles that it then refuses
                content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, ValueError, RuntimeError, UnpicklingError, EOFError) as error:
        raise RunError(
            f"{file} cannot be read as weights: {error}",
            expected="weights of a fusetrain run, or a state_dict of tensors (.pt, .safetensors)",
        ) from error
    return _named_tensors(content, file)


def _named_tensors(content: object, file: Path) -> dict[str, Tensor]:
    """Return the tensors of a state_dict, or of one inside a checkpoint.

    Raises:
        RunError: There are none, or they are not finite.
    """
    for nest in STATE_DICT_NESTS:
        if isinstance(content, dict) and isinstance(content.get(nest), dict):
            content = content[nest]
    found = content.items() if isinstance(content, dict) else ()
    tensors = {str(name): value for name, value in found if isinstance(value, Tensor)}
    if not tensors:
        raise RunError(f"{file} holds no tensors by name", expected="a state_dict")
    if any(value.is_floating_point() and not value.isfinite().all() for value in tensors.values()):
        raise RunError(f"{file} holds values that are not finite")
    return tensors


def _shapes(spec: DetectorSpec, file: Path) -> dict[str, torch.Size]:
    """Return the shapes of a detector's tensors; none is allocated, and no local code is called.

    Raises:
        RunError: There is no such detector here.
    """
    try:
        with torch.device("meta"):
            return {name: value.shape for name, value in build_detector(spec).state_dict().items()}
    except (ConfigError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise RunError(f"{file}: its detector cannot be built here: {error}") from error


def _is_checkpoint(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC


def _read(file: Path) -> tuple[dict[str, Tensor], WeightsInfo]:
    try:
        if _is_checkpoint(file):
            content = unpack(file.read_bytes(), str(file))
            require_known(content, str(file))
            info = WeightsInfo.from_json(content["context"].get("weights", {}))
            return content["average"] or content["model"], info
        with safe_open(file, framework="pt") as opened:
            metadata = {name: json.loads(text) for name, text in (opened.metadata() or {}).items()}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError, ValueError) as error:
        is_other = isinstance(error, SafetensorError) and file.suffix != ".safetensors"
        reason = "it is neither a checkpoint of fusetrain nor safetensors" if is_other else error
        raise RunError(
            f"{file} cannot be read as weights: {reason}",
            expected="a run folder, or last.pt, best.safetensors or an exported .onnx of one",
        ) from error
    if any(not torch.isfinite(value).all() for value in tensors.values()):
        raise RunError(f"{file} holds values that are not finite")
    return tensors, WeightsInfo.from_json(metadata)
