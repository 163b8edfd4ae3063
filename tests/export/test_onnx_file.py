"""An exported file: its ports, what it says of itself, and the same answers as the weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from fusetrain.engine.onnx_model import OnnxInfo, check_thresholds, load_onnx
from fusetrain.engine.weights import load_detector
from fusetrain.errors import ComparisonError, ResourceError, RunError, UsageError
from fusetrain.export import onnx_file
from fusetrain.export.onnx_file import Exported, export_onnx
from fusetrain.export.parity import parity_of

from .conftest import NAMES, SIZE, MakeWeights

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def exported(make_weights: MakeWeights) -> Exported:
    return export_onnx(make_weights("data"), is_dynamic=False, with_nms=True)


def nodes(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def test_file_stands_alone_beside_the_weights(exported: Exported) -> None:
    folder = exported.path.parent
    assert sorted(path.name for path in folder.iterdir()) == ["best.onnx", "best.safetensors"]
    assert exported.parity.holds
    assert exported.inputs == ("rgb (1, 3, 64, 64)", "ir (1, 1, 64, 64)")


def test_ports_and_metadata_are_as_promised(exported: Exported) -> None:
    session = onnxruntime.InferenceSession(exported.path)
    ports = {port.name: port.shape for port in (*session.get_inputs(), *session.get_outputs())}
    assert ports == {
        "rgb": [1, 3, SIZE, SIZE],
        "ir": [1, 1, SIZE, SIZE],
        "boxes": [1, 300, 4],
        "scores": [1, 300],
        "labels": [1, 300],
    }
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["class_names"]) == list(NAMES)
    assert json.loads(said["thermal"])["policy"] == "raw"
    assert [json.loads(said[key]) for key in ("imgsz", "conf", "iou", "strides_px")] == [
        SIZE,
        0.25,
        0.7,
        [8, 16, 32],
    ]
    assert said["kind"] == "data"
    assert "NonMaxSuppression" in nodes(exported.path)


def test_outputs_are_sorted_and_filled_up(exported: Exported) -> None:
    session = onnxruntime.InferenceSession(exported.path)
    rng = np.random.Generator(np.random.PCG64(0))
    boxes, scores, labels = session.run(
        None,
        {
            "rgb": rng.random((1, 3, SIZE, SIZE), np.float32),
            "ir": rng.random((1, 1, SIZE, SIZE), np.float32),
        },
    )
    there = scores[0] > 0
    assert 0 < there.sum() < 300
    assert (np.diff(scores[0]) <= 0).all()
    assert set(labels[0, there]) <= {0, 1}
    assert (labels[0, ~there] == -1).all()
    assert (boxes[0, ~there] == 0).all()


def test_smaller_canvas_is_padded_and_batches_are_taken_apart(exported: Exported) -> None:
    file, _ = load_onnx(exported.path)
    detector, _ = load_detector(exported.path.with_suffix(".safetensors"))
    rgb, ir = torch.rand(2, 3, 32, SIZE), torch.rand(2, 1, 32, SIZE)
    pad = torch.nn.functional.pad
    padded = [pad(image, (0, 0, 0, 32), value=114 / 255) for image in (rgb, ir)]
    with torch.no_grad():
        parity = parity_of(detector(*padded), file(rgb, ir), exported.info)
    assert parity.holds, parity
    assert parity.pairs == 2


def test_thresholds_inside_the_file_are_not_overridden_in_silence(exported: Exported) -> None:
    info = exported.info
    check_thresholds(info, confidence=0.001, overlap=0.7)
    with pytest.raises(UsageError, match="--iou"):
        check_thresholds(info, confidence=0.25, overlap=0.5)
    with pytest.raises(UsageError, match="--conf"):
        check_thresholds(info, confidence=0.0, overlap=0.7)
    with pytest.raises(RunError, match="suppression"):
        check_thresholds(info, confidence=0.25, overlap=None)


def test_description_is_read_back_as_it_was_written(exported: Exported) -> None:
    assert OnnxInfo.from_metadata(exported.info.to_metadata()) == exported.info
    for texts in ({}, exported.info.to_metadata() | {"suppression": '"some"'}):
        with pytest.raises(RunError):
            OnnxInfo.from_metadata(texts)


@pytest.mark.parametrize("keep", [0, 100, -50])
def test_damaged_and_foreign_files_are_refused(
    exported: Exported, tmp_path: Path, keep: int
) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(exported.path.read_bytes()[:keep])
    with pytest.raises(RunError, match=r"cut\.onnx"):
        load_onnx(path)
    with pytest.raises(RunError, match="no weights"):
        load_onnx(tmp_path / "none.onnx")


def test_export_of_an_export_and_odd_names_are_refused(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="exported already"):
        export_onnx(exported.path, is_dynamic=False, with_nms=True)
    weights = exported.path.with_suffix(".safetensors")
    before = weights.read_bytes()
    with pytest.raises(UsageError, match="--out"):
        export_onnx(weights, weights, is_dynamic=False, with_nms=True)
    assert weights.read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be made"):
        export_onnx(weights, tmp_path / "file" / "a.onnx", is_dynamic=False, with_nms=True)


def test_cross_attention_says_why_it_takes_one_canvas_only(make_weights: MakeWeights) -> None:
    weights = make_weights("early", "cross-attention")
    with pytest.raises(UsageError, match="averages over squares"):
        export_onnx(weights, is_dynamic=True, with_nms=True)
    assert [path.name for path in weights.parent.iterdir()] == ["best.safetensors"]


@pytest.mark.slow
def test_file_that_differs_too_much_is_not_left_behind(
    make_weights: MakeWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = make_weights("ir")
    older = weights.with_suffix(".onnx")
    older.write_bytes(b"older")
    # The limit of what counts as equal is lowered below what float32 can keep.
    monkeypatch.setattr("fusetrain.export.parity.MAX_BOX_PX", 1e-12)
    monkeypatch.setattr("fusetrain.export.parity.MAX_SCORE", 1e-12)
    with pytest.raises(ComparisonError, match="does not answer"):
        export_onnx(weights, is_dynamic=False, with_nms=False)
    assert sorted(path.name for path in weights.parent.iterdir()) == [
        "best.onnx",
        "best.safetensors",
    ]
    assert older.read_bytes() == b"older"


def test_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ResourceError) as caught:
        onnx_file.require_packages()
    assert "onnxscript" in caught.value.what
    assert "pip install 'fusetrain[onnx]'" in caught.value.remedy


def test_weights_may_be_moved_with_their_file(exported: Exported, tmp_path: Path) -> None:
    moved = tmp_path / "moved.ONNX"
    shutil.copy(exported.path, moved)
    assert load_onnx(moved)[1] == exported.info
