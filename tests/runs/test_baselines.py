"""`train --with-baselines`: three runs under one budget, and what fusion gains by them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from fusetrain.cli.app import run
from fusetrain.config.load import load_config
from fusetrain.config.schema import AugmentSettings, Config
from fusetrain.errors import ConfigError, RunError
from fusetrain.results.run_dir import FUSION_GAIN, RunDir
from fusetrain.rules import require_fusion
from fusetrain.runs.baselines import baseline_config, fused_run_of

Capture = pytest.CaptureFixture[str]
WORDS = ("train", "--config", "train.yaml", "--set", "train.epochs=1", "--with-baselines")


def highest(folder: Path, column: str) -> float:
    with (folder / "results.csv").open() as file:
        return max(float(row[column]) for row in csv.DictReader(file))


def told(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = json.loads((folder / FUSION_GAIN).read_text())
    return found


def test_gain_is_fused_minus_best_single_and_a_lost_baseline_is_trained_again(
    home: Path, capsys: Capture
) -> None:
    assert run([*WORDS, "--name", "duel", "--set", "model.operator=gate"]) == 0
    assert "fusion gain = fused - best single: mAP50 " in capsys.readouterr().err
    runs = home / "runs"
    assert (runs / "latest").resolve().name == "duel"
    values = told(runs / "duel")
    assert values["baselines"] == {"rgb": "duel-rgb", "ir": "duel-ir"}
    best = {
        kind: highest(runs / name, "metrics/mAP50-95(B)")
        for kind, name in (("fused", "duel"), ("rgb", "duel-rgb"), ("ir", "duel-ir"))
    }
    expected = best["fused"] - max(best["rgb"], best["ir"])
    assert values["gain"]["map50_95"] == pytest.approx(expected, abs=1e-12)
    assert '"event": "fusion gain"' in (runs / "duel" / "events.jsonl").read_text()
    for kind in ("rgb", "ir"):
        single = load_config(runs / f"duel-{kind}" / "config.yaml").config
        assert (single.model.fusion, single.model.operator) == (kind, "concat")
        assert single.train == load_config(runs / "duel" / "config.yaml").config.train
    _forget_the_gain_and_the_ir_run(runs)
    assert run(["resume", "runs/duel"]) == 0
    assert told(runs / "duel")["baselines"] == values["baselines"]
    assert told(runs / "duel")["gain"] == values["gain"]
    capsys.readouterr()


def _forget_the_gain_and_the_ir_run(runs: Path) -> None:
    """Leave what a kill before the first save of the last baseline leaves."""
    for path in (*(runs / "duel-ir" / "weights").iterdir(), runs / "duel-ir" / "results.csv"):
        path.unlink()
    values = told(runs / "duel")
    (runs / "duel" / FUSION_GAIN).write_text(json.dumps(values | {"gain": None, "scores": None}))


@pytest.mark.parametrize("kind", ["rgb", "ir"])
def test_baseline_never_loses_the_image_it_has(kind: str, tmp_path: Path) -> None:
    values = {
        "augment": {"drop_rgb": 0.3, "drop_ir": 0.3, "ir_shift": 0.1, "ir_noise": 0.1},
        "train": {"epochs": 4, "stages": [{"epochs": 1, "inputs": "ir"}, {"inputs": "rgb"}]},
    }
    config = Config.model_validate(values)
    single = baseline_config(config, kind, name="single", project=tmp_path)
    assert single.augment == AugmentSettings(ir_noise=0.1)
    assert [stage.inputs for stage in single.train.stages] == ["both", "both"]
    assert [stage.epochs for stage in single.train.stages] == [1, None]


@pytest.mark.parametrize(
    ("frozen", "kinds"),
    [("backbone,neck,head", "rgb"), ("backbone_ir,neck,head", "ir"), ("neck,head", "")],
)
def test_baseline_without_anything_to_train_is_refused_before_the_first_run(
    frozen: str, kinds: str
) -> None:
    config = Config.model_validate({"train": {"freeze": frozen.split(",")}})
    if not kinds:
        require_fusion(config)
        return
    with pytest.raises(ConfigError, match=f"nothing to train for {kinds}: every part"):
        require_fusion(config)


@pytest.mark.parametrize("kind", ["rgb", "ir"])
def test_baseline_of_a_baseline_makes_no_sense(home: Path, capsys: Capture, kind: str) -> None:
    assert run([*WORDS, "--set", f"model.fusion={kind}"]) == 3
    text = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert f"--with-baselines makes no sense for fusion '{kind}'" in text
    assert sorted(path.name for path in (home / "runs").iterdir()) == ["exp", "latest"]


def test_runs_find_the_fused_run_they_belong_to(tmp_path: Path) -> None:
    for name in ("exp", "exp-rgb", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "exp" / FUSION_GAIN).write_text('{"baselines": {"rgb": "exp-rgb"}}')
    found = {name: fused_run_of(RunDir(tmp_path / name)) for name in ("exp", "exp-rgb", "other")}
    assert [run and run.path.name for run in found.values()] == ["exp", "exp", None]
    (tmp_path / "exp" / FUSION_GAIN).write_text("[]")
    with pytest.raises(RunError, match="cannot be read"):
        fused_run_of(RunDir(tmp_path / "exp-rgb"))
