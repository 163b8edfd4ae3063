"""Every fusion kind with every operator is exported with its answers unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fusetrain.data.image import ThermalWindow
from fusetrain.detector import BACKBONES
from fusetrain.detector.fusion import KINDS, OPERATORS, WITHOUT_OPERATOR
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.weights import WeightsInfo
from fusetrain.export.onnx_file import export_onnx

from ..export.conftest import NAMES, SIZE, outspoken

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

COMBINATIONS = [
    (kind, operator)
    for kind in KINDS
    for operator in OPERATORS
    if operator == "concat" or kind not in WITHOUT_OPERATOR
]


def exports(spec: DetectorSpec, folder: Path) -> None:
    torch.manual_seed(0)
    tensors = outspoken(build_detector(spec)).state_dict()
    described = WeightsInfo(spec, NAMES, SIZE, ThermalWindow()).to_json()
    path = folder / "best.safetensors"
    save_file(tensors, path, {key: json.dumps(value) for key, value in described.items()})
    exported = export_onnx(path, is_dynamic=False, with_nms=not spec.one_to_one)
    assert exported.parity.holds
    assert exported.parity.found > 20


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "operator"), COMBINATIONS)
def test_every_combination_is_exported(kind: str, operator: str, tmp_path: Path) -> None:
    exports(DetectorSpec(kind, operator, "csp", "n", 0.25, len(NAMES)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name != "csp"])
def test_every_backbone_is_exported(backbone: str, tmp_path: Path) -> None:
    exports(DetectorSpec("ir", "concat", backbone, "n", 0.25, len(NAMES)), tmp_path)


@pytest.mark.slow
def test_decision_without_suppression_is_exported(tmp_path: Path) -> None:
    exports(DetectorSpec("decision", "concat", "csp", "n", 0.25, len(NAMES), True), tmp_path)
