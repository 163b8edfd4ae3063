"""The detector: one or two backbones, the place where they meet, a neck and a head.

The attribute names `backbone`, `backbone_ir`, `fusion`, `neck` and `head` are the parts that
configs, learning-rate columns and freezing speak of.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from fusetrain.sample import RawPredictions


class FusionDetector(nn.Module):
    """Detect objects on aligned pairs.

    Args:
        backbone: RGB image to feature levels; None where the kind does not look at RGB.
        backbone_ir: IR image to feature levels; None where the kind does not look at IR.
        fusion: Levels of both streams (or of the one there is) to one list of levels.
        neck: Levels to levels.
        head: Levels to raw predictions.
    """

    def __init__(
        self,
        *,
        backbone: nn.Module | None,
        backbone_ir: nn.Module | None,
        fusion: nn.Module,
        neck: nn.Module,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.backbone_ir = backbone_ir
        self.fusion = fusion
        self.neck = neck
        self.head = head

    def forward(self, rgb: Tensor, ir: Tensor) -> RawPredictions:
        """Return the raw predictions for rgb (B, 3, H, W) and ir (B, 1, H, W), both in [0, 1]."""
        visible = self.backbone(rgb) if self.backbone is not None else None
        infrared = self.backbone_ir(ir) if self.backbone_ir is not None else None
        predictions: RawPredictions = self.head(self.neck(self.fusion(visible, infrared)))
        return predictions

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


class OneStream(nn.Module):
    """The meeting place of kinds that look at one modality: passes its levels on."""

    def forward(
        self, visible: Sequence[Tensor] | None, infrared: Sequence[Tensor] | None
    ) -> Sequence[Tensor]:
        """Return the levels of the one stream there is."""
        levels = visible if visible is not None else infrared
        assert levels is not None, "a detector has at least one stream"
        return levels


class LevelFusion(nn.Module):
    """Both streams joined level by level, each level by an operator of its own."""

    def __init__(self, operators: Sequence[nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(operators)

    def forward(self, visible: Sequence[Tensor], infrared: Sequence[Tensor]) -> list[Tensor]:
        """Return the joined levels; both streams have levels of equal shapes."""
        pairs = zip(self.levels, visible, infrared, strict=True)
        return [fuse(rgb_level, ir_level) for fuse, rgb_level, ir_level in pairs]
