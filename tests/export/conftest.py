"""Small detectors whose answers are spread out, as those of trained ones are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fusetrain.data.image import ThermalWindow
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.weights import WeightsInfo

NAMES = ("person", "car")
SIZE = 64
MakeWeights = Callable[..., Path]


def outspoken(detector: FusionDetector) -> FusionDetector:
    """Give it the statistics of random images, and class scores from low to high."""
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        images = torch.rand(4, 3, SIZE, SIZE), torch.rand(4, 1, SIZE, SIZE)
        detector.train()(*images)
        for name, value in detector.named_parameters():
            if "class_branches" in name and name.endswith("2.weight"):
                value.mul_(8)
            if "box_branches" in name and name.endswith("2.weight"):
                value.mul_(3)
    return detector.eval()


@pytest.fixture(scope="session")
def make_weights(tmp_path_factory: pytest.TempPathFactory) -> MakeWeights:
    """Return a function that writes weights of a kind and operator and returns their path."""

    def make(
        kind: str, operator: str = "concat", *, backbone: str = "csp", one_to_one: bool = False
    ) -> Path:
        torch.manual_seed(0)
        spec = DetectorSpec(kind, operator, backbone, "n", 0.25, len(NAMES), one_to_one)
        detector = outspoken(build_detector(spec))
        info = WeightsInfo(spec, NAMES, SIZE, ThermalWindow())
        path = tmp_path_factory.mktemp("weights") / "best.safetensors"
        tensors = {name: value.contiguous() for name, value in detector.state_dict().items()}
        save_file(tensors, path, {key: json.dumps(value) for key, value in info.to_json().items()})
        return path

    return make
