import torch

from fusetrain.loss.assign import Targets, TaskAlignedAssigner

CENTRES = torch.arange(8) * 8.0 + 4.0
ANCHORS = torch.stack(torch.meshgrid(CENTRES, CENTRES, indexing="xy"), dim=-1).reshape(-1, 2)
NUM_POINTS = len(ANCHORS)


def assign(
    truth: list[list[float]],
    *,
    predicted: torch.Tensor | None = None,
    scores: torch.Tensor | None = None,
    real: int | None = None,
    top_k: int = 10,
) -> Targets:
    boxes = torch.tensor([truth])
    if predicted is None:  # every point predicts a box of 16 px around itself
        predicted = torch.cat((ANCHORS - 8, ANCHORS + 8), dim=1)[None]
    is_box = torch.arange(len(truth))[None] < (len(truth) if real is None else real)
    return TaskAlignedAssigner(top_k=top_k)(
        torch.full((1, NUM_POINTS, 2), 0.5) if scores is None else scores,
        predicted,
        ANCHORS,
        truth_xyxy_px=boxes,
        truth_classes=torch.arange(len(truth))[None] % 2,
        is_box=is_box,
        min_side_px=torch.tensor(8.0),
    )


def test_only_points_inside_the_box_are_foreground() -> None:
    targets = assign([[8.0, 8.0, 32.0, 32.0]])
    chosen = ANCHORS[targets.weights[0] > 0]
    assert len(chosen) > 0
    assert ((chosen > 8) & (chosen < 32)).all()


def test_no_more_than_top_k_points_are_taken() -> None:
    targets = assign([[0.0, 0.0, 64.0, 64.0]], top_k=3)
    assert (targets.weights > 0).sum() == 3


def test_best_point_gets_its_overlap_as_target() -> None:
    targets = assign([[4.0, 4.0, 20.0, 20.0]])  # the box around the point at (12, 12)
    best = targets.weights[0].argmax()
    assert ANCHORS[best].tolist() == [12.0, 12.0]
    torch.testing.assert_close(targets.weights[0, best], torch.tensor(1.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(targets.scores[0, best], torch.tensor([1.0, 0.0]), atol=1e-4, rtol=0)


def test_point_in_two_boxes_goes_to_the_better_overlap() -> None:
    targets = assign([[0.0, 0.0, 64.0, 64.0], [4.0, 4.0, 20.0, 20.0]], top_k=64)
    point = ((ANCHORS - torch.tensor([12.0, 12.0])).abs().sum(1)).argmin()
    assert targets.boxes_xyxy_px[0, point].tolist() == [4.0, 4.0, 20.0, 20.0]
    assert targets.scores[0, point, 1] > 0
    assert targets.scores[0, point, 0] == 0


def test_box_smaller_than_a_cell_still_has_a_point() -> None:
    targets = assign([[14.5, 14.5, 17.5, 17.5]])  # between four cell centres
    assert targets.weights.sum() > 0


def test_padding_takes_no_point() -> None:
    targets = assign([[4.0, 4.0, 20.0, 20.0], [30.0, 30.0, 60.0, 60.0]], real=1)
    assert targets.scores[..., 1].sum() == 0
    assert targets.scores[..., 0].sum() > 0


def test_higher_score_of_the_class_wins_among_equal_overlaps() -> None:
    scores = torch.full((1, NUM_POINTS, 2), 0.1)
    favourite = 27
    scores[0, favourite, 0] = 0.9
    whole = torch.tensor([0.0, 0.0, 64.0, 64.0]).expand(1, NUM_POINTS, 4)
    targets = assign([[0.0, 0.0, 64.0, 64.0]], predicted=whole, scores=scores, top_k=1)
    assert targets.weights[0].argmax() == favourite


def test_box_that_is_hardly_overlapped_yet_gets_a_weight_of_its_overlap() -> None:
    huge = torch.cat((ANCHORS - 300, ANCHORS + 300), dim=1)[None]
    targets = assign([[20.0, 20.0, 26.0, 28.0]], predicted=huge)
    overlap = 6 * 8 / 600**2
    torch.testing.assert_close(targets.weights.max(), torch.tensor(overlap), rtol=0.01, atol=0)
