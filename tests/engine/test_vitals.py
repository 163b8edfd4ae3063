"""What an epoch leaves in the log: shares that add up, blank images seen, no bit changed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.vitals import JunctionProbe, grad_shares, textures
from fusetrain.sample import Batch


class Runner:
    """As much of a step runner as the probe asks for."""

    def __init__(self, detector: FusionDetector) -> None:
        self.detector = detector
        self.model: nn.Module = detector


def batch_of(pixels: torch.Tensor) -> Batch:
    pairs = len(pixels)
    return Batch(
        pixels=pixels,
        boxes_xyxy_px=torch.zeros(pairs, 0, 4),
        classes=torch.zeros(pairs, 0, dtype=torch.int64),
        is_box=torch.zeros(pairs, 0, dtype=torch.bool),
        sample_ids=torch.arange(pairs),
        canvas_from_original=torch.ones(pairs, 4, dtype=torch.float64),
        original_sizes_hw=torch.full((pairs, 2), 32),
    )


def tiny(kind: str) -> FusionDetector:
    torch.manual_seed(0)
    return build_detector(DetectorSpec(kind, "concat", "csp", "n", 0.25, num_classes=2))


def backward(detector: FusionDetector) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    out = detector(torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32))
    (out.class_logits.square().mean() + out.distance_logits.mean()).backward()
    return {
        name: value.grad for name, value in detector.named_parameters() if value.grad is not None
    }


@pytest.mark.parametrize("kind", ["early", "mid", "late", "decision", "easy"])
def test_both_streams_are_seen_and_no_gradient_changes(kind: str) -> None:
    plain, probed = tiny(kind), tiny(kind)
    probe = JunctionProbe(Runner(probed))  # type: ignore[arg-type]
    probe.watch()
    expected, got = backward(plain), backward(probed)
    assert expected.keys() == got.keys()
    assert all(torch.equal(value, got[name]) for name, value in expected.items())
    seen = probe.take()
    assert set(seen) == {"rgb", "ir"}
    shares = [stream["relevance"] for stream in seen.values()]
    assert sum(share or 0.0 for share in shares) == pytest.approx(1.0, abs=1e-3)
    assert all((stream["activation"] or 0.0) > 0 for stream in seen.values())
    backward(probed)
    assert probe.take() == {}


def test_frozen_stream_has_no_gradient_and_no_relevance() -> None:
    detector = tiny("mid")
    detector.backbone_ir.requires_grad_(False)
    probe = JunctionProbe(Runner(detector))  # type: ignore[arg-type]
    probe.watch()
    backward(detector)
    seen, shares = probe.take(), grad_shares(detector.parts())
    assert seen["ir"]["relevance"] is None
    assert shares["backbone_ir"] == 0.0
    assert math.hypot(*(share or 0.0 for share in shares.values())) == pytest.approx(1.0, abs=1e-3)


def test_blank_image_has_no_texture_and_noise_has_much() -> None:
    pixels = torch.randint(0, 256, (2, 32, 32, 4), dtype=torch.uint8)
    pixels[..., 3] = 90
    seen = textures(batch_of(pixels))
    assert seen["ir"] == 0.0
    assert seen["rgb"] > 0.95
    assert textures(batch_of(pixels[:0])) == {}
