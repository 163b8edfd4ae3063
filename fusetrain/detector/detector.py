"""The detector: one or two backbones, the place where they meet, neck and head.

The attribute names `backbone`, `backbone_ir`, `fusion`, `neck` and `head` are the parts that
configs, learning-rate columns and freezing speak of. What each kind puts there is in `kinds.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from torch import Tensor, nn

from fusetrain.sample import RawPredictions


class Junction(Enum):
    """Where the streams meet."""

    INSIDE_BACKBONES = "inside the backbones"
    BEHIND_BACKBONES = "behind the backbones"
    AROUND_BACKBONE = "around the backbone of one of them"
    BEHIND_NECKS = "behind the necks"
    BEHIND_HEADS = "behind the heads"


class FusionDetector(nn.Module):
    """Detect objects on aligned pairs.

    Args:
        junction: Where the streams meet.
        backbone: RGB image to feature levels; both images to the levels of both where the streams
            share it; with a junction inside, two halves `before` and `after` it. None where the
            kind does not look at RGB.
        backbone_ir: IR image to feature levels, or to the one map that is joined inside. None where
            the kind does not look at IR, or shares `backbone`.
        fusion: What both streams bring (or the one there is), and the RGB image, to one.
        neck: Levels to levels; levels of both streams where they meet behind it.
        head: Levels to raw predictions; levels of both streams where they meet behind it.
    """

    def __init__(
        self,
        junction: Junction,
        *,
        backbone: nn.Module | None,
        backbone_ir: nn.Module | None,
        fusion: nn.Module,
        neck: nn.Module,
        head: nn.Module,
        shares_backbone: bool = False,
    ) -> None:
        super().__init__()
        self.junction = junction
        self.shares_backbone = shares_backbone
        self.backbone: Any = backbone
        self.backbone_ir: Any = backbone_ir
        self.fusion: Any = fusion
        self.neck = neck
        self.head = head

    def forward(self, rgb: Tensor, ir: Tensor) -> RawPredictions:
        """Return the raw predictions for rgb (B, 3, H, W) and ir (B, 1, H, W), both in [0, 1]."""
        predictions: RawPredictions
        match self.junction:
            case Junction.INSIDE_BACKBONES:
                joined = self.fusion(self.backbone.before(rgb), self.backbone_ir(ir), rgb)
                predictions = self.head(self.neck(self.backbone.after(joined)))
            case Junction.BEHIND_BACKBONES:
                predictions = self.head(self.neck(self.fusion(*self.streams(rgb, ir), rgb)))
            case Junction.AROUND_BACKBONE:
                seen = self.streams(*self.fusion.enter(rgb, ir))
                predictions = self.head(self.neck(self.fusion(*seen, rgb)))
            case Junction.BEHIND_NECKS:
                predictions = self.head(self.fusion(*self.neck(*self.streams(rgb, ir)), rgb))
            case Junction.BEHIND_HEADS:
                predictions = self.fusion(*self.head(*self.neck(*self.streams(rgb, ir))), rgb)
        return predictions

    @property
    def sees(self) -> tuple[str, ...]:
        """Return the images that the kind looks at: `rgb`, `ir`, or both."""
        has_stream = {
            "rgb": self.backbone is not None,
            "ir": self.backbone_ir is not None or self.shares_backbone,
        }
        return tuple(name for name, there in has_stream.items() if there)

    def streams(
        self, rgb: Tensor, ir: Tensor
    ) -> tuple[Sequence[Tensor] | None, Sequence[Tensor] | None]:
        """Return the levels of RGB and of IR; None for a stream the kind does not have."""
        if self.shares_backbone:
            visible, infrared = self.backbone(rgb, ir)
            return visible, infrared
        return (
            self.backbone(rgb) if self.backbone is not None else None,
            self.backbone_ir(ir) if self.backbone_ir is not None else None,
        )

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts that hold parameters, in the order of the learning-rate columns."""
        named = {
            "backbone": self.backbone,
            "backbone_ir": self.backbone_ir,
            "fusion": self.fusion,
            "neck": self.neck,
            "head": self.head,
        }
        return {
            name: part
            for name, part in named.items()
            if part is not None and any(True for _ in part.parameters())
        }
