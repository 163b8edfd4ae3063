"""A late flag says what was true when it was made; a step asks a device for nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from fusetrain.detector.fusion import KINDS
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.late_flag import LateFlag
from fusetrain.loss.detection import DetectionLoss
from fusetrain.sample import Batch

PAIRS, BOXES, SIDE = 2, 3, 64
SENDING = {"tensor", "as_tensor", "new_tensor"}
ASKING = {"item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__float__", "__int__"}
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.gpu),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("value", "is_set"), [(0.0, False), (1.0, True), (0.5, True)])
def test_a_flag_is_that_of_the_moment_it_was_made(device: str, value: float, is_set: bool) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    number = torch.full((), value, device=device)
    flag = LateFlag(number + 0)
    number.fill_(1.0 - value)
    assert flag.is_set() is is_set


class Crossings(TorchFunctionMode):
    """Notes what sends single numbers to a device, or asks it for some; both wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in SENDING | ASKING:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def test_crossings_are_seen() -> None:
    with Crossings() as watch:
        number = torch.zeros(2).new_tensor(1.0)
        assert number > torch.tensor(0.5)
        number.item()
    assert watch.seen == ["new_tensor", "tensor", "__bool__", "item"]


@pytest.mark.parametrize("kind", KINDS.names())
def test_forward_loss_and_backward_leave_the_device_alone(kind: str) -> None:
    with torch.device("meta"):
        detector = build_detector(DetectorSpec(kind, "concat", "csp", "n", 0.25, 2))
        batch = Batch(
            pixels=torch.zeros(PAIRS, SIDE, SIDE, 4, dtype=torch.uint8),
            boxes_xyxy_px=torch.zeros(PAIRS, BOXES, 4),
            classes=torch.zeros(PAIRS, BOXES, dtype=torch.int64),
            is_box=torch.zeros(PAIRS, BOXES, dtype=torch.bool),
            sample_ids=torch.zeros(PAIRS, dtype=torch.int64),
            canvas_from_original=torch.zeros(PAIRS, 4, dtype=torch.float64),
            original_sizes_hw=torch.zeros(PAIRS, 2, dtype=torch.int64),
        )
    detector.train()
    with Crossings() as watch:
        predictions = detector(batch.rgb.float(), batch.ir.float())
        DetectionLoss()(predictions, batch).total.backward()
    assert watch.seen == []
    assert all(parameter.grad is not None for parameter in detector.head.parameters())
