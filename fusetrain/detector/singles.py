"""The two whole detectors inside a `decision` detector, each by itself.

An adapter that does not yet know its base trains RGB and IR side by side in this form: one model,
one optimizer, one checkpoint, and yet two detectors that know nothing of each other.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from fusetrain.detector.detector import FusionDetector
from fusetrain.sample import RawPredictions

Modality = Literal["rgb", "ir"]
MODALITIES: tuple[Modality, ...] = ("rgb", "ir")
TWINS = {"rgb": "visible", "ir": "infrared"}


class SideBySide(nn.Module):
    """Both detectors, not joined: what is trained before one of them is chosen.

    Args:
        detector: Of the kind `decision`.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, rgb: Tensor, ir: Tensor) -> tuple[RawPredictions, RawPredictions]:
        """Return what RGB (B, 3, H, W) alone and IR (B, 1, H, W) alone predict."""
        joint = self.detector
        assert isinstance(joint, FusionDetector)
        visible, infrared = joint.head(*joint.neck(*joint.streams(rgb, ir)))
        return visible, infrared


class OneOfTwo(nn.Module):
    """One of the two detectors.

    Args:
        detector: Of the kind `decision`.
        modality: Which one.
    """

    def __init__(self, detector: FusionDetector, modality: Modality) -> None:
        super().__init__()
        self.is_ir = modality == "ir"
        self.backbone = detector.backbone_ir if self.is_ir else detector.backbone
        self.neck = getattr(detector.neck, TWINS[modality])
        self.head = getattr(detector.head, TWINS[modality])

    def forward(self, rgb: Tensor, ir: Tensor) -> RawPredictions:
        """Return what the modality predicts by itself."""
        predictions: RawPredictions = self.head(self.neck(self.backbone(ir if self.is_ir else rgb)))
        return predictions


def renamed(tensors: dict[str, Tensor], modality: Modality) -> dict[str, Tensor]:
    """Return the tensors of a `decision` detector with neck and head of one modality alone."""
    twin, other = TWINS[modality], TWINS["ir" if modality == "rgb" else "rgb"]
    kept = {name: value for name, value in tensors.items() if f".{other}." not in name}
    return {name.replace(f".{twin}.", ".", 1): value for name, value in kept.items()}
