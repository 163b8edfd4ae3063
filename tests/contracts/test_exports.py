"""Every fusion kind, operator and backbone is exported with its answers unchanged."""

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
from fusetrain.engine.onnx_model import load_onnx
from fusetrain.engine.weights import WeightsInfo, load_detector
from fusetrain.export.onnx_file import export_onnx
from fusetrain.export.parity import parity_of

from ..export.conftest import NAMES, SIZE, outspoken

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

COMBINATIONS = [
    (kind, operator) for kind in KINDS if kind not in WITHOUT_OPERATOR for operator in OPERATORS
]
WITHOUT_SUPPRESSION = ("mid", "decision")
RAW = ("ir", "late")
OPERATOR_OF = {"easy": "gate", "late": "deyolo", "early": "light", "mid-p3": "channel-gate"}


def weights_of(spec: DetectorSpec, folder: Path) -> Path:
    """Write the weights of a detector and return their path."""
    torch.manual_seed(0)
    tensors = outspoken(build_detector(spec)).state_dict()
    described = WeightsInfo(spec, NAMES, SIZE, ThermalWindow()).to_json()
    path = folder / "best.safetensors"
    save_file(tensors, path, {key: json.dumps(value) for key, value in described.items()})
    return path


def exports(spec: DetectorSpec, folder: Path) -> None:
    exported = export_onnx(weights_of(spec, folder), is_dynamic=False, with_nms=True)
    assert exported.parity.holds
    assert exported.parity.found > 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS.names())
def test_every_kind_takes_any_canvas_and_batch(kind: str, tmp_path: Path) -> None:
    """Between them the kinds go through all three ways of suppression."""
    operator, one_to_one = OPERATOR_OF.get(kind, "concat"), kind in WITHOUT_SUPPRESSION
    base = "ir" if kind == "adapter" else ""
    spec = DetectorSpec(kind, operator, "csp", "n", 0.25, len(NAMES), one_to_one, base)
    weights = weights_of(spec, tmp_path)
    with_nms = kind not in (*WITHOUT_SUPPRESSION, *RAW)
    exported = export_onnx(weights, is_dynamic=True, with_nms=with_nms)
    assert exported.parity.holds
    file, info = load_onnx(exported.path)
    assert info.suppression == _suppression(kind)
    detector, _ = load_detector(weights)
    for batch, height, width in ((1, 64, 96), (3, 160, 64)):
        rgb, ir = torch.rand(batch, 3, height, width), torch.rand(batch, 1, height, width)
        with torch.no_grad():
            parity = parity_of(detector(rgb, ir), file(rgb, ir), info)
        assert parity.holds, parity
        assert (parity.pairs, parity.found > 5) == (batch, True)


def _suppression(kind: str) -> str:
    return "one-to-one" if kind in WITHOUT_SUPPRESSION else "raw" if kind in RAW else "nms"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "operator"), COMBINATIONS)
def test_every_operator_is_exported_with_every_kind(
    kind: str, operator: str, tmp_path: Path
) -> None:
    exports(DetectorSpec(kind, operator, "csp", "n", 0.25, len(NAMES)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mid-p3"])
def test_every_kind_is_exported_with_p2(kind: str, tmp_path: Path) -> None:
    base = "ir" if kind == "adapter" else ""
    exports(
        DetectorSpec(kind, "concat", "csp", "n", 0.25, len(NAMES), base=base, finest="p2"), tmp_path
    )


@pytest.mark.slow
@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name != "csp"])
def test_every_backbone_is_exported(backbone: str, tmp_path: Path) -> None:
    exports(DetectorSpec("ir", "concat", backbone, "n", 0.25, len(NAMES)), tmp_path)
