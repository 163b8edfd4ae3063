import math
from dataclasses import replace

import pytest
import torch

from fusetrain.boxes import complete_iou, iou
from fusetrain.loss.detection import DetectionLoss, _distribution_focal
from fusetrain.sample import Batch, RawPredictions

NUM_BINS = 16


def test_focal_distribution_loss_is_the_entropy_between_the_two_nearest_bins() -> None:
    logits = torch.zeros(1, 4, NUM_BINS)
    loss = _distribution_focal(logits, torch.tensor([[2.25, 0.0, 14.5, 99.0]]))
    torch.testing.assert_close(loss, torch.full((1, 4), math.log(NUM_BINS)))


def test_focal_distribution_loss_is_least_at_the_true_share() -> None:
    wanted = torch.tensor([[2.25]])
    logits = torch.full((1, 1, NUM_BINS), -50.0)
    logits[..., 2], logits[..., 3] = math.log(0.75), math.log(0.25)
    best = _distribution_focal(logits, wanted)
    logits[..., 3] += 0.5
    assert _distribution_focal(logits, wanted) > best


def test_complete_iou_of_equal_boxes_is_one_and_falls_with_distance() -> None:
    box = torch.tensor([10.0, 10.0, 30.0, 50.0])
    near, far = box + 40.0, box + 80.0
    torch.testing.assert_close(complete_iou(box, box), torch.tensor(1.0))
    assert iou(box, near) == iou(box, far) == 0
    assert 0 > complete_iou(box, near) > complete_iou(box, far) > -2


def test_complete_iou_matches_torchvision() -> None:
    from torchvision.ops import complete_box_iou_loss

    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(200, 2, 4, generator=generator) * 100
    boxes = torch.cat((corners[..., :2], corners[..., :2] + corners[..., 2:] + 1), dim=-1)
    expected = 1 - complete_box_iou_loss(boxes[:, 0], boxes[:, 1])
    torch.testing.assert_close(
        complete_iou(boxes[:, 0], boxes[:, 1]), expected, atol=1e-5, rtol=1e-5
    )


def example(num_boxes: int, *, seed: int = 0) -> tuple[RawPredictions, Batch]:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.arange(4) * 16.0 + 8.0
    anchors = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1).reshape(-1, 2)
    raw = RawPredictions(
        class_logits=torch.randn(2, 16, 3, generator=generator).requires_grad_(),
        distance_logits=torch.randn(2, 16, 4, NUM_BINS, generator=generator).requires_grad_(),
        anchors_xy_px=anchors,
        strides_px=torch.full((16,), 16.0),
    )
    batch = Batch(
        pixels=torch.zeros(2, 64, 64, 4, dtype=torch.uint8),
        boxes_xyxy_px=torch.tensor([4.0, 4.0, 44.0, 60.0]).expand(2, num_boxes, 4),
        classes=torch.ones(2, num_boxes, dtype=torch.int64),
        is_box=torch.ones(2, num_boxes, dtype=torch.bool),
        sample_ids=torch.arange(2),
        canvas_from_original=torch.ones(2, 4),
        original_sizes_hw=torch.full((2, 2), 64),
    )
    return raw, batch


@pytest.mark.parametrize("num_boxes", [0, 1, 3])
@pytest.mark.fault(37)
def test_loss_is_finite_and_reaches_every_logit(num_boxes: int) -> None:
    raw, batch = example(num_boxes)
    terms = DetectionLoss()(raw, batch)
    terms.total.backward()
    assert terms.items.isfinite().all()
    assert raw.class_logits.grad is not None
    assert raw.class_logits.grad.isfinite().all()
    assert raw.distance_logits.grad is not None
    assert raw.distance_logits.grad.isfinite().all()
    assert (raw.distance_logits.grad.abs().sum() > 0) == (num_boxes > 0)


def test_gains_scale_their_terms() -> None:
    raw, batch = example(2)
    one = DetectionLoss(box_gain=1, class_gain=1, dfl_gain=1)(raw, batch).items
    many = DetectionLoss(box_gain=2, class_gain=3, dfl_gain=4)(raw, batch).items
    torch.testing.assert_close(many, one * torch.tensor([2.0, 3.0, 4.0]))


def test_padding_does_not_change_the_loss() -> None:
    raw, batch = example(2)
    padded = Batch(
        pixels=batch.pixels,
        boxes_xyxy_px=torch.cat((batch.boxes_xyxy_px, torch.zeros(2, 5, 4)), dim=1),
        classes=torch.cat((batch.classes, torch.zeros(2, 5, dtype=torch.int64)), dim=1),
        is_box=torch.cat((batch.is_box, torch.zeros(2, 5, dtype=torch.bool)), dim=1),
        sample_ids=batch.sample_ids,
        canvas_from_original=batch.canvas_from_original,
        original_sizes_hw=batch.original_sizes_hw,
    )
    torch.testing.assert_close(
        DetectionLoss()(raw, padded).items, DetectionLoss()(raw, batch).items
    )


def excluding(batch: Batch, *regions: tuple[float, float, float, float, int]) -> Batch:
    """Return the batch with regions (x1, y1, x2, y2, class) in its second pair, and padding."""
    rows = torch.tensor([regions, [(0.0, 0.0, 0.0, 0.0, 0)] * len(regions)]).flip(0)
    return replace(batch, excluded_xyxy_px=rows[..., :4], excluded_classes=rows[..., 4].long())


def class_gradient(raw: RawPredictions, batch: Batch) -> torch.Tensor:
    (gradient,) = torch.autograd.grad(DetectionLoss()(raw, batch).total, raw.class_logits)
    return gradient


@pytest.mark.parametrize("own_class", [-1, 0, 1, 2])
def test_background_in_an_excluded_region_teaches_nothing(own_class: int) -> None:
    """Points at 8, 24, 40 and 56 px along both axes: four of them lie in the region."""
    raw, batch = example(0)
    free = class_gradient(raw, batch)
    regional = class_gradient(raw, excluding(batch, (0.0, 24.0, 40.0, 56.0, own_class)))
    unknown = torch.zeros(2, 16, 3, dtype=torch.bool)
    columns = range(3) if own_class < 0 else [own_class]
    for point in (4, 5, 8, 9):
        unknown[1, point, list(columns)] = True
    assert (free != 0).all()
    torch.testing.assert_close(regional, torch.where(unknown, 0.0, free))


def test_a_box_in_an_excluded_region_is_learned_as_elsewhere() -> None:
    raw, batch = example(1)
    free = class_gradient(raw, batch)
    regional = class_gradient(raw, excluding(batch, (0.0, 0.0, 64.0, 64.0, -1)))
    targets = DetectionLoss()(raw, batch)
    assert targets.items.isfinite().all()
    learned = regional[1] != 0
    assert 0 < learned[:, 1].sum() <= 10
    assert not learned[:, [0, 2]].any()
    torch.testing.assert_close(regional[1][learned], free[1][learned])
    torch.testing.assert_close(regional[0], free[0])
    terms = DetectionLoss()(raw, excluding(batch, (0.0, 0.0, 64.0, 64.0, -1)))
    torch.testing.assert_close(terms.items[[0, 2]], targets.items[[0, 2]])


def test_descent_on_the_logits_alone_finds_the_box() -> None:
    raw, batch = example(1)
    optimizer = torch.optim.Adam([raw.class_logits, raw.distance_logits], lr=0.1)
    loss = DetectionLoss()
    first = loss(raw, batch).total.item()
    for _ in range(200):
        optimizer.zero_grad()
        terms = loss(raw, batch)
        terms.total.backward()
        optimizer.step()
    assert terms.total.item() < first / 4
    assert terms.items[0].item() < 0.3 * loss.box_gain
