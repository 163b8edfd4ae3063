"""The benchmark scripts: they start, they run on tiny settings, and their arithmetic is right."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ..conftest import MakePairs
from .conftest import BENCHMARKS, run

SPLITS = ("train", "val")
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py"))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that trains and compares."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("measuring.trainings")


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_has_help(script: str, tmp_path: Path) -> None:
    ended = run(script, "--help", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "usage:" in ended.stdout


def test_there_are_scripts_to_test() -> None:
    assert {
        "demo.py",
        "gpu.py",
        "guard.py",
        "evaluation.py",
        "peer_step.py",
        "roadscene.py",
    } <= set(SCRIPTS)


@pytest.mark.slow
def test_demo_trains_and_prints_a_row_a_kind_and_the_gain(tmp_path: Path) -> None:
    tiny = ("--epochs", "1", "--pairs", "10", "--imgsz", "64", "--threads", "1")
    ended = run("demo.py", *tiny, "--set", "model.width=0.25", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    starts = [line.split()[0] for line in lines if line]
    assert [kind for kind in starts if kind in ("mid", "rgb", "ir")] == ["mid", "rgb", "ir"]
    assert lines[-1].startswith("fusion gain of mid: mAP50 ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("module")
def test_what_was_kept_is_not_taken_for_something_else(tmp_path: Path) -> None:
    keeping = import_module("measuring.keeping")
    begun, moved = tmp_path / "begun", tmp_path / "moved"
    begun.mkdir()
    keeping.note(begun / "run", {"data": str(begun / "demo"), "epochs": 1})
    begun.rename(moved)
    (moved / "run").mkdir()
    keeping.note(moved / "run", {"data": str(moved / "demo"), "epochs": 1})
    with pytest.raises(SystemExit, match=r"made otherwise, see run\.made-from\.json"):
        keeping.note(moved / "run", {"data": str(moved / "demo"), "epochs": 2})
    (moved / "older").touch()
    with pytest.raises(SystemExit, match="nobody noted"):
        keeping.note(moved / "older", {})


def test_a_training_depends_on_config_data_and_settings(module: ModuleType, tmp_path: Path) -> None:
    config = tmp_path / "a.yaml"
    config.write_text("train: {epochs: 1}\n")

    def made_from(*sets: str, data: str = "demo") -> Any:
        return module.Training(config, tmp_path / data, "mid", 0, sets, tmp_path).made_from

    first = made_from("train.batch=4")
    assert first == made_from("train.batch=4")
    assert first != made_from("train.batch=8")
    assert first != made_from("train.batch=4", data="other")
    config.write_text("train: {epochs: 2}\n")
    assert first != made_from("train.batch=4")


@pytest.mark.slow
def test_a_training_that_fails_is_named_with_its_message(tmp_path: Path) -> None:
    tiny = ("--epochs", "1", "--pairs", "10", "--imgsz", "64", "--kinds", "ir")
    ended = run("demo.py", *tiny, "--set", "train.device=cuda:99", cwd=tmp_path)
    assert ended.returncode == 1
    assert "ir-seed0 ended with exit code 6" in ended.stderr
    assert "cuda:99 is not there" in ended.stderr


@pytest.mark.slow
def test_peer_step_times_ours_alone(tmp_path: Path) -> None:
    tiny = ("--imgsz", "64", "--batch", "2", "--steps", "2", "--rounds", "1", "--threads", "1")
    ended = run("peer_step.py", "--only-ours", *tiny, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    starts = [line.split("  ")[0] for line in ended.stdout.splitlines()]
    ours = ["mid", "early", "rgb", "rgb, fp32"]
    compared = [f"{name} / rgb, fp32" for name in ours[:-1]]
    assert [start for start in starts if start in (*ours, *compared)] == [*ours, *compared]
    assert list(tmp_path.iterdir()) == []


def test_the_best_epoch_is_the_earlier_one_at_a_tie(module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(
        "epoch,time,metrics/mAP50(B),metrics/mAP50-95(B)\n"
        "1,10,0.5,0.2\n2,20,,\n3,30,0.6,0.3\n4,40,0.9,0.3\n5,50,0.7,0.1\n"
    )
    epochs = [{"event": "epoch", "epoch": epoch, "cpu_seconds": 2.0} for epoch in (1, 2, 2, 3)]
    lines = [json.dumps(event) + "\n" for event in ({"event": "start"}, *epochs)]
    (tmp_path / "events.jsonl").write_text("".join(lines))
    expected = module.Result("mid", 3, map50=0.6, map50_95=0.3, seconds=50, cpu_seconds=6)
    assert module.read_result(tmp_path, "mid") == expected


def test_the_gain_is_over_the_best_single_modality_of_each_score(module: ModuleType) -> None:
    results = [
        module.Result(kind, best_epoch=1, map50=map50, map50_95=map50_95, seconds=1, cpu_seconds=1)
        for kind, map50, map50_95 in (
            ("mid", 0.8, 0.50),
            ("rgb", 0.6, 0.20),
            ("ir", 0.5, 0.40),
            ("mid", 0.9, 0.50),
            ("rgb", 0.5, 0.30),
            ("ir", 0.4, 0.42),
        )
    ]
    assert import_module("measuring.kinds").gain_lines(results) == [
        "fusion gain of mid: mAP50 +0.300 ± 0.141 over rgb, mAP50-95 +0.090 ± 0.014 over ir"
    ]


def test_without_a_single_modality_there_is_no_gain(module: ModuleType) -> None:
    result = module.Result("mid", best_epoch=1, map50=0.8, map50_95=0.5, seconds=1, cpu_seconds=1)
    assert import_module("measuring.kinds").gain_lines([result]) == []


def test_a_peer_of_roadscene_is_given_with_two_scores(module: ModuleType, tmp_path: Path) -> None:
    roadscene = import_module("roadscene")
    row = roadscene.peer_row("other, IR=0.4123,0.2")
    assert row == ["other, IR", "-", "-", "0.412", "0.200", "-", "-", "-"]
    assert len(row) == len(module.HEADER)
    ended = run("roadscene.py", "--data", "x", "--peer", "other=0.4", cwd=tmp_path)
    assert ended.returncode == 2
    assert "'other=0.4' is not NAME=mAP50,mAP50-95" in ended.stderr


def test_a_wrong_data_set_is_told_without_a_traceback(tmp_path: Path) -> None:
    ended = run("roadscene.py", "--data", str(tmp_path / "none"), cwd=tmp_path)
    assert ended.returncode == 1
    assert str(tmp_path / "none") in ended.stderr
    assert "Traceback" not in ended.stderr


def test_tables_are_padded_or_markdown(module: ModuleType) -> None:
    header, rows = ("kind", "mAP50"), [("mid", "0.500"), ("infrared", "0.4")]
    table_text = import_module("measuring.tables").table_text
    assert table_text(header, rows) == ("kind      mAP50\nmid       0.500\ninfrared    0.4")
    assert table_text(header, rows, markdown=True) == (
        "| kind | mAP50 |\n| --- | ---: |\n| mid | 0.500 |\n| infrared | 0.4 |"
    )


@pytest.mark.slow
def test_robustness_prints_what_a_blank_camera_costs(tmp_path: Path) -> None:
    ended = run("robustness.py", "--epochs", "1", "--pairs", "10", "--imgsz", "64", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    _, *rows = [re.split(" {2,}", line) for line in ended.stdout.splitlines()[:4]]
    assert [row[0] for row in rows] == ["mid", "mid-dropout", "rgb alone"]
    whole, _, blank, _, cost = (float(cell) for cell in rows[0][1:])
    assert cost == pytest.approx(whole - blank, abs=2e-3)
    assert ended.stdout.splitlines()[-1].endswith("of what was trained with it")
    assert list(tmp_path.iterdir()) == []


def test_folds_share_the_training_pairs_out_and_leave_the_validation_split_alone(
    module: ModuleType, make_pairs: MakePairs, tmp_path: Path
) -> None:
    folds = import_module("folds")
    data = make_pairs(train=7, val=3)
    sets = folds.write_folds(data, 3, tmp_path / "work")
    found = [
        {split: {path.stem for path in (one / "images" / split).iterdir()} for split in SPLITS}
        for one in sets
    ]
    whole = {f"train_{number:03d}" for number in range(7)}
    assert [len(fold["val"]) for fold in found] == [3, 2, 2]
    assert set.union(*(fold["val"] for fold in found)) == whole
    assert all(fold["train"] == whole - fold["val"] for fold in found)
    assert folds.write_folds(data, 3, tmp_path / "work") == sets


def test_variants_are_held_against_the_first_fold_by_fold(module: ModuleType) -> None:
    folds = import_module("folds")
    results = [
        module.Result(name, best_epoch=1, map50=score, map50_95=score / 2, seconds=1, cpu_seconds=9)
        for name, score in (("recipe", 0.5), ("P3", 0.4), ("recipe", 0.3), ("P3", 0.1))
    ]
    first, second = folds.rows(results, ["recipe", "P3"])
    assert first[3:5] == ["-", "-"]
    assert second[1] == "0.250 ± 0.212"
    assert second[3:] == ["-0.150 ± 0.071", "-0.075 ± 0.035", "9 ± 0"]
    assert folds.parse_variant("a b: x.y=1 z=2") == ("a b", ("x.y=1", "z=2"))


@pytest.mark.slow
def test_inference_times_torch_and_onnxruntime_side_by_side(tmp_path: Path) -> None:
    tiny = ("--kinds", "ir", "--width", "0.25", "--imgsz", "64", "--batch", "2", "--rounds", "2")
    ended = run("inference.py", *tiny, "--threads", "1", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines() if line.startswith("ir ")]
    assert [row[1] for row in rows] == ["torch", "onnxruntime"]
    assert rows[0][-1] == "1.00x"
    assert all(0 < float(row[2]) <= float(row[3]) for row in rows)
    assert list(tmp_path.iterdir()) == []
