"""Task-aligned assignment: which anchor points learn which box (TOOD, arXiv 2108.07755).

An anchor point may learn a box when it lies inside; among those the ones that already score and
overlap best are taken. No tensor leaves the device and no shape depends on values, so that the step
never waits for the device.

Shape legend: B pairs, M boxes a pair (padded), A anchor points, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusetrain.boxes import iou

SMALLEST_METRIC = 1e-30


@dataclass(frozen=True)
class Targets:
    """What every anchor point shall say.

    Attributes:
        scores: (B, A, C) target of the class scores in [0, 1]; zero on background.
        boxes_xyxy_px: (B, A, 4) box to learn; meaningless on background.
        weights: (B, A) weight of the box losses: the target score; zero on background.
    """

    scores: Tensor
    boxes_xyxy_px: Tensor
    weights: Tensor


@dataclass(frozen=True)
class TaskAlignedAssigner:
    """Assign boxes to anchor points by ``score ** alpha * IoU ** beta``.

    Attributes:
        top_k: Anchor points of a box at most.
        alpha: Exponent of the score.
        beta: Exponent of the IoU.
    """

    top_k: int = 10
    alpha: float = 0.5
    beta: float = 6.0

    @torch.no_grad()
    def __call__(
        self,
        scores: Tensor,
        boxes_xyxy_px: Tensor,
        anchors_xy_px: Tensor,
        *,
        truth_xyxy_px: Tensor,
        truth_classes: Tensor,
        is_box: Tensor,
        min_side_px: Tensor,
    ) -> Targets:
        """Return the targets.

        Args:
            scores: (B, A, C) predicted scores in [0, 1].
            boxes_xyxy_px: (B, A, 4) predicted boxes.
            anchors_xy_px: (A, 2).
            truth_xyxy_px: (B, M, 4), M >= 1.
            truth_classes: (B, M) int64.
            is_box: (B, M) bool, False on padding.
            min_side_px: () boxes count as at least this wide and high when points are sought
                inside: the finest stride, so that every box holds the centre of some cell.
        """
        overlap = iou(truth_xyxy_px.unsqueeze(2), _by_side(boxes_xyxy_px).unsqueeze(1))  # (B, M, A)
        own_score = _scores_of_class(scores, truth_classes)
        # Cubes and squares are taken without a logarithm, other powers are not.
        metric = own_score.pow(self.alpha) * overlap.pow(self.beta / 2).square()
        inside = _inside(anchors_xy_px, truth_xyxy_px, min_side_px) & is_box.unsqueeze(-1)
        chosen = self._best_points(metric, inside)
        owner = _owners(chosen, overlap)
        chosen &= _numbers(chosen).unsqueeze(-1) == owner.unsqueeze(1)
        weights = _weights(chosen, metric, overlap)
        owner = owner.long()
        classes = truth_classes.gather(1, owner).unsqueeze(-1)
        return Targets(
            scores=torch.zeros_like(scores).scatter_(2, classes, weights.unsqueeze(-1)),
            boxes_xyxy_px=truth_xyxy_px.gather(1, owner.unsqueeze(-1).expand(-1, -1, 4)),
            weights=weights,
        )

    def _best_points(self, metric: Tensor, inside: Tensor) -> Tensor:
        """Return (B, M, A) bool: the ``top_k`` points of each box that lie inside it."""
        ranked = torch.where(inside, metric, -1.0)
        best = ranked.topk(min(self.top_k, metric.shape[-1]), dim=-1).indices
        return torch.zeros_like(inside).scatter_(-1, best, True) & inside


def _by_side(boxes_xyxy_px: Tensor) -> Tensor:
    """Return the boxes (B, A, 4) with each side of all of them together in memory.

    Operations on many boxes against many points then run over dense rows.
    """
    return boxes_xyxy_px.movedim(-1, 0).contiguous().movedim(0, -1)


def _scores_of_class(scores: Tensor, truth_classes: Tensor) -> Tensor:
    """Return (B, M, A): the score of every point for the class of every box."""
    index = truth_classes.unsqueeze(-1).expand(-1, -1, scores.shape[1])
    return scores.transpose(1, 2).gather(1, index)


def _inside(anchors_xy_px: Tensor, boxes_xyxy_px: Tensor, min_side_px: Tensor) -> Tensor:
    """Return (B, M, A) bool: whether a point lies in a box widened to ``min_side_px``."""
    centre = (boxes_xyxy_px[..., :2] + boxes_xyxy_px[..., 2:]) / 2
    half = ((boxes_xyxy_px[..., 2:] - boxes_xyxy_px[..., :2]) / 2).clamp(min=min_side_px / 2)
    is_within = [
        (anchors_xy_px[:, axis].contiguous() - centre[..., axis, None]).abs()
        <= half[..., axis, None]
        for axis in (0, 1)
    ]
    return is_within[0] & is_within[1]


def _numbers(chosen: Tensor) -> Tensor:
    """Return (M,) int32: the boxes, counted."""
    return torch.arange(chosen.shape[1], dtype=torch.int32, device=chosen.device)


def _owners(chosen: Tensor, overlap: Tensor) -> Tensor:
    """Return (B, A) int32: of the boxes that want a point, the one that it overlaps best.

    Of several that it overlaps alike it is the first; on background it is any box.
    """
    wanted = torch.where(chosen, overlap, -1.0)
    # Not argmax over boxes, which takes several times as long as these together.
    is_best = wanted == wanted.amax(dim=1, keepdim=True)
    last = chosen.shape[1] - 1
    return torch.where(is_best, _numbers(chosen).unsqueeze(-1), last).amin(dim=1)


def _weights(chosen: Tensor, metric: Tensor, overlap: Tensor) -> Tensor:
    """Return (B, A): the metric, scaled so that the best point of a box gets its best IoU.

    TOOD, section 3.2.
    """
    metric = metric * chosen
    best_metric = metric.amax(dim=-1, keepdim=True)
    best_overlap = (overlap * chosen).amax(dim=-1, keepdim=True)
    # The metric of a small box that is badly met is as small as 1e-16 at first; a common guard such
    # as 1e-9 in the division would swallow it, and the box would never be learned.
    scale = best_overlap / best_metric.clamp(min=SMALLEST_METRIC)
    return (metric * scale).amax(dim=1)
