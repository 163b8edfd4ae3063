"""The Python API: the same boxes whatever an image comes as, and a light import."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import fusetrain
from fusetrain.cli.app import run
from fusetrain.errors import DataError, RunError, UsageError

RUN = "runs/exp"
RGB, IR = "set/images/val/val_000.jpg", "set/imagesIR/val/val_000.png"


@pytest.fixture
def detector(home: Path) -> fusetrain.Detector:
    return fusetrain.Detector.load(RUN)


def found(detector: fusetrain.Detector, rgb: Any, ir: Any) -> fusetrain.Found:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return detector(rgb, ir, confidence=0.001)


def test_import_is_light_and_names_are_there() -> None:
    code = (
        "import sys, fusetrain; heavy = {'torch', 'numpy', 'PIL'} & set(sys.modules);"
        "assert not heavy, heavy; assert callable(fusetrain.Detector.load);"
        "assert callable(fusetrain.val) and callable(fusetrain.predict)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        fusetrain.Nothing  # noqa: B018


def test_detector_finds_what_predict_finds(detector: fusetrain.Detector, home: Path) -> None:
    words = ["--rgb", RGB, "--ir", IR, "--conf", "0.001", "--out", "out"]
    assert run(["predict", RUN, *words]) == 0
    rows = json.loads((home / "out/predictions.json").read_text())
    own = found(detector, RGB, IR)
    assert len(own) == len(rows) > 0
    for (box, score, name), row in zip(own, rows, strict=True):
        left, top, width, height = row["bbox"]
        assert box == pytest.approx((left, top, left + width, top + height), abs=2e-3)
        assert score == pytest.approx(row["score"], abs=1e-6)
        assert name == row["category_name"]
    assert (np.diff(own.scores) <= 0).all()
    assert (detector.names, detector.kind, detector.imgsz) == (("person", "car"), "mid", 64)


def test_paths_pictures_arrays_and_tensors_are_alike(detector: fusetrain.Detector) -> None:
    rgb, ir = Image.open(RGB), Image.open(IR)
    visible, infrared = np.asarray(rgb), np.asarray(ir)
    planes = torch.from_numpy(visible.copy()).permute(2, 0, 1)
    expected = found(detector, RGB, IR)
    for one, other in (
        (Path(RGB), Path(IR)),
        (rgb, ir),
        (visible, infrared),
        (visible, infrared[:, :, None]),
        (planes, torch.from_numpy(infrared.copy())),
        (planes.double() / 255, torch.from_numpy(infrared.copy())[None]),
        (visible, infrared.astype(np.uint16) * 257),
        (visible, infrared / 255),
        (np.dstack((visible, visible[..., 0])), infrared),
    ):
        same = found(detector, one, other)
        np.testing.assert_array_equal(same.boxes, expected.boxes)
        np.testing.assert_array_equal(same.labels, expected.labels)


def test_one_image_alone_is_taken_with_a_warning(detector: fusetrain.Detector) -> None:
    with pytest.warns(UserWarning, match="not trained to do without ir"):
        alone = detector(RGB, confidence=0.001)
    grey = np.full((48, 64), 114, np.uint8)
    np.testing.assert_array_equal(alone.boxes, found(detector, RGB, grey).boxes)
    with pytest.warns(UserWarning, match="without rgb"):
        assert detector(ir=IR, confidence=0.001).boxes.shape[1] == 4


@pytest.mark.parametrize(
    "array",
    [np.zeros((3, 8, 8), np.uint8), np.zeros(5), np.zeros((0, 4)), np.array([["a", "b"]])],
    ids=["channels first", "one row", "empty", "words"],
)
def test_what_is_no_image_is_refused(detector: fusetrain.Detector, array: Any) -> None:
    with pytest.raises(DataError, match="is no image"):
        detector(array, IR)


@pytest.mark.parametrize(
    "array",
    [
        np.full((8, 8, 3), 128.0, np.float32),
        np.full((8, 8, 3), 128, np.int64),
        np.full((8, 8, 3), 40_000, np.uint16),
        np.full((8, 8), np.nan),
        [[[0, 128, 255]] * 8] * 8,
    ],
    ids=["float levels", "int64", "uint16", "nan", "lists"],
)
def test_visible_numbers_on_another_scale_are_refused(
    detector: fusetrain.Detector, array: Any
) -> None:
    with pytest.raises(DataError, match="no levels of a visible image"):
        detector(array, IR)


def test_shares_of_any_precision_are_alike(detector: fusetrain.Detector) -> None:
    shares = torch.from_numpy(np.asarray(Image.open(RGB).convert("RGB")) / 255).permute(2, 0, 1)
    exact = detector(shares, IR, confidence=0.001)
    assert len(exact.scores)
    for dtype in (torch.float32, torch.bfloat16):
        again = detector(shares.to(dtype), IR, confidence=0.001)
        assert abs(again.scores[0] - exact.scores[0]) < 0.02


def test_nothing_and_missing_weights_are_refused(detector: fusetrain.Detector) -> None:
    with pytest.raises(UsageError, match="no image"):
        detector()
    with pytest.raises(RunError):
        fusetrain.Detector.load("nowhere")


@pytest.mark.parametrize("name", ["confidence", "overlap"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_thresholds_outside_of_their_range_are_refused(
    detector: fusetrain.Detector, name: str, value: float
) -> None:
    with pytest.raises(UsageError, match=f"{name} is {value}"):
        detector(np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8), **{name: value})


def test_commands_are_functions(home: Path) -> None:
    judgement = fusetrain.val(RUN, split="train", by=["size"])
    assert [row.name for _, row in judgement.parts] == ["small", "medium", "large"]
    assert 0.0 <= judgement.result.metrics.map50 <= 1.0
    done = fusetrain.predict(RUN, rgb="set/images/val", ir="set/imagesIR/val", out="out")
    assert (done.num_images, done.what) == (2, "pair")
    with pytest.raises(UsageError):
        fusetrain.val(RUN, by=["noon"])
