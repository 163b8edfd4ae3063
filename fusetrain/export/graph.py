"""What is exported: a detector with its outputs decoded, chosen and put into fixed shapes.

It is plain torch but for one operator, whose meaning in ONNX stands beside its meaning in torch.
Shape legend: B pairs, A anchor points, C classes, N candidates, K detections.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusetrain.detector.decode import MAX_CANDIDATES, MAX_DETECTIONS, decode
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.folding import folded
from fusetrain.engine.onnx_model import OnnxInfo
from fusetrain.sample import RawPredictions

NO_LABEL = -1


class ExportGraph(nn.Module):
    """A detector as it stands in a file: images in, detections of fixed shape out.

    Args:
        detector: Is copied, and its normalisation folded into its convolutions.
        info: What the file will say about itself.
    """

    def __init__(self, detector: FusionDetector, info: OnnxInfo) -> None:
        super().__init__()
        self.detector = folded(detector)
        self.info = info
        self.eval().requires_grad_(False)

    def forward(self, *images: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Return the outputs for the images that the kind looks at, each (B, channels, H, W).

        Returns:
            Raw: (B, A, 4 + C) boxes xyxy px and scores. Else boxes (B, K, 4) xyxy px, scores
            (B, K), best first, and labels (B, K); behind the last detection stand zeros and the
            label NO_LABEL.
        """
        predictions: RawPredictions = self.detector(images[0], images[-1])
        if self.info.suppression == "one-to-one":
            assert predictions.one_to_one is not None, "asked for before"
            predictions = predictions.one_to_one
        boxes, scores = decode(predictions)
        if self.info.suppression == "raw":
            return torch.cat((boxes, scores), dim=-1)
        if self.info.suppression == "one-to-one":
            return _filled(*_best(boxes, scores, MAX_DETECTIONS))
        return self._suppressed(*_best(boxes, scores, MAX_CANDIDATES))

    def _suppressed(
        self, boxes: Tensor, scores: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the K best of N candidates, of which none overlaps a better one of its class."""
        span = boxes.amax((1, 2), keepdim=True) - boxes.amin((1, 2), keepdim=True) + 1
        apart = boxes + labels.unsqueeze(-1) * span  # classes never overlap
        info = self.info
        kept = unsuppressed(apart, scores, info.overlap, info.floor, MAX_DETECTIONS)
        scores, order = torch.where(kept, scores, 0.0).topk(MAX_DETECTIONS)
        return _filled(_rows(boxes, order), scores, labels.gather(1, order))


def _best(boxes: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return boxes (B, count, 4), scores and labels (B, count) of the best scores (B, A, C).

    Where there are fewer, scores of zero fill up.
    """
    num_classes = scores.shape[-1]
    scores, order = functional.pad(scores.flatten(1), (0, count)).topk(count)
    order = order.clamp(max=boxes.shape[1] * num_classes - 1)
    return _rows(boxes, order // num_classes), scores, order % num_classes


def _rows(boxes: Tensor, order: Tensor) -> Tensor:
    return boxes.gather(1, order.unsqueeze(-1).expand(-1, -1, 4))


def _filled(boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return them with zeros and NO_LABEL where the score is zero."""
    there = scores > 0
    return boxes * there.unsqueeze(-1), scores, torch.where(there, labels, NO_LABEL)


@torch.library.custom_op("fusetrain::unsuppressed", mutates_args=())
def unsuppressed(boxes: Tensor, scores: Tensor, overlap: float, floor: float, most: int) -> Tensor:
    """Return (B, N) bool: which of the boxes (B, N, 4) with scores (B, N) suppression leaves."""
    from torchvision.ops import nms

    kept = torch.zeros_like(scores, dtype=torch.bool)
    for pair, (pair_boxes, pair_scores) in enumerate(zip(boxes, scores, strict=True)):
        (candidates,) = (pair_scores > floor).nonzero(as_tuple=True)
        rows = nms(pair_boxes[candidates], pair_scores[candidates], overlap)[:most]
        kept[pair, candidates[rows]] = True
    return kept


@unsuppressed.register_fake
def _(boxes: Tensor, scores: Tensor, overlap: float, floor: float, most: int) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def onnx_unsuppressed(boxes: Any, scores: Any, overlap: float, floor: float, most: int) -> Any:
    """Write `unsuppressed` with the operators of ONNX: its suppression names rows, we mark them."""
    from onnxscript import opset18

    op: Any = opset18  # its own types know no constants
    rows = op.NonMaxSuppression(
        boxes,
        op.Unsqueeze(scores, op.Constant(value_ints=[1])),
        op.Constant(value_ints=[most]),
        op.Constant(value_floats=[overlap]),
        op.Constant(value_floats=[floor]),
    )  # (rows, 3): pair, class (always 0), candidate
    places = op.Gather(rows, op.Constant(value_ints=[0, 2]), axis=1)
    count = op.Slice(op.Shape(rows), op.Constant(value_ints=[0]), op.Constant(value_ints=[1]))
    marks = op.Expand(op.Constant(value_float=1.0), count)
    nothing = op.Mul(scores, op.Constant(value_float=0.0))
    return op.Greater(op.ScatterND(nothing, places, marks), op.Constant(value_float=0.0))
