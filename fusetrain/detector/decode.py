"""Raw predictions to boxes, and boxes to detections.

Decoding moves no tensor; suppression does, once a batch.
Shape legend: see `sample.RawPredictions`.
"""

from __future__ import annotations

from torch import Tensor

from fusetrain.boxes import around_points, distances_px
from fusetrain.sample import Detections, RawPredictions

MAX_CANDIDATES = 2000


def decode(predictions: RawPredictions) -> tuple[Tensor, Tensor]:
    """Return boxes (B, A, 4) xyxy px on the canvas and scores (B, A, C) in [0, 1]."""
    sides = distances_px(predictions.distance_logits, predictions.strides_px)
    boxes = around_points(predictions.anchors_xy_px, sides)
    return boxes, predictions.class_logits.float().sigmoid()


def detections(
    predictions: RawPredictions,
    *,
    confidence: float,
    overlap: float,
    max_detections: int = 300,
) -> list[Detections]:
    """Return the detections of each pair, in canvas pixels, after non-maximum suppression.

    An anchor point may report several classes; suppression works within a class.

    Args:
        predictions: What the head said for the batch.
        confidence: Lowest score that counts, in [0, 1].
        overlap: IoU above which the lower score is dropped, in [0, 1].
        max_detections: Most detections of a pair.
    """
    boxes, scores = decode(predictions)
    return [
        _suppress(pair_boxes, pair_scores, confidence, overlap, max_detections)
        for pair_boxes, pair_scores in zip(boxes, scores, strict=True)
    ]


def _suppress(
    boxes: Tensor, scores: Tensor, confidence: float, overlap: float, max_detections: int
) -> Detections:
    """Keep the best candidates of one pair: boxes (A, 4), scores (A, C)."""
    from torchvision.ops import batched_nms  # here: it takes a second, and training starts without

    anchor, label = (scores >= confidence).nonzero(as_tuple=True)
    candidate_scores = scores[anchor, label]
    best = candidate_scores.argsort(descending=True, stable=True)[:MAX_CANDIDATES]
    anchor, label, candidate_scores = anchor[best], label[best], candidate_scores[best]
    candidate_boxes = boxes[anchor]
    kept = batched_nms(candidate_boxes, candidate_scores, label, overlap)[:max_detections]
    return Detections(candidate_boxes[kept], candidate_scores[kept], label[kept])


def to_original(found: Detections, canvas_from_original: Tensor, size_hw: Tensor) -> Detections:
    """Move detections from the canvas to the original image and clip them to it.

    Args:
        found: Detections in canvas pixels.
        canvas_from_original: (4,) ``sx, sy, tx, ty``.
        size_hw: (2,) height and width of the original image.
    """
    scale = canvas_from_original[[0, 1, 0, 1]].to(found.boxes_xyxy_px)
    shift = canvas_from_original[[2, 3, 2, 3]].to(found.boxes_xyxy_px)
    limit = size_hw[[1, 0, 1, 0]].to(found.boxes_xyxy_px)
    boxes = ((found.boxes_xyxy_px - shift) / scale).clamp(min=0).minimum(limit)
    return Detections(boxes, found.scores, found.classes)
