import torch

from fusetrain.detector.decode import decode, detections, to_original
from fusetrain.sample import Detections, RawPredictions

NUM_BINS = 16


def certain_distances(sides_in_strides: list[list[int]]) -> torch.Tensor:
    """Logits whose distribution stands wholly on one bin a side: (1, A, 4, R)."""
    bins = torch.tensor(sides_in_strides)
    return torch.nn.functional.one_hot(bins, NUM_BINS).float()[None] * 100


def predictions(class_logits: list[list[float]], sides: list[list[int]]) -> RawPredictions:
    count = len(sides)
    return RawPredictions(
        class_logits=torch.tensor([class_logits]),
        distance_logits=certain_distances(sides),
        anchors_xy_px=torch.tensor([[20.0 + 100 * row, 20.0] for row in range(count)]),
        strides_px=torch.full((count,), 8.0),
    )


def test_sides_lie_the_expected_number_of_strides_away() -> None:
    boxes, scores = decode(predictions([[0.0, 100.0]], [[1, 2, 3, 0]]))
    torch.testing.assert_close(boxes, torch.tensor([[[12.0, 4.0, 44.0, 20.0]]]))
    torch.testing.assert_close(scores, torch.tensor([[[0.5, 1.0]]]))


def test_mean_of_a_spread_distribution_is_taken() -> None:
    raw = predictions([[0.0]], [[1, 1, 1, 1]])
    raw.distance_logits.zero_()
    boxes, _ = decode(raw)
    assert boxes[0, 0, 2].item() == 20.0 + 8.0 * (NUM_BINS - 1) / 2


def test_overlapping_boxes_of_one_class_are_suppressed_and_of_two_are_kept() -> None:
    raw = predictions([[2.0, -9.0], [1.0, -9.0], [-9.0, 3.0]], [[1, 1, 1, 1]] * 3)
    same_place = RawPredictions(
        raw.class_logits, raw.distance_logits, torch.full((3, 2), 50.0), raw.strides_px
    )
    (found,) = detections(same_place, confidence=0.5, overlap=0.7)
    assert found.classes.tolist() == [1, 0]
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_nothing_above_the_confidence_gives_empty_detections() -> None:
    (found,) = detections(predictions([[-9.0]], [[1, 1, 1, 1]]), confidence=0.5, overlap=0.7)
    assert len(found) == 0
    assert found.boxes_xyxy_px.shape == (0, 4)


def test_detections_move_back_to_the_original_and_are_clipped() -> None:
    found = Detections(
        torch.tensor([[10.0, 20.0, 30.0, 400.0]]), torch.tensor([0.9]), torch.tensor([0])
    )
    moved = to_original(found, torch.tensor([0.5, 0.25, 10.0, 10.0]), torch.tensor([100, 80]))
    assert moved.boxes_xyxy_px.tolist() == [[0.0, 40.0, 40.0, 100.0]]
