"""What counts as a difference between a file and its detector, and what does not."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fusetrain.data.image import ThermalWindow
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.onnx_model import OnnxDetector, OnnxInfo
from fusetrain.engine.weights import WeightsInfo
from fusetrain.export.graph import ExportGraph
from fusetrain.export.parity import Parity, compare

from .conftest import NAMES, SIZE, outspoken


class TorchSession:
    """What onnxruntime offers, computed by torch, with a fault planted into the outputs."""

    class Port:
        def __init__(self, name: str, shape: list[int]) -> None:
            self.name, self.shape = name, shape

    def __init__(self, graph: ExportGraph, fault: dict[str, float]) -> None:
        self.graph, self.fault = graph, fault

    def get_inputs(self) -> list[TorchSession.Port]:
        return [self.Port("rgb", [1, 3, SIZE, SIZE]), self.Port("ir", [1, 1, SIZE, SIZE])]

    def run(self, names: list[str], arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        said = self.graph(*(torch.from_numpy(array) for array in arrays.values()))
        outputs = [said] if isinstance(said, Tensor) else list(said)
        if "drop" in self.fault:
            outputs[2][:, 0] = -1
        if "double" in self.fault:
            outputs = [torch.cat((output[:, :1], output), dim=1) for output in outputs]
        outputs[0][..., :4] += self.fault.get("box", 0.0)
        if len(outputs) > 1:
            outputs[1] += self.fault.get("score", 0.0)
        return [output.numpy() for output in outputs]


def parity(suppression: str = "nms", **fault: float) -> Parity:
    torch.manual_seed(0)
    spec = DetectorSpec("data", "concat", "csp", "n", 0.25, len(NAMES), True)
    detector: FusionDetector = outspoken(build_detector(spec))
    info = OnnxInfo(WeightsInfo(spec, NAMES, SIZE, ThermalWindow()), suppression)  # type: ignore[arg-type]
    return compare(detector, OnnxDetector(TorchSession(ExportGraph(detector, info), fault), info))


def test_folded_graph_answers_as_the_detector() -> None:
    for suppression in ("nms", "one-to-one", "raw"):
        found = parity(suppression)
        assert found.holds, found
        assert found.found > 20
        assert found.pairs == 3


def test_moved_boxes_and_scores_are_seen() -> None:
    for suppression in ("nms", "one-to-one", "raw"):
        assert not parity(suppression, box=0.2).holds
        assert parity(suppression, box=0.01).holds


def test_other_scores_are_seen() -> None:
    for suppression in ("nms", "one-to-one"):
        assert not parity(suppression, score=0.01).holds
        assert parity(suppression, score=1e-4).holds


def test_lost_and_repeated_detections_are_seen() -> None:
    lost = parity(drop=1)
    assert (lost.missing, lost.doubled) == (3, 0)
    repeated = parity(double=1)
    assert (repeated.missing, repeated.doubled) == (0, 3)
    assert "3 doubled" in str(repeated)


def test_sum_keeps_the_worst_numbers_and_counts_all() -> None:
    joined = Parity(0.01, 1e-5, 1, 0, 1, 10) + Parity(0.02, 1e-6, 0, 2, 2, 5)
    assert joined == Parity(0.02, 1e-5, 1, 2, 3, 15)
    assert not joined.holds
