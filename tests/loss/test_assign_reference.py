"""The assigner against one written with loops, on drawn boxes and predictions."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusetrain.boxes import iou
from fusetrain.loss.assign import TaskAlignedAssigner

SIDE = 64
CENTRES = torch.arange(SIDE // 8) * 8.0 + 4.0
ANCHORS = torch.stack(torch.meshgrid(CENTRES, CENTRES, indexing="xy"), dim=-1).reshape(-1, 2)
CLASSES = 3
TOP_K = 5


def by_loops(
    scores: torch.Tensor, boxes: torch.Tensor, truth: torch.Tensor, classes: list[int]
) -> torch.Tensor:
    """Return the target scores (A, C) of one picture."""
    wants: dict[int, list[int]] = {}
    overlap = iou(truth[:, None], boxes[None])
    metric = torch.stack([scores[:, own] for own in classes]) ** 0.5 * overlap**6
    for number, box in enumerate(truth):
        centre, half = (box[:2] + box[2:]) / 2, ((box[2:] - box[:2]) / 2).clamp(min=4)
        inside = [point for point, at in enumerate(ANCHORS) if ((at - centre).abs() <= half).all()]
        inside.sort(key=lambda point: -float(metric[number, point]))
        for point in inside[:TOP_K]:
            wants.setdefault(point, []).append(number)
    owner = {
        point: max(mine, key=lambda n: float(overlap[n, point])) for point, mine in wants.items()
    }
    targets = torch.zeros(len(ANCHORS), CLASSES)
    for number, own in enumerate(classes):
        mine = [point for point, who in owner.items() if who == number]
        if mine:
            scale = overlap[number, mine].max() / metric[number, mine].max().clamp(min=1e-30)
            targets[mine, own] = metric[number, mine] * scale
    return targets


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_targets_are_those_of_the_loops(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 40
    truth = torch.cat((corners, corners + 4 + torch.rand(count, 2, generator=generator) * 24), 1)
    truth[-1] = truth[0]  # two boxes that are alike: the first one gets the points
    classes = torch.randint(0, CLASSES, (count,), generator=generator)
    scores = torch.rand(len(ANCHORS), CLASSES, generator=generator)
    reach = torch.rand(len(ANCHORS), 4, generator=generator) * 16 + 1
    boxes = torch.cat((ANCHORS - reach[:, :2], ANCHORS + reach[:, 2:]), dim=1)
    targets = TaskAlignedAssigner(top_k=TOP_K)(
        scores[None],
        boxes[None],
        ANCHORS,
        truth_xyxy_px=truth[None],
        truth_classes=classes[None],
        is_box=torch.ones(1, count, dtype=torch.bool),
        min_side_px=torch.tensor(8.0),
    )
    expected = by_loops(scores, boxes, truth, classes.tolist())
    torch.testing.assert_close(targets.scores[0], expected, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(targets.weights[0], expected.amax(1), rtol=1e-3, atol=1e-6)
