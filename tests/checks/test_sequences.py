"""Runs of frames, told from names."""

from __future__ import annotations

import numpy as np
import pytest

from fusetrain.checks.sequences import Frame, frame_of, sampling_step


@pytest.mark.parametrize(
    ("path", "frame"),
    [
        ("images/train/FLIR_00042.jpg", Frame("images/train/FLIR_#", 42)),
        ("set00/V000/I00123_visible.png", Frame("set00/V000/I#_visible", 123)),
        ("7.png", Frame("#", 7)),
        ("clip2_0005.tar.png", Frame("clip2_#.tar", 5)),
        ("a/1700000000123456789.png", Frame("a/#", 700000000123456789)),
        ("scene.png", None),
        ("", None),
    ],
)
def test_place_in_a_run(path: str, frame: Frame | None) -> None:
    assert frame_of(path) == frame


def test_folders_of_splits_do_not_count() -> None:
    splits = ("train", "val")
    first = frame_of("images/train/night/0001.jpg", without=splits)
    second = frame_of("images/val/night/0002.jpg", without=splits)
    assert first == Frame("images/night/#", 1)
    assert second == Frame("images/night/#", 2)


@pytest.mark.parametrize(
    ("numbers", "step"), [([0, 10, 20, 30, 70], 10), ([5, 5, 5], 1), ([3], 1), ([4, 1], 3)]
)
def test_step_between_frames(numbers: list[int], step: int) -> None:
    assert sampling_step(np.array(numbers, np.int64)) == step
