"""Images that are handed over in Python are seen as those that `predict` reads."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import fusetrain
from fusetrain.cli.app import run

RUN, WEIGHTS = "runs/exp", "runs/exp/weights/best.safetensors"
RGB, IR = "set/images/val/val_000.jpg", "set/imagesIR/val/val_000.png"
Capture = pytest.CaptureFixture[str]


def textures(size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    rng = np.random.default_rng(3)
    rgb = Image.fromarray(rng.integers(0, 200, (24, 32, 3), np.uint8)).resize(size)
    return rgb, Image.fromarray(rng.integers(0, 200, (24, 32), np.uint8)).resize(size)


def predicted(home: Path, rgb: str, ir: str) -> list[list[float]]:
    """Return rows of left, top, right, bottom, score."""
    assert run(["predict", RUN, "--rgb", rgb, "--ir", ir, "--conf", "0.001", "--out", "out"]) == 0
    rows: list[dict[str, Any]] = json.loads((home / "out/predictions.json").read_text())
    assert rows
    return [
        [left, top, left + width, top + height, row["score"]]
        for row in rows
        for left, top, width, height in [row["bbox"]]
    ]


def detected(rgb: Any, ir: Any) -> list[list[float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = fusetrain.Detector.load(RUN)(rgb, ir, confidence=0.001)
    return [[*box, score] for box, score, _ in found]


def assert_alike(one: list[list[float]], other: list[list[float]], *, moved: float = 0.0) -> None:
    offset = np.array([moved, moved, moved, moved, 0.0])
    np.testing.assert_allclose(np.array(one), np.array(other) + offset, atol=2e-3)


def cut_in_training(border_px: int) -> None:
    """Let the weights say that so wide a frame was cut off."""
    with safe_open(WEIGHTS, framework="pt") as file:
        texts = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    texts["training"] = json.dumps(json.loads(texts["training"]) | {"border_px": border_px})
    save_file(tensors, WEIGHTS, texts)


def framed(image: Image.Image, border_px: int, colour: str = "white") -> Image.Image:
    size = (image.width + 2 * border_px, image.height + 2 * border_px)
    canvas = Image.new(image.mode, size, colour)
    canvas.paste(image, (border_px, border_px))
    return canvas


def test_one_path_for_both_is_a_file_that_holds_both(home: Path) -> None:
    rgb, ir = textures((64, 48))
    Image.merge("RGBA", (*rgb.split(), ir)).save(home / "four.png")
    assert_alike(detected("four.png", "four.png"), predicted(home, "four.png", "four.png"))
    assert_alike(detected("four.png", "four.png"), detected(rgb, ir))


@pytest.mark.parametrize("size", [(512, 384), (517, 389), (1030, 770)])
def test_a_large_jpeg_gives_what_predict_gives(home: Path, size: tuple[int, int]) -> None:
    rgb, ir = textures(size)
    rgb.save(home / "rgb.jpg", quality=95)
    ir.save(home / "ir.jpg", quality=95)
    found = detected("rgb.jpg", "ir.jpg")
    assert_alike(found, predicted(home, "rgb.jpg", "ir.jpg"))
    assert np.max(found) > 70  # in pixels of the file, not of what is decoded of it
    assert_alike(detected("rgb.jpg", None), detected(home / "rgb.jpg", None))


@pytest.mark.parametrize("colour", ["white", "black"])
def test_the_frame_that_training_cut_off_is_cut_off(
    home: Path, capsys: Capture, colour: str
) -> None:
    plain = predicted(home, RGB, IR)
    rgb, ir = (framed(Image.open(path), 20, colour) for path in (RGB, IR))
    rgb.save("rgb.png")
    ir.save("ir.png")
    with_frame = predicted(home, "rgb.png", "ir.png")
    assert "frame" not in capsys.readouterr().err
    assert not np.allclose(np.max(with_frame), np.max(plain) + 20, atol=1.0)
    cut_in_training(20)
    assert_alike(predicted(home, "rgb.png", "ir.png"), plain, moved=20)
    assert "a frame of 20 px is left out" in capsys.readouterr().err
    for pair in (("rgb.png", "ir.png"), (rgb, ir), (np.asarray(rgb), np.asarray(ir))):
        assert_alike(detected(*pair), plain, moved=20)


def test_images_without_the_frame_are_left_whole(home: Path, capsys: Capture) -> None:
    plain = predicted(home, RGB, IR)
    framed(Image.open(RGB), 10).save("rgb.png")
    cut_in_training(10)
    assert_alike(predicted(home, RGB, IR), plain)
    assert_alike(detected(RGB, IR), plain)
    predicted(home, "rgb.png", IR)  # of one image alone
    assert "frame" not in capsys.readouterr().err
