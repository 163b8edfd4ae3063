"""The same training on a GPU: mixed precision, fused optimizer, stop and resume."""

import csv
from pathlib import Path

import pytest
import torch

from fusetrain.config.load import load_config

from .conftest import Command

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
ON_GPU = ("--set", "train.device=cuda", "--set", "train.workers=2")


@pytest.mark.parametrize("amp", ["auto", "fp16", "false"])
def test_training_on_a_gpu_runs_stops_and_goes_on(
    tiny_config: Path, tmp_path: Path, fusetrain: Command, amp: str
) -> None:
    first = fusetrain(
        *("train", "--config", tiny_config, *ON_GPU),
        *("--set", f"train.amp={amp}", "--set", "train.epochs=2"),
    )
    assert first.returncode == 0, first.stderr
    run = tmp_path / "runs" / "exp"
    chosen = load_config(run / "config.yaml").config.train
    assert chosen.device == "cuda"
    assert chosen.amp in (
        ("bf16", "fp16") if amp == "auto" else ("fp16",) if amp == "fp16" else (False,)
    )
    more = fusetrain("resume", run, "--set", "train.epochs=3")
    assert more.returncode == 0, more.stderr
    with (run / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert all(float(row["train/box_loss"]) > 0 for row in rows)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device on this machine")
def test_two_gpus_train_together_and_resume(
    tiny_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    first = fusetrain(
        *("train", "--config", tiny_config, *ON_GPU, "--devices", "0,1"),
        *("--set", "train.epochs=2", "--set", "train.sync_bn=true"),
    )
    assert first.returncode == 0, first.stderr
    more = fusetrain("resume", tmp_path / "runs" / "exp", "--set", "train.epochs=3")
    assert more.returncode == 0, more.stderr
    assert "world_size" not in more.stderr
    with (tmp_path / "runs" / "exp" / "results.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_gpu_and_cpu_agree_on_the_first_epoch(
    tiny_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    same = ("--set", "train.amp=false", "--set", "train.epochs=1")
    assert fusetrain("train", "--config", tiny_config, *ON_GPU, *same).returncode == 0
    assert fusetrain("train", "--config", tiny_config, *same).returncode == 0
    losses = []
    for name in ("exp", "exp2"):
        with (tmp_path / "runs" / name / "results.csv").open() as file:
            losses.append(float(next(csv.DictReader(file))["train/cls_loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
