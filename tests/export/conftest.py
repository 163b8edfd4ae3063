"""Small detectors whose answers are spread out, as those of trained ones are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate

from fusetrain.data.demo import demo_pair
from fusetrain.data.image import ThermalWindow
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.weights import WeightsInfo

NAMES = ("person", "car")
SIZE = 64
CLASS_SPREAD = 1.0
BOX_SPREAD = 1.0
MakeWeights = Callable[..., Path]


def outspoken(detector: FusionDetector) -> FusionDetector:
    """Give it the statistics of drawn scenes, and answers as spread out as those after training."""
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    scenes = [demo_pair(0, 100 + number) for number in range(16)]
    rgb = torch.from_numpy(np.stack([scene.rgb for scene in scenes])).permute(0, 3, 1, 2)
    ir = torch.from_numpy(np.stack([scene.ir for scene in scenes]))[:, None]
    images = [interpolate(image.float() / 255, size=(SIZE, SIZE)) for image in (rgb, ir)]
    with torch.no_grad():
        detector.train()(*images)
        predictions = detector.eval()(*images)
        class_gain = CLASS_SPREAD / predictions.class_logits.std()
        box_gain = BOX_SPREAD / predictions.distance_logits.std()
        for name, value in detector.named_parameters():
            if name.endswith("2.weight"):
                value.mul_(class_gain if "class_branches" in name else 1.0)
                value.mul_(box_gain if "box_branches" in name else 1.0)
    return detector


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
