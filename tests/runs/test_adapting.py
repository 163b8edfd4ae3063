"""Adapter trainings: two phases, one count of epochs, a base that stands still."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fusetrain.catalogue import entries
from fusetrain.cli.app import run
from fusetrain.engine.checkpoint import read_newest
from fusetrain.engine.weights import load_detector

Capture = pytest.CaptureFixture[str]
FIRST = {"auto": "decision", "rgb": "rgb"}
ADAPTER = ("train", "--config", "train.yaml", "--name", "adapted", "--set", "model.fusion=adapter")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (folder / "events.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == kind]


def trained_parts(content: dict[str, Any]) -> set[str]:
    groups = content["optimizer"]["param_groups"]
    return {name.split(".")[0] for group in groups for name in group["names"]}


def assert_base_stood_still(folder: Path, base: str) -> None:
    """What the last step left of the base is what the adapter began with, statistics included."""
    content, _, _ = read_newest(folder / "weights")
    best, info = load_detector(folder)
    assert (info.detector.kind, info.detector.base) == ("adapter", base)
    own, other = ("backbone_ir", "backbone") if base == "ir" else ("backbone", "backbone_ir")
    assert trained_parts(content) == {other, "fusion"}
    for name, value in best.state_dict().items():
        if name.startswith((f"{own}.", "neck.", "head.")):
            assert torch.equal(content["model"][name], value), name
            assert torch.equal(content["average"][name], value), name
    moved = [name for name, value in content["model"].items() if name.startswith("fusion.")]
    assert all(content["model"][name].count_nonzero() for name in moved)


def test_one_epoch_is_one_for_each_phase_and_the_weights_name_their_base(
    home: Path, capsys: Capture
) -> None:
    assert run([*ADAPTER, "--set", "train.epochs=1"]) == 0
    folder = home / "runs" / "adapted"
    assert [row["epoch"] for row in rows(folder)] == ["1", "2"]
    (chosen,) = events(folder, "base")
    assert f"base: {chosen['base']} as of epoch 1" in capsys.readouterr().err
    assert [event["epoch"] for event in events(folder, "stage")] == [1, 2]
    assert_base_stood_still(folder, chosen["base"])
    words = ["plot-lr", "--config", str(folder / "config.yaml"), str(folder), "--no-terminal"]
    assert run(words) == 0
    capsys.readouterr()
    assert run(["diagnose", str(folder), "--json"]) == 0
    found = {finding["code"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert "stream-dead" not in found  # the base stands still on purpose
    assert run(["resume", str(folder), "--set", "train.epochs=3"]) == 0
    assert [row["epoch"] for row in rows(folder)] == ["1", "2", "3"]
    assert run(words) == 0
    capsys.readouterr()


def test_finished_run_as_a_base_leaves_all_epochs_to_the_adapters(
    home: Path, capsys: Capture
) -> None:
    single = ["--set", "train.epochs=1", "--set", "model.fusion=ir", "--name", "single"]
    assert run(["train", "--config", "train.yaml", *single]) == 0
    assert run([*ADAPTER, "--set", "train.epochs=1", "--set", "model.base=runs/single"]) == 0
    folder = home / "runs" / "adapted"
    assert len(rows(folder)) == 1
    assert_base_stood_still(folder, "ir")
    err = capsys.readouterr().err
    assert f"base: ir, from {home / 'runs' / 'single'}" in err
    fused = [*ADAPTER, "--dry-run", "--set", "model.base=runs/exp"]
    assert run(fused) == 5
    assert "cannot build on a detector of the kind mid" in capsys.readouterr().err
    other = [*ADAPTER, "--dry-run", "--set", "model.base=runs/single", "--set", "model.width=0.5"]
    assert run(other) == 5
    err = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "the base is of another shape" in err
    assert "--set model.width=0.25" in err
    second_head = ["--set", "model.base=runs/single", "--set", "model.one_to_one=true"]
    assert run([*ADAPTER, "--dry-run", *second_head]) == 5
    err = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "--set model.one_to_one=false" in err


@pytest.mark.parametrize("base", ["auto", "rgb"])
def test_dry_run_names_both_phases(home: Path, capsys: Capture, base: str) -> None:
    assert run([*ADAPTER, "--dry-run", "--set", f"model.base={base}"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "from epoch 1: RGB" in out
    assert "from epoch 2: " in out
    assert "frozen" in out
    adapter, first = (_cost_of(home, kind) for kind in ("adapter", FIRST[base]))
    assert f"parameters {adapter[0]}; in phase one {first[0]}" in out
    assert f"forward {adapter[1]} GFLOPs a pair at 64 px; in phase one {first[1]}" in out
    assert adapter[0] != first[0]


def _cost_of(home: Path, kind: str) -> tuple[str, str]:
    """Return parameters and operations of a kind in the shape of the runs of this folder."""
    _, info = load_detector(home / "runs" / "exp")
    spec = replace(info.detector, kind=kind)
    (entry,) = entries([spec], imgsz=info.imgsz)
    return f"{entry.params / 1e6:.2f} M", f"{entry.flops / 1e9:.2f}"


def test_frozen_part_stands_still_and_the_plan_says_so(home: Path, capsys: Capture) -> None:
    words = ["train", "--config", "train.yaml", "--set", "train.freeze=[backbone, neck]"]
    assert run([*words, "--dry-run"]) == 0
    assert "backbone and neck frozen" in " ".join(capsys.readouterr().out.split())
    assert run([*words, "--set", "train.epochs=1", "--set", "model.weights=runs/exp"]) == 0
    before, _ = load_detector(home / "runs" / "exp")
    content, _, _ = read_newest(home / "runs" / "exp2" / "weights")
    for name, value in before.state_dict().items():
        is_still = torch.equal(content["model"][name], value)
        assert is_still == name.startswith(("backbone.", "neck.")) or value.dim() < 1, name
    capsys.readouterr()


def test_freezing_all_that_a_kind_has_is_refused(home: Path, capsys: Capture) -> None:
    words = ["train", "--config", "train.yaml", "--set", "model.fusion=rgb", "--dry-run"]
    assert run([*words, "--set", "train.freeze=[backbone, neck, head]"]) == 3
    assert "nothing is trained" in capsys.readouterr().err
