"""Folding changes how answers are computed, not the answers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fusetrain.detector.folding import folded
from fusetrain.detector.fusion import KINDS
from fusetrain.detector.kinds import DetectorSpec, build_detector

SIZE = 64


@pytest.mark.parametrize(
    ("kind", "backbone"), [*((kind, "csp") for kind in KINDS), ("ir", "mobilenet_v3_small")]
)
def test_folded_detector_answers_as_before(kind: str, backbone: str) -> None:
    torch.manual_seed(0)
    detector = build_detector(DetectorSpec(kind, "concat", backbone, "n", 0.25, 2))
    rgb, ir = torch.rand(4, 3, SIZE, SIZE), torch.rand(4, 1, SIZE, SIZE)
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        detector.train()(rgb, ir)
        plain = detector.eval()(rgb, ir)
        again = folded(detector)(rgb, ir)
    for name in ("class_logits", "distance_logits"):
        before, after = getattr(plain, name), getattr(again, name)
        assert before.std() > 0.01
        assert (before - after).abs().max() <= 1e-4
    norms = [
        sum(isinstance(module, nn.BatchNorm2d) for module in one.modules())
        for one in (detector, folded(detector))
    ]
    assert norms[0] > 0
    # A shared backbone normalises each stream by itself behind its first step.
    assert (norms[1] == 0) == (kind != "easy"), norms
