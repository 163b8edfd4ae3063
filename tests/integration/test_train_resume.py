"""Whole trainings as real processes: reruns are bit-equal, stops are exact, faults are refused."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from fusetrain.engine.checkpoint import read_newest
from fusetrain.errors import DataError, StoppedError

from .conftest import Command, environment


def rows(run: Path) -> list[dict[str, str]]:
    """The rows of results.csv without the one column that may differ."""
    with (run / "results.csv").open() as file:
        return [{key: row[key] for key in row if key != "time"} for row in csv.DictReader(file)]


def checkpoint(run: Path) -> dict[str, Any]:
    content, _, _ = read_newest(run / "weights")
    return content


def assert_same_values(first: Any, second: Any, path: str = "") -> None:
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
        assert first.stride() == second.stride(), path
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_same_values(first[key], second[key], f"{path}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), path
        for number, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_same_values(one, other, f"{path}[{number}]")
    else:
        assert first == second, path


def assert_same_run(first: Path, second: Path) -> None:
    """Weights, average, optimizer and history are equal to the last bit, but for the time."""
    one, other = checkpoint(first), checkpoint(second)
    for key in ("model", "average", "optimizer", "scaler", "rng"):
        assert_same_values(one[key], other[key], key)
    for content in (one, other):
        content["state"].pop("seconds")
        for row in content["state"]["history"]:
            row.pop("time")
    assert_same_values(one["state"], other["state"], "state")
    assert rows(first) == rows(second)


@pytest.fixture(scope="module")
def untouched(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs that nothing disturbed."""
    from .conftest import TINY

    folder = tmp_path_factory.mktemp("untouched")
    config = folder / "train.yaml"
    config.write_text(TINY.format(data=tiny_set, project=folder / "runs"))
    subprocess.run(
        [sys.executable, "-m", "fusetrain", "train", "--config", str(config)],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=240,
    )
    return folder / "runs" / "exp"


def test_fresh_runs_of_one_config_are_bit_equal(
    untouched: Path, tiny_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    done = fusetrain("train", "--config", tiny_config)
    assert done.returncode == 0, done.stderr
    assert_same_run(untouched, tmp_path / "runs" / "exp")


@pytest.mark.parametrize("cache", ["ram", "disk"])
@pytest.mark.fault(19)
def test_neither_workers_nor_caches_change_a_bit(
    untouched: Path,
    tiny_config: Path,
    tmp_path: Path,
    fusetrain: Command,
    monkeypatch: pytest.MonkeyPatch,
    cache: str,
) -> None:
    monkeypatch.setenv("FUSETRAIN_CACHE", str(tmp_path / "cache"))
    sets = ("--set", "train.workers=2", "--set", f"train.cache={cache}")
    done = fusetrain("train", "--config", tiny_config, *sets)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "cache").glob("*.pairs"))) == (2 if cache == "disk" else 0)
    assert_same_run(untouched, tmp_path / "runs" / "exp")


def stop_in_the_middle(config: Path, number: int) -> subprocess.Popen[str]:
    """Start a training that saves after every step, send a signal once some steps are saved."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "fusetrain", "train", "--config", str(config)),
            *("--set", "train.save_every={steps: 1, epochs: 1}"),
        ],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    run = config.parent / "runs" / "exp"
    deadline = time.monotonic() + 120
    while not (run / "weights" / "last.prev.pt").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.01)
    os.killpg(process.pid, number)
    return process


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
@pytest.mark.fault(3, 4)
def test_run_stopped_by_a_signal_and_resumed_equals_one_never_stopped(
    untouched: Path, tiny_config: Path, fusetrain: Command, number: signal.Signals
) -> None:
    process = stop_in_the_middle(tiny_config, number)
    message = process.communicate(timeout=120)[1]
    run = tiny_config.parent / "runs" / "exp"
    assert process.returncode == StoppedError.exit_code, message
    assert f"fusetrain resume {run}" in message
    stopped = checkpoint(run)["state"]
    assert stopped["epoch"] < 3
    done = fusetrain("resume", run)
    assert done.returncode == 0, done.stderr
    assert f"resumed after step {stopped['slot']}" in done.stderr
    assert_same_run(untouched, run)


@pytest.mark.fault(1)
def test_run_killed_at_once_and_resumed_equals_one_never_stopped(
    untouched: Path, tiny_config: Path, fusetrain: Command
) -> None:
    process = stop_in_the_middle(tiny_config, signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    run = tiny_config.parent / "runs" / "exp"
    done = fusetrain("resume", run)
    assert done.returncode == 0, done.stderr
    assert_same_run(untouched, run)


@pytest.mark.slow
def test_finished_run_can_be_extended_and_says_so_when_there_is_nothing_to_do(
    tiny_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    assert fusetrain("train", "--config", tiny_config, "--set", "train.epochs=1").returncode == 0
    run = tmp_path / "runs" / "exp"
    again = fusetrain("resume", run)
    assert again.returncode == 0
    assert "nothing is left to train" in again.stderr
    more = fusetrain("resume", run, "--set", "train.epochs=2")
    assert more.returncode == 0, more.stderr
    assert [row["epoch"] for row in rows(run)] == ["1", "2"]
    compared = fusetrain("plot-lr", "--config", run / "config.yaml", run, "--no-terminal")
    assert compared.returncode == 0, compared.stdout + compared.stderr


@pytest.mark.slow
@pytest.mark.fault(17, 18)
def test_changed_setting_or_data_set_is_refused_on_resume(
    tiny_set: Path, tmp_path: Path, fusetrain: Command
) -> None:
    from .conftest import TINY

    copied = tmp_path / "copied"
    shutil.copytree(tiny_set.parent, copied)
    config = tmp_path / "train.yaml"
    config.write_text(TINY.format(data=copied / "data.yaml", project=tmp_path / "runs"))
    assert fusetrain("train", "--config", config, "--set", "train.epochs=1").returncode == 0
    run = tmp_path / "runs" / "exp"
    changed = fusetrain("resume", run, "--set", "optim.lr0=0.5", "--set", "train.epochs=2")
    assert changed.returncode == 3
    assert "optim.lr0" in changed.stderr
    label = next((copied / "labels" / "train").iterdir())
    label.write_text(label.read_text() + "0 0.5 0.5 0.2 0.2\n")
    moved = fusetrain("resume", run, "--set", "train.epochs=2")
    assert moved.returncode == DataError.exit_code
    accepted = fusetrain("resume", run, "--set", "train.epochs=2", "--accept-data-change")
    assert accepted.returncode == 0, accepted.stderr


@pytest.mark.fault(16)
def test_folder_in_use_is_refused(tiny_config: Path, fusetrain: Command) -> None:
    process = stop_in_the_middle(tiny_config, signal.SIGSTOP)
    try:
        second = fusetrain("resume", tiny_config.parent / "runs" / "exp")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert second.returncode == 5
    assert str(process.pid) in second.stderr


def on_two_ranks(*words: object) -> None:
    """Run the command line on two ranks of this machine."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node=2", "-m", "fusetrain", *map(str, words)),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_ranks_go_through_the_stages_of_a_training(tiny_config: Path, tmp_path: Path) -> None:
    stages = (
        "[{epochs: 1, inputs: rgb, freeze: [backbone_ir]}, {epochs: 1, freeze: [backbone]}, {}]"
    )
    on_two_ranks("train", "--config", tiny_config, "--set", f"train.stages={stages}")
    run_folder = tmp_path / "runs" / "exp"
    names = re.findall(r"(lr/pg\d+): .* of (\w+)", (run_folder / "config.yaml").read_text())
    for row, still in zip(rows(run_folder), ("backbone_ir", "backbone", None), strict=True):
        assert {part for name, part in names if float(row[name]) == 0} == {still} - {None}


@pytest.mark.fault(19)
def test_two_ranks_see_what_one_sees(untouched: Path, tiny_config: Path, tmp_path: Path) -> None:
    on_two_ranks("train", "--config", tiny_config)
    two, one = rows(tmp_path / "runs" / "exp"), rows(untouched)
    assert [row["lr0"] for row in two] == [row["lr0"] for row in one]
    assert float(two[0]["train/cls_loss"]) == pytest.approx(
        float(one[0]["train/cls_loss"]), rel=0.1
    )


@pytest.mark.slow
def test_two_ranks_resumed_equal_two_ranks_never_stopped(
    tiny_set: Path, tiny_config: Path, tmp_path: Path
) -> None:
    """Both ranks validate: 16 pairs make two batches."""
    data = tmp_path / "data.yaml"
    text = tiny_set.read_text().replace("path: .", f"path: {tiny_set.parent}")
    data.write_text(text.replace("val: images/val", "val: images/train"))
    on_two_ranks("train", "--config", tiny_config, "--data", data)
    through, again = tmp_path / "runs" / "exp", tmp_path / "again"
    shutil.copytree(through, again)
    (again / "weights" / "last.pt").unlink()  # what is left is of the epoch before the last
    on_two_ranks("resume", again)
    assert_same_run(through, again)
