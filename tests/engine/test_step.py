"""One step of a real tiny detector: how long its gradients are, and what it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.engine.stages import WHOLE_RUN
from fusetrain.engine.step import images
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.session import assemble, choose_machine

from ..conftest import MakePairs

LR = 0.5


def config_of(data: Path, **train: Any) -> Config:
    return Config.model_validate(
        {
            "data": str(data),
            "model": {"fusion": "mid", "width": 0.25},
            "train": {"batch": 2, "imgsz": 64, "device": "cpu", "threads": 1, "amp": False} | train,
            "optim": {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0, "lr0": LR},
        }
    )


@pytest.mark.parametrize("clip_norm", [0.25, 1e6, 0.0])
def test_a_step_is_as_long_as_its_gradients_clipped(
    make_pairs: MakePairs, clip_norm: float
) -> None:
    config = config_of(make_pairs(), clip_norm=clip_norm)
    data, machine = build.open_data(config), choose_machine(config)
    runner = assemble(config, data, machine).runner
    runner.enter(WHOLE_RUN)
    before = [parameter.detach().clone() for parameter in runner.detector.parameters()]
    runner.step([next(BatchSource(config, data, machine).train(0, 0))], updates=0)
    norm = float(runner.grad_norm)
    assert norm > 0.25
    moved = [
        parameter.detach() - old
        for parameter, old in zip(runner.detector.parameters(), before, strict=True)
    ]
    length = float(nn.utils.get_total_norm(moved))
    assert length == pytest.approx(LR * (min(norm, clip_norm) if clip_norm else norm), rel=1e-4)
    assert runner.take_counts()["clipped"] == (clip_norm == 0.25)


def test_draws_of_a_step_follow_from_seed_and_step_alone(make_pairs: MakePairs) -> None:
    drawn = {}
    for seed in (0, 1):
        config = config_of(make_pairs(), seed=seed)
        runner = assemble(config, build.open_data(config), choose_machine(config)).runner
        for slot in (3, 4, 3):
            torch.rand(5)  # whatever was drawn before
            runner.seed_draws(slot)
            numbers = tuple(torch.rand(3).tolist())
            assert drawn.setdefault((seed, slot), numbers) == numbers
    assert len(set(drawn.values())) == 4


@pytest.mark.parametrize("memory_format", ["channels_last", "contiguous"])
@pytest.mark.parametrize("amp", [False, "bf16"])
def test_images_are_the_pixels_over_255_in_the_layout_of_the_machine(
    make_pairs: MakePairs, memory_format: str, amp: Any
) -> None:
    config = config_of(make_pairs(), memory_format=memory_format, amp=amp)
    machine = choose_machine(config)
    batch = next(BatchSource(config, build.open_data(config), machine).train(0, 0))
    for image, pixels in zip(images(batch, machine), (batch.rgb, batch.ir), strict=True):
        assert image.dtype == (torch.bfloat16 if amp else torch.float32)
        assert image.is_contiguous(memory_format=machine.memory_format)
        torch.testing.assert_close(image, pixels.to(image.dtype) / 255, rtol=0, atol=0)
