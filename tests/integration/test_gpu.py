"""The same training on a GPU: mixed precision, fused optimizer, stop and resume, several ranks."""

import csv
import json
from pathlib import Path

import pytest
import torch

from fusetrain import build
from fusetrain.config.load import load_config
from fusetrain.engine.stages import WHOLE_RUN
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.session import assemble, choose_machine

from .conftest import Command

NUM_GPUS = torch.cuda.device_count()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
needs_two = pytest.mark.skipif(
    NUM_GPUS < 2, reason=f"{NUM_GPUS} CUDA devices on this machine, two are needed"
)
STOP = "last.pt:durable=SIGTERM@2"  # in the first epoch, which has four steps
LOSSES = ("train/box_loss", "train/cls_loss", "train/dfl_loss", "val/box_loss", "val/cls_loss")
ON_GPU = ("--set", "train.device=cuda", "--set", "train.workers=2")


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "results.csv").open() as file:
        return list(csv.DictReader(file))


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
    table = rows(run)
    assert [row["epoch"] for row in table] == ["1", "2", "3"]
    assert all(float(row["train/box_loss"]) > 0 for row in table)


@pytest.mark.parametrize("amp", ["auto", "fp16"])
@pytest.mark.parametrize("devices", ["1", pytest.param("0,1", marks=needs_two)])
def test_run_stopped_in_mixed_precision_goes_on_to_the_same_losses(
    tiny_config: Path,
    tmp_path: Path,
    fusetrain: Command,
    monkeypatch: pytest.MonkeyPatch,
    devices: str,
    amp: str,
) -> None:
    """One GPU or, over NCCL, two; optimizer, average and loss scale all have to be restored."""
    words = (
        *("train", "--config", tiny_config, *ON_GPU, "--devices", devices),
        *("--set", f"train.amp={amp}", "--set", "train.deterministic=true"),
        *("--set", "train.save_every={steps: 1, epochs: 1}"),
    )
    whole = fusetrain(*words, "--name", "whole")
    assert whole.returncode == 0, whole.stderr
    monkeypatch.setenv("FUSETRAIN_FAILPOINT", STOP)
    stopped = fusetrain(*words)
    assert stopped.returncode == 75, stopped.stderr
    monkeypatch.delenv("FUSETRAIN_FAILPOINT")
    resumed = fusetrain("resume", tmp_path / "runs" / "exp")
    assert resumed.returncode == 0, resumed.stderr
    assert "not bit-exact" not in resumed.stderr
    one, other = (rows(tmp_path / "runs" / name) for name in ("whole", "exp"))
    assert [row["epoch"] for row in other] == ["1", "2", "3"]
    # Over NCCL the last bits of a sum may depend on what else it is busy with.
    tolerance = 0.0 if devices == "1" else 1e-3
    for row, same in zip(one, other, strict=True):
        for name in LOSSES:
            assert float(same[name]) == pytest.approx(float(row[name]), rel=tolerance), name
        for name in (name for name in row if name.startswith("lr")):
            assert same[name] == row[name]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize("amp", ["auto", "fp16", "false"])
def test_a_step_makes_nobody_wait(tiny_config: Path, amp: str, optimizer: str) -> None:
    settings = ("train.device=cuda", "train.workers=0", f"train.amp={amp}")
    settings += (f"optim.name={optimizer}",)
    config = load_config(tiny_config, settings).config
    data, machine = build.open_data(config), choose_machine(config)
    machine.apply()
    runner = assemble(config, data, machine).runner
    runner.enter(WHOLE_RUN)
    batch = next(BatchSource(config, data, machine).train(0, 0))
    updates = 0
    for _ in range(3):  # kernels are chosen, memory is taken
        _, updates = runner.step([batch], updates=updates)
    torch.cuda.set_sync_debug_mode("error")
    try:
        runner.step([batch], updates=updates)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_compiled_detector_trains_and_goes_on(
    tiny_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    compiled = ("--set", "train.compile=true", "--set", "train.epochs=1")
    done = fusetrain("train", "--config", tiny_config, *ON_GPU, *compiled)
    assert done.returncode == 0, done.stderr
    more = fusetrain("resume", tmp_path / "runs" / "exp", "--set", "train.epochs=2")
    assert more.returncode == 0, more.stderr
    assert [row["epoch"] for row in rows(tmp_path / "runs" / "exp")] == ["1", "2"]


@needs_two
def test_two_gpus_with_shared_batch_statistics_train_as_one(
    tiny_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    words = (
        *("train", "--config", tiny_config, *ON_GPU, "--set", "train.amp=false"),
        *("--set", "train.epochs=1", "--set", "train.sync_bn=true"),
    )
    for name, devices in (("one", "1"), ("two", "0,1")):
        done = fusetrain(*words, "--name", name, "--devices", devices)
        assert done.returncode == 0, done.stderr
    (one,), (two,) = (rows(tmp_path / "runs" / name) for name in ("one", "two"))
    for name in LOSSES[:3]:
        assert float(two[name]) == pytest.approx(float(one[name]), rel=0.01), name


def test_memory_of_the_gpu_that_runs_out_halves_the_parts_of_a_step(
    tiny_config: Path, tmp_path: Path, fusetrain: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSETRAIN_FAILPOINT", "step of 4 pairs=MEMORY")
    done = fusetrain("train", "--config", tiny_config, *ON_GPU, "--set", "train.epochs=1")
    assert done.returncode == 0, done.stderr
    assert "from now on 2 pairs are computed at once" in done.stderr
    lines = (tmp_path / "runs" / "exp" / "events.jsonl").read_text().splitlines()
    memory = [event for event in map(json.loads, lines) if event["event"] == "memory"]
    assert [(event["slot"], event["micro_batch"]) for event in memory] == [(0, 2)]


def test_gpu_and_cpu_agree_on_the_first_epoch(
    tiny_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    same = ("--set", "train.amp=false", "--set", "train.epochs=1")
    assert fusetrain("train", "--config", tiny_config, *ON_GPU, *same).returncode == 0
    assert fusetrain("train", "--config", tiny_config, *same).returncode == 0
    losses = [
        float(rows(tmp_path / "runs" / name)[0]["train/cls_loss"]) for name in ("exp", "exp2")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
