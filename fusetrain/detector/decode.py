"""Predictions to boxes, and boxes to detections: what a detector says, or what a file of it says.

Decoding moves no tensor; suppression does, once a batch.
Shape legend: see `sample.RawPredictions`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fusetrain.boxes import around_points, distances_px
from fusetrain.errors import RunError
from fusetrain.sample import DecodedPredictions, Detections, RawPredictions

MAX_CANDIDATES = 2000
MAX_DETECTIONS = 300

Predictions = RawPredictions | DecodedPredictions | Sequence[Detections]
"""What the head says, the same decoded, or what a model that suppresses by itself has found."""


def decode(predictions: RawPredictions) -> tuple[Tensor, Tensor]:
    """Return boxes (B, A, 4) xyxy px on the canvas and scores (B, A, C) in [0, 1]."""
    sides = distances_px(predictions.distance_logits, predictions.strides_px)
    boxes = around_points(predictions.anchors_xy_px, sides)
    return boxes, predictions.class_logits.float().sigmoid()


def detections(
    predictions: Predictions,
    *,
    confidence: float,
    overlap: float | None,
    max_detections: int = MAX_DETECTIONS,
) -> list[Detections]:
    """Return the detections of each pair, in canvas pixels.

    An anchor point may report several classes; suppression works within a class.

    Args:
        predictions: What the model said for the batch.
        confidence: Lowest score that counts, in [0, 1].
        overlap: IoU above which the lower score is dropped, in [0, 1]; None asks the branch that
            needs no suppression. A model that suppresses by itself has done so at its own.
        max_detections: Most detections of a pair.

    Raises:
        RunError: There is no branch that needs no suppression.
    """
    if isinstance(predictions, Sequence):
        return [_confident(found, confidence) for found in predictions]
    if overlap is None:
        if not isinstance(predictions, RawPredictions) or predictions.one_to_one is None:
            raise RunError("the detector has no branch that needs no suppression")
        predictions = predictions.one_to_one
    if isinstance(predictions, RawPredictions):
        boxes, scores = decode(predictions)
    else:
        boxes, scores = predictions.boxes_xyxy_px, predictions.scores
    return [
        _chosen(pair_boxes, pair_scores, confidence, overlap, max_detections)
        for pair_boxes, pair_scores in zip(boxes, scores, strict=True)
    ]


def _confident(found: Detections, confidence: float) -> Detections:
    """Keep the detections that count; their best comes first."""
    return _at(found, slice(int((found.scores >= confidence).sum())))


def _chosen(
    boxes: Tensor, scores: Tensor, confidence: float, overlap: float | None, max_detections: int
) -> Detections:
    """Keep the best candidates of one pair, suppressed or not: boxes (A, 4), scores (A, C)."""
    anchor, label = (scores >= confidence).nonzero(as_tuple=True)
    candidate_scores = scores[anchor, label]
    best = candidate_scores.argsort(descending=True, stable=True)[:MAX_CANDIDATES]
    anchor, label, candidate_scores = anchor[best], label[best], candidate_scores[best]
    candidate_boxes = boxes[anchor]
    found = Detections(candidate_boxes, candidate_scores, label)
    if overlap is None:
        return _at(found, slice(max_detections))
    from torchvision.ops import batched_nms  # here: it takes a second, and training starts without

    kept = batched_nms(candidate_boxes, candidate_scores, label, overlap)[:max_detections]
    return _at(found, kept)


def _at(found: Detections, rows: Tensor | slice) -> Detections:
    return Detections(found.boxes_xyxy_px[rows], found.scores[rows], found.classes[rows])


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
