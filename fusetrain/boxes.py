"""Box conversions and overlaps as pure tensor functions; the layout stands in every name.

``xyxy`` is left, top, right, bottom; ``cxcywh`` is centre, width, height; ``px`` counts pixels of
the image or canvas at hand, ``unit`` is a share of its width and height.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-7


def cxcywh_unit_to_xyxy_px(boxes_cxcywh_unit: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Convert (..., 4) boxes from shares of an image of ``size_hw`` to pixel corners."""
    height, width = size_hw
    centre_x, centre_y, box_width, box_height = boxes_cxcywh_unit.unbind(-1)
    return torch.stack(
        (
            (centre_x - box_width / 2) * width,
            (centre_y - box_height / 2) * height,
            (centre_x + box_width / 2) * width,
            (centre_y + box_height / 2) * height,
        ),
        dim=-1,
    )


def areas_px(boxes_xyxy_px: Tensor) -> Tensor:
    """Return the areas (...,) of (..., 4) boxes; negative extents count as zero."""
    left, top, right, bottom = boxes_xyxy_px.unbind(-1)
    return (right - left).clamp(min=0) * (bottom - top).clamp(min=0)


def iou(boxes_xyxy_px: Tensor, others_xyxy_px: Tensor) -> Tensor:
    """Return the overlap over union, in [0, 1], of boxes that broadcast against each other.

    Args:
        boxes_xyxy_px: (..., 4).
        others_xyxy_px: (..., 4), of a shape that broadcasts against the first.
    """
    left, top, right, bottom = boxes_xyxy_px.unbind(-1)
    other_left, other_top, other_right, other_bottom = others_xyxy_px.unbind(-1)
    width = torch.minimum(right, other_right) - torch.maximum(left, other_left)
    height = torch.minimum(bottom, other_bottom) - torch.maximum(top, other_top)
    intersection = width.clamp(min=0) * height.clamp(min=0)
    union = areas_px(boxes_xyxy_px) + areas_px(others_xyxy_px) - intersection
    return intersection / (union + EPSILON)


def complete_iou(boxes_xyxy_px: Tensor, targets_xyxy_px: Tensor) -> Tensor:
    """Return CIoU (...,) in (-2, 1] of (..., 4) boxes with their targets.

    CIoU takes from the IoU the normalised distance of the centres and the difference of the aspect
    ratios (Zheng et al., arXiv 1911.08287, equations 7 to 11); the weight of the latter carries no
    gradient, as the paper asks.
    """
    overlap = iou(boxes_xyxy_px, targets_xyxy_px)
    hull = torch.maximum(boxes_xyxy_px[..., 2:], targets_xyxy_px[..., 2:]) - torch.minimum(
        boxes_xyxy_px[..., :2], targets_xyxy_px[..., :2]
    )
    diagonal_squared = hull.square().sum(dim=-1) + EPSILON
    centre_shift = (
        boxes_xyxy_px[..., :2]
        + boxes_xyxy_px[..., 2:]
        - targets_xyxy_px[..., :2]
        - targets_xyxy_px[..., 2:]
    ) / 2
    distance = centre_shift.square().sum(dim=-1) / diagonal_squared
    aspect = (4 / math.pi**2) * (_angle(targets_xyxy_px) - _angle(boxes_xyxy_px)).square()
    with torch.no_grad():
        weight = aspect / (1 - overlap + aspect + EPSILON)
    return overlap - distance - weight * aspect


def _angle(boxes_xyxy_px: Tensor) -> Tensor:
    width, height = (boxes_xyxy_px[..., 2:] - boxes_xyxy_px[..., :2]).unbind(-1)
    return torch.atan(width / (height + EPSILON))


def distances_px(distance_logits: Tensor, strides_px: Tensor) -> Tensor:
    """Return the mean side distances (..., A, 4) of distributions (..., A, 4, R) over R bins.

    Bin b stands for b strides; the mean is taken in float32 (GFL, arXiv 2006.04388, equation 5).
    """
    bins = torch.arange(distance_logits.shape[-1], device=distance_logits.device)
    expected = distance_logits.float().softmax(dim=-1) @ bins.float()
    return expected * strides_px.unsqueeze(-1)


def around_points(points_xy_px: Tensor, sides_px: Tensor) -> Tensor:
    """Return the boxes (..., 4) xyxy px whose left, top, right, bottom lie ``sides_px`` away."""
    return torch.cat((points_xy_px - sides_px[..., :2], points_xy_px + sides_px[..., 2:]), dim=-1)


def sides_around(points_xy_px: Tensor, boxes_xyxy_px: Tensor) -> Tensor:
    """Return how far left, top, right, bottom (..., 4) of the boxes lie from the points."""
    return torch.cat(
        (points_xy_px - boxes_xyxy_px[..., :2], boxes_xyxy_px[..., 2:] - points_xy_px), dim=-1
    )
