"""The comparisons with another program, as far as they need not have it: data, judging, ratios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from fusetrain import build
from fusetrain.build import TrainingData
from fusetrain.config.schema import Config
from fusetrain.data.demo import write_demo

from .conftest import BENCHMARKS, paths, run


@pytest.fixture(autouse=True)
def _modules_of_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "set"
    write_demo(folder, num_pairs=5)
    return folder


@pytest.fixture(scope="module")
def data(demo: Path) -> TrainingData:
    return build.open_data(Config.model_validate({"data": str(demo / "data.yaml")}))


@pytest.fixture
def turns() -> ModuleType:
    return import_module("measuring.turns")


def turn(seconds: float, cpu: float, peak: float, *, gflops: float = 2.0) -> Any:
    answer = {"gflops": gflops, "parameters": 3e6, "threads": 1, "start_mib": 500.0}
    return import_module("measuring.turns").Turn(seconds, cpu, peak, 0.0, answer)


def test_pairs_become_pages_of_r_g_b_and_ir(demo: Path, data: TrainingData, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in demo.rglob("*") if path.is_file()}
    written = import_module("measuring.peer_data").write_four_channels(data, tmp_path / "four")
    text = yaml.safe_load(written.read_text())
    assert (text["channels"], text["names"]) == (4, ["person", "car", "animal"])
    for split, index in (("train", data.train), ("val", data.val)):
        for row in range(len(index)):
            stem = tmp_path / "four" / "images" / split / f"{row:06d}"
            with Image.open(stem.with_suffix(".tif")) as image:
                assert image.n_frames == 4
                pages = []
                for page in range(4):
                    image.seek(page)
                    pages.append(np.asarray(image))
            rgb = np.asarray(Image.open(index.rgb_path(row)).convert("RGB"))
            assert np.array_equal(np.stack(pages[:3], axis=2), rgb)
            assert np.array_equal(pages[3], np.asarray(Image.open(index.ir_path(row)).convert("L")))
    assert before == {path: path.read_bytes() for path in demo.rglob("*") if path.is_file()}


def test_labels_of_the_copy_are_those_of_the_pairs(
    demo: Path, data: TrainingData, tmp_path: Path
) -> None:
    import_module("measuring.peer_data").write_four_channels(data, tmp_path / "four")
    num_boxes = 0
    for row in range(len(data.train)):
        stem = data.train.rgb_path(row).stem
        expected = np.loadtxt(demo / "labels" / "train" / f"{stem}.txt", ndmin=2)
        copied = np.loadtxt(tmp_path / f"four/labels/train/{row:06d}.txt", ndmin=2)
        assert copied == pytest.approx(expected, abs=1e-6)
        num_boxes += len(copied)
    assert num_boxes == len(data.train.boxes) > 0


def test_one_modality_is_copied_with_the_labels(demo: Path, tmp_path: Path) -> None:
    written = import_module("measuring.peer_data").write_one_modality(
        demo, tmp_path / "ir", images="imagesIR", names=("person", "car", "animal")
    )
    assert yaml.safe_load(written.read_text())["channels"] == 3
    for copy, source in (("images", "imagesIR"), ("labels", "labels")):
        files = sorted(path for path in (tmp_path / "ir" / copy).rglob("*") if path.is_file())
        assert len(files) == 5
        for path in files:
            same = demo / source / path.relative_to(tmp_path / "ir" / copy)
            assert path.read_bytes() == same.read_bytes()


def true_rows(demo: Path, data: TrainingData) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the labels as detections: image number, class, score, x1, y1, x2, y2 in px."""
    rows = []
    for number in range(len(data.val)):
        path = data.val.rgb_path(number)
        with Image.open(path) as image:
            width, height = image.size
        lines = (demo / "labels" / "val" / f"{path.stem}.txt").read_text().splitlines()
        for kind, cx, cy, w, h in (map(float, line.split()) for line in lines):
            left, top = (cx - w / 2) * width, (cy - h / 2) * height
            rows.append([number, kind, 0.9, left, top, left + w * width, top + h * height])
    return np.array(rows, np.float64).reshape(-1, 7)


def test_the_judge_knows_the_true_boxes(demo: Path, data: TrainingData) -> None:
    judge = import_module("measuring.peer_runs").Judge(data.val)
    found = true_rows(demo, data)
    assert len(found)
    assert judge.scores(found) == pytest.approx((1.0, 1.0))
    moved = found.copy()
    moved[:, [3, 5]] += 0.2 * (found[:, 5] - found[:, 3])[:, None]  # IoU 2/3
    assert judge.scores(moved) == pytest.approx((1.0, 0.4))
    assert judge.scores(found[:0]) == (0.0, 0.0)


def points(*maps: float, step_s: float = 10.0) -> list[Any]:
    point = import_module("measuring.learning_curves").Point
    return [
        point(epoch, epoch * step_s, epoch * step_s / 2, map50, map50 / 2)
        for epoch, map50 in enumerate(maps, start=1)
    ]


def test_a_training_of_the_peer_that_is_done_is_not_run_again(tmp_path: Path) -> None:
    peer_runs = import_module("measuring.peer_runs")
    curve = points(0.1, 0.4)
    kept = tmp_path / "p.curve.json"
    import_module("measuring.keeping").note(kept, {"epochs": 2})
    kept.write_text(json.dumps([asdict(point) for point in curve]))
    assert peer_runs.PeerRun("p", {"epochs": 2}, tmp_path, "").curve(judge=None) == curve
    assert sorted(path.name for path in tmp_path.glob("p.*.json"))[0] == "p.curve.json"
    with pytest.raises(SystemExit, match="made otherwise"):
        peer_runs.PeerRun("p", {"epochs": 3}, tmp_path, "").curve(judge=None)


def test_a_curve_tells_where_a_score_was_reached_and_what_was_there_by_then() -> None:
    curves = import_module("measuring.learning_curves")
    curve = points(0.1, 0.5, 0.4, 0.6)
    assert curves.first_reaching(curve, 0.4).epoch == 2
    assert curves.first_reaching(curve, 0.7) is None
    assert curves.latest_by(curve, 39.9).epoch == 3
    assert curves.latest_by(curve, 9.9) is None


def test_time_to_the_peers_final_score_is_taken_seed_by_seed() -> None:
    table = import_module("time_to_accuracy")
    peer = [points(0.1, 0.2, 0.6, 0.5), points(0.1, 0.2, 0.3, 0.4)]
    mine = [points(0.1, 0.5, step_s=5.0), points(0.4, 0.3, step_s=5.0)]
    reached, there = table.reached_by(mine, peer), table.reached_by(peer, peer)
    assert [point.epoch for point in there] == [3, 4]
    times, cpu_times = table.time_ratios(reached, there)
    assert times == pytest.approx([10 / 30, 5 / 40]) == cpu_times
    cells = table.row(mine, "mid", peer)
    assert len(cells) == len(table.HEADER)
    assert cells[2] == "0.400 ± 0.141"
    assert cells[-4:] == ["0.19x", "0.19x", "0.23x", "0.23x"]
    assert table.verdict("mid", mine, peer).endswith("0.19x; wanted at most 0.25x: reached")
    assert table.score_by(mine, 10.0) == "0.400 ± 0.141"
    assert table.score_by(mine, 4.0) == "-"


def test_each_kind_is_trained_with_each_budget() -> None:
    table = import_module("time_to_accuracy")
    kinds = ["mid", "early"]
    assert list(table.variants_of(Namespace(kinds=kinds, budgets=None))) == kinds
    asked = table.variants_of(Namespace(kinds=kinds, budgets=[12, 24]))
    assert list(asked) == ["mid-12", "mid-24", "early-12", "early-24"]
    assert asked["early-24"] == ("model.fusion=early", "train.epochs=24")


def test_a_score_that_is_never_reached_is_said() -> None:
    table = import_module("time_to_accuracy")
    peer, mine = [points(0.5), points(0.5)], [points(0.4), points(0.6)]
    assert table.row(mine, "mid", peer)[6] == "10 (1 of 2)"
    assert "not reached with 1 seeds: missed" in table.verdict("mid", mine, peer)
    worse = [points(0.4), points(0.4)]
    assert table.row(worse, "mid", peer)[6:] == ["never (0 of 2)", "never", *["-"] * 4]


def test_ratios_are_taken_round_by_round_and_weighed_with_operations() -> None:
    tables = import_module("measuring.step_tables")
    turns = {
        "mid": [turn(1.0, 1.0, 900), turn(2.0, 1.0, 900)],
        "peer": [turn(2.0, 1.5, 1000, gflops=1.0), turn(2.0, 1.5, 1000, gflops=1.0)],
    }
    found = tables.Ratios.of(turns, "mid", "peer")
    assert (found.speed, found.by_cpu, found.gflops) == ([2.0, 1.0], [1.5, 1.5], 2.0)
    assert found.speed_per_gflop == [4.0, 2.0]
    assert found.memory_per_gflop == pytest.approx(0.4)  # of 400 and 500 MiB
    (row,) = tables.ratio_rows(turns, [("mid", "peer")])
    assert row == [
        "mid / peer",
        "1.50x (1.00-2.00)",
        "1.50x",
        "3.00x (2.00-4.00)",
        "3.00x",
        "0.90x",
        "0.40x",
    ]
    assert len(row) == len(tables.RATIOS)
    cost = tables.cost_row("mid", turns["mid"], batch=3)
    assert cost == ["mid", "1", "3.00", "2.00", "1500", "2.0", "4.0", "0.333", "900", "400"]
    assert len(cost) == len(tables.COSTS)


def test_without_the_word_of_the_system_no_memory_is_printed() -> None:
    tables = import_module("measuring.step_tables")
    turns = {"mid": [turn(1.0, 1.0, 0)], "peer": [turn(1.0, 1.0, 0)]}
    assert tables.cost_row("mid", turns["mid"], batch=1)[-2:] == ["-", "-"]
    (row,) = tables.ratio_rows(turns, [("mid", "peer")])
    assert row[-2:] == ["-", "-"]


def test_what_is_wanted_is_said_to_be_reached_or_missed() -> None:
    tables = import_module("measuring.step_tables")
    turns = {
        "mid": [turn(1.0, 1.0, 900)],
        "early": [turn(1.0, 1.0, 2000)],
        "peer": [turn(2.0, 2.0, 1000, gflops=1.5)],
        "twice": [turn(4.0, 2.9, 1000)],
    }
    lines = list(tables.promise_lines(turns, 320, peer="peer", twice="twice"))
    assert [line.rpartition(" ")[2] for line in lines] == [
        "reached",
        "reached",
        "reached",
        "missed",
        "missed",
    ]
    assert lines[0] == "mid / peer: pairs/s x GFLOP by CPU 2.67x; wanted at least 2.3x: reached"
    assert lines[-1] == "mid / twice: pairs/s by CPU 2.90x; wanted at least 3x: missed"


def test_two_detectors_after_each_other_cost_both(turns: ModuleType) -> None:
    both = turns.after_each_other(turn(1.0, 2.0, 900), turn(2.0, 3.0, 800, gflops=1.0))
    assert (both.seconds, both.cpu_seconds, both.peak_mib) == (3.0, 5.0, 900)
    assert (both.gflops, both.answer["parameters"]) == (3.0, 6e6)
    assert both.training_mib == 400.0


def test_steps_count_within_an_epoch_and_from_the_second_on(turns: ModuleType) -> None:
    ends = [(0, 1.0, 1.0), (0, 2.0, 2.0), (1, 9.0, 9.0), (1, 9.5, 10.0), (2, 11.0, 11.0)]
    assert turns.step_lengths(ends) == [(0.5, 1.0)]


def script(text: str) -> Sequence[str]:
    return (sys.executable, "-c", f"import json, os, sys\nasked = json.loads(sys.argv[1])\n{text}")


def test_a_script_is_asked_in_a_folder_of_its_own(turns: ModuleType, tmp_path: Path) -> None:
    says = (
        "open(asked['answer'], 'w').write(json.dumps([asked['x'], os.getcwd(), os.environ['Y']]))"
    )
    variant = turns.Variant("v", script(says), {"x": 3}, {"Y": "z"})
    ended = turns.ask(variant, folder=tmp_path)
    value, folder, variable = ended.answer
    assert (value, variable) == (3, "z")
    assert Path(folder).parent == tmp_path
    assert ended.began <= time.perf_counter()
    assert list(tmp_path.iterdir()) == []


def test_a_script_without_an_answer_is_told_with_its_last_lines(
    turns: ModuleType, tmp_path: Path
) -> None:
    variant = turns.Variant("v", script("print('no memory'); sys.exit(7)"), {})
    with pytest.raises(SystemExit, match="v: exit code 7:\nno memory"):
        turns.ask(variant, folder=tmp_path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
def test_memory_of_a_process_and_its_children_is_seen() -> None:
    processes = import_module("measuring.processes")
    waits = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with waits:
        assert waits.pid in processes.tree_of(os.getpid())
        with processes.PeakMemory(os.getpid()) as memory:
            deadline = time.monotonic() + 60
            while not memory.mib and time.monotonic() < deadline:
                time.sleep(0.05)
        own = processes.memory_mib(os.getpid(), processes.HIGH_WATER)
        assert memory.mib >= processes.memory_mib(waits.pid) > 0
        assert own >= processes.memory_mib(os.getpid()) > 0
        waits.communicate(b"\n")
    assert processes.memory_mib(waits.pid) == 0


@pytest.mark.parametrize("words", [["--help"], ["train", "--config", "wrong.yaml"]])
def test_help_and_config_errors_import_no_torch(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", paths())
    startup, turns = import_module("startup"), import_module("measuring.turns")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("train: {imgszz: 320}\n")
    given = [str(wrong) if word == wrong.name else word for word in words]
    asked = startup.own_start(startup.HELP, given)
    assert turns.ask(asked, folder=tmp_path).answer["imported"] == []


def test_a_start_is_told_beside_that_of_the_peer() -> None:
    startup = import_module("startup")
    start = startup.Start(startup.TRAINING, lambda: (0, 0), None, ["torch"])
    found = {(start.name, "ours"): [(4.0, 3.0), (8.0, 5.0)]}
    assert startup.row(start, found)[1:] == ["6.00 (4.00-8.00)", "4.00", "-", "-", "-", "torch"]
    found[start.name, "peer"] = [(8.0, 6.0), (8.0, 6.0)]
    cells = startup.row(start, found)
    assert cells[3:] == ["8.00 (8.00-8.00)", "6.00", "1.5x", "torch"]
    assert len(cells) == len(startup.HEADER)
    lines = startup.verdicts([start], found)
    assert lines[0].endswith("wanted less than 8 s: reached")
    assert lines[1] == "torchvision: not imported on the way"


@pytest.mark.slow
def test_startup_times_ours_alone(tmp_path: Path) -> None:
    tiny = ("--rounds", "1", "--pairs", "10", "--threads", "1")
    ended = run("startup.py", "--only-ours", *tiny, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    (row,) = (line for line in lines if line.startswith("training, to its first step  "))
    assert row.split()[-1] == "torch"
    assert "torchvision: not imported on the way" in lines
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_time_to_accuracy_goes_on_with_what_is_kept(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    keep.mkdir()
    request = {
        "data": str(keep / "peer-data" / "data.yaml"),
        "val": str(keep / "peer-data" / "images" / "val"),
        "model": "yolo11n.yaml",
        "epochs": 100,
        "imgsz": 64,
        "batch": 8,
        "threads": 1,
        "seed": 0,
    }
    kept = keep / "peer-seed0.curve.json"
    import_module("measuring.keeping").note(kept, request)
    kept.write_text(json.dumps([asdict(point) for point in points(0.0, 0.0)]))
    tiny = ("--epochs", "1", "--pairs", "10", "--imgsz", "64", "--threads", "1", "--kinds", "mid")
    ended = run("time_to_accuracy.py", *tiny, "--keep", str(keep), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    rows = [line for line in lines if line.startswith(("mid  ", "peer, 4 channels  "))]
    assert len(rows) == 4  # of two tables
    assert lines[-1].startswith("mid: time to the final mAP50 of the peer, of its whole training,")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
