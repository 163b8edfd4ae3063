"""The detection loss: class scores, boxes and distance distributions against assigned targets.

Binary cross-entropy with the assigned scores as soft targets, CIoU (arXiv 1911.08287) and the
distribution focal loss (GFL, arXiv 2006.04388, equation 6), the latter two weighted by the target
score. All are divided by the sum of the target scores over all ranks, so that neither the split
over ranks nor the number of boxes changes their scale. Computed in float32. Inside of a region that
the authors of the labels excluded, background is no mistake and no lesson. A branch that needs no
suppression learns the same, from one point a box, and its loss is added.

Shape legend: B pairs, M boxes a pair (padded), A anchor points, C classes, R bins, K points that
may be foreground.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from fusetrain import distributed
from fusetrain.boxes import around_points, complete_iou, distances_px, sides_around
from fusetrain.loss.assign import Targets, TaskAlignedAssigner
from fusetrain.sample import Batch, RawPredictions


@dataclass(frozen=True)
class LossTerms:
    """The loss of one micro-step.

    Attributes:
        total: () what is differentiated; carries a share of every parameter, boxes or not.
        items: (3,) box, cls and dfl with their gains, detached; their mean over the ranks is the
            loss of the whole micro-step.
        pairs: () pairs of the whole micro-step by the number of ranks.
    """

    total: Tensor
    items: Tensor
    pairs: Tensor


class TrainingLoss(Protocol):
    """Compares what a model predicts in training with the boxes of a batch."""

    def __call__(self, predictions: Any, batch: Batch, *, pairs: int | None = None) -> LossTerms:
        """Return the loss, of which ``pairs`` pairs of the batch count; None: all of them."""


@dataclass(frozen=True)
class DetectionLoss:
    """Assign targets and compare.

    Attributes:
        box_gain: Gain of the CIoU loss.
        class_gain: Gain of the classification loss.
        dfl_gain: Gain of the distribution focal loss.
        label_smoothing: Share taken from the target scores, in [0, 1).
        assigner: Decides which point learns which box.
        one_to_one_assigner: The same for the branch that needs no suppression: with the metric of
            the other, so that its one point is the best of the others' (YOLOv10, arXiv 2405.14458,
            section 3.1, with r = 1).
    """

    box_gain: float = 7.5
    class_gain: float = 0.5
    dfl_gain: float = 1.5
    label_smoothing: float = 0.0
    assigner: TaskAlignedAssigner = field(default_factory=TaskAlignedAssigner)
    one_to_one_assigner: TaskAlignedAssigner = field(
        default_factory=lambda: TaskAlignedAssigner(top_k=1)
    )

    def __call__(
        self, predictions: RawPredictions, batch: Batch, *, pairs: int | None = None
    ) -> LossTerms:
        """Return the loss of ``predictions`` for the boxes of ``batch``, on the same device.

        Every rank must call it at the same time: the target sum is that of all ranks.

        Args:
            predictions: Of the detector.
            batch: What it was shown.
            pairs: Pairs of the batch that count; None: all of them.
        """
        counted = len(batch) if pairs is None else pairs
        branches = self._branches(predictions, batch)
        scales, mean_pairs = _normalisers(
            torch.stack([each[3].detach() for each in branches]), counted
        )
        items = torch.stack([sums[:3] for sums in branches]) * scales[:, None]
        items = items.sum(0)
        return LossTerms(total=items.sum(), items=items.detach(), pairs=mean_pairs)

    def sums(self, predictions: RawPredictions, batch: Batch) -> Tensor:
        """Return (branches, 4) sums of box, cls and dfl with their gains, and of target scores.

        Those of many batches may be added up, see `mean_items`; ranks need not call together.
        """
        return torch.stack(self._branches(predictions, batch)).detach()

    def _branches(self, predictions: RawPredictions, batch: Batch) -> list[Tensor]:
        """Return the (4,) of `sums` of each branch."""
        found = [self._sums_of(predictions, batch, self.assigner)]
        if predictions.one_to_one is not None:
            found.append(self._sums_of(predictions.one_to_one, batch, self.one_to_one_assigner))
        return found

    def _sums_of(
        self, predictions: RawPredictions, batch: Batch, assigner: TaskAlignedAssigner
    ) -> Tensor:
        truth, classes, is_box = _at_least_one(batch)
        class_logits = predictions.class_logits.float()
        with torch.no_grad():
            sides = distances_px(predictions.distance_logits, predictions.strides_px)
            boxes = around_points(predictions.anchors_xy_px, sides)
        targets = assigner(
            class_logits.sigmoid(),
            boxes,
            predictions.anchors_xy_px,
            truth_xyxy_px=truth,
            truth_classes=classes,
            is_box=is_box,
            min_side_px=predictions.strides_px[0],
        )
        excluded = _excluded(batch, predictions.anchors_xy_px, num_classes=class_logits.shape[-1])
        candidates = truth.shape[1] * assigner.top_k
        box_loss, dfl_loss = _box_losses(predictions, targets, candidates)
        return torch.stack(
            (
                self.box_gain * box_loss,
                self.class_gain * self._class_loss(class_logits, targets, excluded),
                self.dfl_gain * dfl_loss,
                targets.scores.sum(),
            )
        )

    def _class_loss(
        self, class_logits: Tensor, targets: Targets, excluded: Tensor | None
    ) -> Tensor:
        wanted = targets.scores * (1.0 - self.label_smoothing)
        compare = functional.binary_cross_entropy_with_logits
        if excluded is None:
            return compare(class_logits, wanted, reduction="sum")
        is_unknown = excluded & (targets.scores == 0.0)
        return compare(class_logits, wanted, reduction="none").masked_fill(is_unknown, 0.0).sum()


@dataclass(frozen=True)
class SeparateLosses:
    """The loss of detectors that learn side by side and know nothing of each other.

    Attributes:
        loss: Of one of them.
    """

    loss: DetectionLoss

    def __call__(
        self, predictions: Sequence[RawPredictions], batch: Batch, *, pairs: int | None = None
    ) -> LossTerms:
        """Return the sum to be differentiated, so that each learns as alone, and mean items."""
        terms = [self.loss(each, batch, pairs=pairs) for each in predictions]
        return LossTerms(
            total=torch.stack([each.total for each in terms]).sum(),
            items=torch.stack([each.items for each in terms]).mean(0),
            pairs=terms[0].pairs,
        )


def _at_least_one(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return boxes, classes and mask with M >= 1, so that no reduction runs over nothing."""
    if batch.classes.shape[1]:
        return batch.boxes_xyxy_px, batch.classes, batch.is_box
    pairs = len(batch)
    return (
        batch.boxes_xyxy_px.new_zeros(pairs, 1, 4),
        batch.classes.new_zeros(pairs, 1),
        batch.is_box.new_zeros(pairs, 1),
    )


def _excluded(batch: Batch, anchors_xy_px: Tensor, *, num_classes: int) -> Tensor | None:
    """Return (B, A, C) bool: classes that are unknown at a point, as it lies in a region of them.

    None where no pair has any.
    """
    if not batch.excluded_classes.shape[1]:
        return None
    points = anchors_xy_px[None, :, None]  # (1, A, 1, 2) against (B, 1, K, 2)
    low, high = batch.excluded_xyxy_px[:, None].split(2, dim=-1)
    is_inside = ((points >= low) & (points < high)).all(dim=-1)  # (B, A, K)
    own = batch.excluded_classes.unsqueeze(-1)  # (B, K, 1)
    is_class = (own == torch.arange(num_classes, device=own.device)) | (own < 0)
    return torch.bmm(is_inside.float(), is_class.float()) > 0.0


def mean_items(sums: Tensor) -> Tensor:
    """Return (3,) box, cls and dfl of the (branches, 4) of `DetectionLoss.sums`, added up.

    They do not depend on how the pairs were split into batches.
    """
    return (sums[:, :3] / sums[:, 3:].clamp(min=1.0)).sum(0)


def _normalisers(target_sums: Tensor, pairs: int) -> tuple[Tensor, Tensor]:
    """Return one over the target score sums (N,) of all ranks together, and mean pairs.

    Gradients are averaged over ranks: the factor of the world's size makes each rank's loss its
    part of the global mean.
    """
    ranks = distributed.world_size()
    own = torch.cat((target_sums, target_sums.new_full((1,), pairs)))
    totals = distributed.sum_over_ranks(own)
    return ranks / totals[:-1].clamp(min=1.0), totals[-1] / ranks


def _box_losses(
    predictions: RawPredictions, targets: Targets, candidates: int
) -> tuple[Tensor, Tensor]:
    """Return the weighted sums of 1 - CIoU and of the distribution focal loss.

    Only the K points of greatest weight are looked at: no more can be foreground, and K follows
    from shapes alone.
    """
    weights, point = targets.weights.topk(min(candidates, targets.weights.shape[1]), dim=1)
    logits = predictions.distance_logits
    index = point[..., None, None].expand(-1, -1, *logits.shape[2:])
    logits = logits.gather(1, index).float()  # (B, K, 4, R)
    wanted = targets.boxes_xyxy_px.gather(1, point.unsqueeze(-1).expand(-1, -1, 4))
    anchors, strides = predictions.anchors_xy_px[point], predictions.strides_px[point]
    boxes = around_points(anchors, distances_px(logits, strides))
    box_loss = ((1.0 - complete_iou(boxes, wanted)) * weights).sum()
    distances = sides_around(anchors, wanted) / strides.unsqueeze(-1)
    dfl_loss = (_distribution_focal(logits, distances).mean(dim=-1) * weights).sum()
    return box_loss, dfl_loss


def _distribution_focal(logits: Tensor, distances: Tensor) -> Tensor:
    """Return the loss (..., 4) of bin logits (..., 4, R) for distances (..., 4) in strides.

    The two bins around the distance share the cross-entropy by their nearness to it.
    """
    distances = distances.clamp(min=0.0, max=logits.shape[-1] - 1.01)
    lower = distances.floor()
    share = distances - lower
    log_probabilities = logits.log_softmax(dim=-1)
    left = lower.long().unsqueeze(-1)
    at_left = log_probabilities.gather(-1, left).squeeze(-1)
    at_right = log_probabilities.gather(-1, left + 1).squeeze(-1)
    return -(at_left * (1.0 - share) + at_right * share)
