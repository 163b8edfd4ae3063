"""The second head: one point a box, no gradient into the features, every parameter in the graph."""

from __future__ import annotations

import pytest
import torch

from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.loss.assign import TaskAlignedAssigner
from fusetrain.loss.detection import DetectionLoss
from fusetrain.sample import Batch

SIZE = 64
BOXES = torch.tensor([[6.0, 8.0, 30.0, 60.0], [34.0, 10.0, 60.0, 40.0]])


def batch(*, boxes: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        pixels=torch.randint(0, 256, (2, SIZE, SIZE, 4), generator=generator, dtype=torch.uint8),
        boxes_xyxy_px=BOXES[:boxes].expand(2, boxes, 4),
        classes=torch.arange(boxes).expand(2, boxes),
        is_box=torch.ones(2, boxes, dtype=torch.bool),
        sample_ids=torch.arange(2),
        canvas_from_original=torch.tensor([[1.0, 1.0, 0.0, 0.0]] * 2),
        original_sizes_hw=torch.tensor([[SIZE, SIZE]] * 2),
    )


def gradients(kind: str, data: Batch, *, one_to_one: bool) -> dict[str, torch.Tensor | None]:
    torch.manual_seed(0)
    detector = build_detector(DetectorSpec(kind, "concat", "csp", "n", 0.25, 2, one_to_one))
    predictions = detector(data.rgb / 255, data.ir / 255)
    assert (predictions.one_to_one is not None) == one_to_one
    DetectionLoss()(predictions, data).total.backward()
    return {name: value.grad for name, value in detector.named_parameters()}


def of_second_head(name: str) -> bool:
    return "one_to_one" in name


@pytest.mark.parametrize("kind", ["data", "decision"])
def test_second_head_learns_and_changes_nothing_else(kind: str) -> None:
    data = batch(boxes=2)
    alone, beside = (gradients(kind, data, one_to_one=there) for there in (False, True))
    own = [value for name, value in beside.items() if of_second_head(name)]
    assert own
    assert all(value is not None and value.isfinite().all() for value in own)
    assert any(value.abs().sum() > 0 for value in own if value is not None)
    if kind == "data":  # of which all weights are drawn before those of the second head
        assert all(torch.equal(value, beside[name]) for name, value in alone.items())


@pytest.mark.parametrize("kind", ["data", "decision"])
@pytest.mark.parametrize("boxes", [0, 2])
def test_every_parameter_has_a_gradient(kind: str, boxes: int) -> None:
    found = gradients(kind, batch(boxes=boxes), one_to_one=True)
    assert [name for name, value in found.items() if value is None] == []


def test_loss_of_the_second_head_reaches_nothing_but_its_branches() -> None:
    torch.manual_seed(0)
    detector = build_detector(DetectorSpec("decision", "concat", "csp", "n", 0.25, 2, True))
    data = batch(boxes=2)
    second = detector(data.rgb / 255, data.ir / 255).one_to_one
    DetectionLoss()(second, data).total.backward()
    reached = {name for name, value in detector.named_parameters() if value.grad is not None}
    assert reached == {name for name, _ in detector.named_parameters() if of_second_head(name)}


def test_assignment_is_one_to_one_and_the_best_of_one_to_many() -> None:
    centres = torch.arange(8) * 8.0 + 4.0
    anchors = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1).reshape(-1, 2)
    generator = torch.Generator().manual_seed(3)
    scores = torch.rand(2, len(anchors), 2, generator=generator)
    sides = 4 + 20 * torch.rand(2, len(anchors), 4, generator=generator)
    predicted = torch.cat((anchors - sides[..., :2], anchors + sides[..., 2:]), dim=-1)
    truth = batch(boxes=2)
    loss = DetectionLoss()

    def weights(assigner: TaskAlignedAssigner) -> tuple[torch.Tensor, torch.Tensor]:
        targets = assigner(
            scores,
            predicted,
            anchors,
            truth_xyxy_px=truth.boxes_xyxy_px,
            truth_classes=truth.classes,
            is_box=truth.is_box,
            min_side_px=torch.tensor(8.0),
        )
        return targets.scores, targets.boxes_xyxy_px

    one, _ = weights(loss.one_to_one_assigner)
    many, _ = weights(loss.assigner)
    assert ((one > 0).sum(dim=1) == 1).all()  # of each box (each of a class of its own)
    assert ((one > 0).sum(dim=2) <= 1).all()  # of each point
    assert ((many > 0).sum(dim=1) > 1).all()
    assert torch.equal(one.argmax(dim=1), many.argmax(dim=1))
