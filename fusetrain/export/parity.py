"""How far an exported file is from the detector it was made of, on pictures like real ones.

Numbers are compared one by one, detections as a set: two boxes of nearly equal scores may change
places, and then suppression may rightly keep the other one.
Shape legend: A anchor points, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fusetrain.boxes import iou
from fusetrain.data.demo import demo_pair
from fusetrain.data.transforms import up_to_stride
from fusetrain.detector.decode import MAX_CANDIDATES, MAX_DETECTIONS, decode, detections
from fusetrain.detector.detector import FusionDetector
from fusetrain.engine.onnx_model import OnnxDetector, OnnxInfo
from fusetrain.sample import DecodedPredictions, Detections, RawPredictions

MAX_BOX_PX = 0.1
MAX_SCORE = 1e-3
IOU_SLACK = 0.01
SEED = 0
FIXED_PAIRS = 3
# Beside the canvas itself: so small and so large that what only fits one canvas is seen.
OTHER_CANVASES_HW = ((96, 64), (224, 160))


@dataclass(frozen=True)
class Parity:
    """The largest differences between a file and its detector.

    Attributes:
        box_px: Of a box side, px.
        score: Of a score.
        missing: Detections of the detector that the file neither has nor suppresses.
        doubled: Detections of the file that overlap another one more than suppression allows.
        pairs: Number of pairs that were looked at.
        found: Number of detections of the detector, or of raw boxes, on them.
    """

    box_px: float = 0.0
    score: float = 0.0
    missing: int = 0
    doubled: int = 0
    pairs: int = 0
    found: int = 0

    @property
    def holds(self) -> bool:
        """Return whether the file does what the detector does."""
        near = self.box_px <= MAX_BOX_PX and self.score <= MAX_SCORE
        return near and not self.missing and not self.doubled

    def __str__(self) -> str:
        """Return the numbers for people."""
        text = f"boxes within {self.box_px:.2g} px, scores within {self.score:.2g}"
        if self.missing or self.doubled:
            text += f", {self.missing} detections missing, {self.doubled} doubled"
        return f"{text} ({self.found} on {self.pairs} pairs)"

    def __add__(self, other: Parity) -> Parity:
        """Return what holds for both."""
        return Parity(
            max(self.box_px, other.box_px),
            max(self.score, other.score),
            self.missing + other.missing,
            self.doubled + other.doubled,
            self.pairs + other.pairs,
            self.found + other.found,
        )


@torch.inference_mode()
def compare(detector: FusionDetector, file: OnnxDetector) -> Parity:
    """Return how far a file is from its detector, on drawn scenes; both on the CPU.

    A file of any canvas is compared on several canvases and batches.
    """
    total = Parity()
    for rgb, ir in _pictures(file):
        predictions: RawPredictions = detector(rgb, ir)
        total += parity_of(predictions, file(rgb, ir), file.info)
    return total


def parity_of(
    predictions: RawPredictions, said: DecodedPredictions | Sequence[Detections], info: OnnxInfo
) -> Parity:
    """Return how far what a file said is from what its detector predicts for the same pairs."""
    if isinstance(said, DecodedPredictions):
        return _raw_parity(predictions, said)
    return _detections_parity(predictions, said, info)


def _pictures(file: OnnxDetector) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield drawn RGB (B, 3, H, W) and IR (B, 1, H, W) in [0, 1] for the canvases of a file."""
    side = up_to_stride(file.info.weights.imgsz)
    if file.canvas_hw is not None:
        shapes = [(1, *file.canvas_hw)] * FIXED_PAIRS
    else:
        shapes = [(1, side, side), (2, up_to_stride(side // 2), side)]
        shapes += [(1, height, width) for height, width in OTHER_CANVASES_HW]
    number = 0
    for count, height, width in shapes:
        scenes = [demo_pair(SEED, number + row) for row in range(count)]
        number += count
        rgb = torch.from_numpy(np.stack([scene.rgb for scene in scenes]))
        ir = torch.from_numpy(np.stack([scene.ir for scene in scenes]))[..., None]
        yield _on_canvas(rgb, height, width), _on_canvas(ir, height, width)


def _on_canvas(pictures: Tensor, height: int, width: int) -> Tensor:
    """Return uint8 pictures (B, h, w, channels) as (B, channels, height, width) in [0, 1]."""
    images = pictures.permute(0, 3, 1, 2).float() / 255
    return functional.interpolate(images, size=(height, width), mode="bilinear")


def _raw_parity(predictions: RawPredictions, said: DecodedPredictions) -> Parity:
    boxes, scores = decode(predictions)
    return Parity(
        box_px=float((boxes - said.boxes_xyxy_px).abs().max()),
        score=float((scores - said.scores).abs().max()),
        pairs=len(boxes),
        found=boxes.shape[0] * boxes.shape[1],
    )


def _detections_parity(
    predictions: RawPredictions, said: Sequence[Detections], info: OnnxInfo
) -> Parity:
    suppresses = info.suppression == "nms"
    overlap = info.overlap if suppresses else None
    floor = info.floor if suppresses else 0.0
    wanted = detections(predictions, confidence=floor, overlap=overlap)
    branch = predictions if suppresses else predictions.one_to_one
    assert branch is not None, "a file without suppression has such a branch"
    total = Parity()
    for boxes, scores, own, found in zip(*decode(branch), wanted, said, strict=True):
        box_px, score = _distance_to_candidates(found, boxes, scores)
        limit = _lowest_certain(scores, found, floor)
        total += Parity(
            box_px=box_px,
            score=score,
            missing=_missing(own, found, limit, overlap),
            doubled=_doubled(found, overlap),
            pairs=1,
            found=len(own),
        )
    return total


def _distance_to_candidates(
    found: Detections, boxes: Tensor, scores: Tensor
) -> tuple[float, float]:
    """Return how far detections are from their candidates of boxes (A, 4), scores (A, C)."""
    if not len(found):
        return 0.0, 0.0
    box_px = (found.boxes_xyxy_px[:, None] - boxes).abs().amax(-1)  # (found, A)
    score = (found.scores[:, None] - scores[:, found.classes].T).abs()
    nearest = torch.maximum(box_px / MAX_BOX_PX, score / MAX_SCORE).argmin(dim=1, keepdim=True)
    return float(box_px.gather(1, nearest).max()), float(score.gather(1, nearest).max())


def _lowest_certain(scores: Tensor, found: Detections, floor: float) -> float:
    """Return the score above which no cut can have taken a detection away."""
    ranked = scores.flatten()
    cut = float(ranked.topk(MAX_CANDIDATES).values[-1]) if len(ranked) > MAX_CANDIDATES else 0.0
    full = float(found.scores.min()) if len(found) == MAX_DETECTIONS else 0.0
    return max(floor, cut, full) + MAX_SCORE


def _missing(own: Detections, found: Detections, limit: float, overlap: float | None) -> int:
    """Return how many detections above a limit the file neither has nor suppresses."""
    same = own.classes[:, None] == found.classes
    near_px = (own.boxes_xyxy_px[:, None] - found.boxes_xyxy_px).abs().amax(-1) <= MAX_BOX_PX
    there = same & near_px & ((own.scores[:, None] - found.scores).abs() <= MAX_SCORE)
    if overlap is not None:
        covers = iou(own.boxes_xyxy_px[:, None], found.boxes_xyxy_px) > overlap - IOU_SLACK
        there |= same & covers & (found.scores > own.scores[:, None] - MAX_SCORE)
    return int((~there.any(dim=1) & (own.scores > limit)).sum())


def _doubled(found: Detections, overlap: float | None) -> int:
    """Return how many detections overlap a better one of their class too much."""
    if overlap is None:
        return 0
    same = found.classes[:, None] == found.classes
    too_near = iou(found.boxes_xyxy_px[:, None], found.boxes_xyxy_px) > overlap + IOU_SLACK
    return int((same & too_near).triu(1).any(dim=0).sum())
