"""The Python of docs/predict.md and docs/export.md does what the text around it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import fusetrain
from fusetrain.cli.app import run

from .pages import python_of

RUN, RGB, IR = "runs/exp", "set/images/val", "set/imagesIR/val"
Capture = pytest.CaptureFixture[str]


def test_detections_get_the_numbers_of_a_coco_file(home: Path, capsys: Capture) -> None:
    fusetrain.prepare_convert("set", "my_set-coco", "coco")
    words = ("--rgb", RGB, "--ir", IR, "--conf", "0.001", "--pictures", "none")
    assert run(["predict", RUN, *words]) == 0
    exec(compile(python_of("docs/predict.md"), "predict.md", "exec"), {})
    truth = COCO("my_set-coco/annotations/val.json")
    judge = COCOeval(truth, truth.loadRes("for_coco.json"), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    found = json.loads(Path("for_coco.json").read_text())
    assert {row["image_id"] for row in found} <= set(truth.getImgIds())
    assert {row["category_id"] for row in found} <= set(truth.getCatIds())
    own = fusetrain.val(RUN).result.metrics
    assert judge.stats[1] == pytest.approx(own.map50, abs=1e-3)
    capsys.readouterr()


@pytest.mark.slow
def test_onnxruntime_alone_finds_what_predict_finds(home: Path, capsys: Capture) -> None:
    assert run(["export", RUN, "--format", "onnx", "--out", "best.onnx"]) == 0
    shutil.copy(home / RGB / "val_000.jpg", "day.jpg")
    shutil.copy(home / IR / "val_000.png", "day_ir.png")
    capsys.readouterr()
    names: dict[str, Any] = {}
    code = python_of("docs/export.md").replace("score >= 0.25", "score >= 0.001")
    exec(compile(code, "export.md", "exec"), names)
    assert names["size"] == (64, 48)
    printed = capsys.readouterr().out.splitlines()
    words = ("--rgb", "day.jpg", "--ir", "day_ir.png", "--conf", "0.001", "--out", "out")
    assert run(["predict", "best.onnx", *words]) == 0
    rows = json.loads((home / "out/predictions.json").read_text())
    assert len(printed) == pytest.approx(len(rows), rel=0.2)  # it pads on other sides
