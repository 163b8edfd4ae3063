"""`export`, and `val` and `predict` with what it wrote, as a user meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusetrain import failpoints
from fusetrain.cli.app import run
from fusetrain.engine.weights import load_detector
from fusetrain.inference.judging import validate_weights

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

Capture = pytest.CaptureFixture[str]
FOLDERS = ("--rgb", "set/images/val", "--ir", "set/imagesIR/val")
RUN, BEST = "runs/exp", "runs/exp/weights/best.safetensors"
ONNX = "runs/exp/weights/best.onnx"


def test_wrong_words_are_answered_before_anything_is_loaded(home: Path, capsys: Capture) -> None:
    assert run(["export", RUN, "--format", "tflite"]) == 2
    assert "expected: onnx" in capsys.readouterr().err
    assert run(["export", "nowhere", "--format", "onnx"]) == 5
    assert run(["export", RUN, "--format", "onnx", "--out", "a.pt"]) == 2
    assert "ends in .onnx" in capsys.readouterr().err
    assert not (home / "a.pt").exists()


@pytest.mark.parametrize("command", ["val", "predict"])
def test_no_nms_needs_a_head_that_was_trained_for_it(
    home: Path, command: str, capsys: Capture
) -> None:
    words = [command, RUN, "--no-nms", *(FOLDERS if command == "predict" else ())]
    assert run(words) == 5
    assert "one_to_one: true" in capsys.readouterr().err
    assert not (home / "predictions").exists()


def test_no_nms_and_iou_contradict_each_other(home: Path, capsys: Capture) -> None:
    assert run(["predict", RUN, *FOLDERS, "--no-nms", "--iou", "0.5"]) == 2
    assert "one of them" in capsys.readouterr().err


def test_foreign_and_missing_files_exit_5(home: Path, capsys: Capture) -> None:
    (home / "foreign.onnx").write_bytes(b"no onnx")
    for name in ("foreign.onnx", "missing.onnx"):
        assert run(["val", name, "--data", "set"]) == 5
        assert name in capsys.readouterr().err


@pytest.mark.slow
def test_exported_file_stands_in_for_the_weights(home: Path, capsys: Capture) -> None:
    assert run(["export", RUN, "--format", "onnx", "--dynamic"]) == 0
    told = capsys.readouterr().err
    assert "rgb (B, 3, H, W), ir (B, 1, H, W)" in told
    assert "beside the detector: boxes within" in told
    reports = []
    for weights in (RUN, ONNX):
        assert run(["val", weights, "--json", "--blank", "ir"]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    assert [row["pairs"] for report in reports for row in report["conditions"]] == [2] * 4
    assert reports[1]["losses"] == {"box": None, "cls": None, "dfl": None}
    _two_sizes(home)
    results = []
    for name, weights in (("torch", RUN), ("onnx", ONNX)):
        words = ["--rgb", "wild", "--ir", "wildIR", "--out", name, "--conf", "0.005"]
        assert run(["predict", weights, *words]) == 0
        results.append(json.loads((home / name / "predictions.json").read_text()))
    # Scores that are nearly equal may change places, and then suppression may keep the other box.
    for some, others in (results, results[::-1]):
        assert len(some) > 20
        assert sum(_is_met(found, others) for found in some) >= 0.9 * len(some)
    assert run(["predict", ONNX, *FOLDERS, "--iou", "0.5"]) == 2
    assert run(["predict", ONNX, *FOLDERS, "--no-nms"]) == 5
    assert run(["export", ONNX, "--format", "onnx"]) == 5
    assert "exported already" in capsys.readouterr().err


def _is_met(found: dict[str, Any], others: list[dict[str, Any]]) -> bool:
    """Return whether a detection is among others, as far as numbers of two programs agree."""
    return any(
        (found["file_name"], found["category_id"]) == (other["file_name"], other["category_id"])
        and abs(found["score"] - other["score"]) <= 1e-3
        and np.abs(np.subtract(found["bbox"], other["bbox"])).max() <= 0.2
        for other in others
    )


def _two_sizes(home: Path) -> None:
    """Write one pair of a wide and one of a tall picture."""
    rng = np.random.Generator(np.random.PCG64(0))
    for folder, shape in (("wild", (3,)), ("wildIR", ())):
        (home / folder).mkdir()
        for name, size in (("wide", (40, 120)), ("tall", (128, 96))):
            pixels = rng.integers(0, 256, (*size, *shape), np.uint8)
            Image.fromarray(pixels).save(home / folder / f"{name}.png")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_adapter_without_suppression_is_exported_in_both_phases_and_all_ways_agree(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--set", "model.fusion=adapter", "--set", "model.one_to_one=true"]
    # Stopped while the better base is chosen, behind the validation of the first epoch.
    monkeypatch.setitem(failpoints._passed, "validation:pair", 0)
    monkeypatch.setenv(failpoints.VARIABLE, "validation:pair=SIGTERM@5")
    assert run(["train", "--config", "train.yaml", "--set", "train.epochs=1", *words]) == 75
    monkeypatch.delenv(failpoints.VARIABLE)
    for kind in ("decision", "adapter"):
        assert load_detector(home / "runs/exp2")[1].detector.kind == kind
        assert run(["export", "runs/exp2", "--format", "onnx", "--no-nms"]) == 0
        told = capsys.readouterr().err
        assert "rgb (1, 3, 64, 64), ir (1, 1, 64, 64)" in told
        assert "beside the detector: boxes within" in told
        _assert_all_ways_agree(home, home / "runs/exp2", capsys)
        assert run(["resume", "runs/exp2"]) == 0


def _assert_all_ways_agree(home: Path, folder: Path, capsys: Capture) -> None:
    """`val` and `predict` find the same without suppression, by the weights and by the file."""
    found = []
    for weights in (folder, folder / "weights" / "best.onnx"):
        words = ["--no-nms", "--out", "out", "--conf", "0.002"]
        assert run(["predict", str(weights), *FOLDERS, *words]) == 0
        found.append(json.loads((home / "out" / "predictions.json").read_text()))
        # The metrics of so short a training hang on the last bits of scores: boxes are compared.
        judged = validate_weights(weights, data=home / "set", split="val", overlap=None)
        scores = np.sort(judged.result.found.scores)[::-1][: len(found[-1])]
        told = np.sort([entry["score"] for entry in found[-1]])[::-1]
        np.testing.assert_allclose(scores, told, atol=1e-5)
    capsys.readouterr()
    for some, others in (found, found[::-1]):
        assert len(some) > 20
        assert all(_is_met(entry, others) for entry in some if entry["score"] > 0.0021)


@pytest.mark.slow
def test_file_answers_where_the_code_of_its_operator_is_missing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own_operator.py").write_text(
        "from fusetrain.detector.fusion.elementwise import Add\n\nclass Mine(Add):\n    pass\n"
    )
    script = (
        "import sys; sys.path.append(sys.argv[1]); from fusetrain.cli.app import run;"
        "train = ['train', '--config', 'train.yaml', '--name', 'own', '--set', 'train.epochs=1',"
        "'--set', 'model.fusion=early', '--set', 'model.operator=own_operator:Mine'];"
        "sys.exit(run(train) or run(['export', 'runs/own', '--format', 'onnx']))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "own")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.copy(home / "runs/own/weights/best.onnx", home / "alone.onnx")
    assert run(["predict", "alone.onnx", *FOLDERS, "--out", "out"]) == 0
    assert run(["predict", "runs/own", *FOLDERS, "--out", "out"]) == 5
