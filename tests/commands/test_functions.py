"""The commands as functions do what the commands do, and print nothing."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fusetrain
from fusetrain.cli.app import run
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.errors import ConfigError, DataError, UsageError
from fusetrain.prepare.split import Wish
from fusetrain.runs.reporters import RunReporter


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(encoding="utf-8") as file:
        return [{**row, "time": ""} for row in csv.DictReader(file)]


class Epochs(RunReporter):
    """Counts epochs."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        self.heard.append(state.epoch)


def test_train_and_resume_are_those_of_the_command_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    epochs = Epochs()
    made = fusetrain.train("train.yaml", {"run.name": "own"}, reporter=epochs)
    assert (made, epochs.heard) == (home / "runs" / "own", [1, 2])
    assert rows_of(made) == rows_of(home / "runs" / "exp")
    assert fusetrain.resume(made, {"train.val_every": 1}) == made
    assert capsys.readouterr() == ("", "")


def test_what_users_can_mend_is_raised(home: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        fusetrain.train("train.yaml", {"train.epoch": 3})
    for function, path in ((fusetrain.train, "train.yaml"), (fusetrain.resume, "runs/exp")):
        with pytest.raises(ConfigError, match="a function starts no processes"):
            function(path, {"train.devices": 2})
    (home / "set" / "imagesIR" / "val" / "val_000.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="training is refused"):
        fusetrain.train("train.yaml")
    assert not (home / "runs" / "exp2").exists()


def test_data_is_checked_and_rates_are_planned(home: Path) -> None:
    report = fusetrain.check_data("set", splits=["val"])
    assert report.num_pairs == {"val": 2}
    plan = fusetrain.plot_lr("train.yaml", {"optim.lr0": 0.5}, out="lr.png")
    assert (plan.total_steps, plan.lr0) == (4, 0.5)
    assert (home / "lr.png").stat().st_size > 0
    assert run(["plot-lr", "--config", "train.yaml", "--csv", "lr.csv", "--no-terminal"]) == 0
    with (home / "lr.csv").open(encoding="utf-8") as file:
        told = [float(row["lr0"]) for row in csv.DictReader(file)]
    planned = fusetrain.plot_lr("train.yaml", steps_per_epoch=2)
    assert told == [planned.row(step)[0] for step in range(4)]


def test_every_name_of_the_package_is_there() -> None:
    for name in fusetrain.__all__:
        assert getattr(fusetrain, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        fusetrain.trian  # noqa: B018


def test_sets_are_made_and_remade(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = fusetrain.demo(tmp_path / "set", num_pairs=10)
    assert (summary.num_train, summary.num_val) == (8, 2)
    coco = fusetrain.prepare_convert(tmp_path / "set", tmp_path / "coco", "coco")
    again = fusetrain.prepare_rename(coco.folder, tmp_path / "again", link="hard")
    dealt = fusetrain.prepare_split(
        again.folder, tmp_path / "dealt", Wish((0.5, 0.5, 0.0), block=1, keeps_splits=False)
    )
    # Frames beside a cut are left out.
    assert fusetrain.check_data(dealt.folder).num_pairs == {"train": 2, "val": 2}
    moves = tmp_path / "moves.json"
    moves.write_text("[[1, 0, 4], [0, 1, 0], [0, 0, 1]]")
    moved = fusetrain.prepare_align(tmp_path / "set", tmp_path / "moved", transform=moves)
    before, after = (
        sorted((root / "imagesIR/val").iterdir()) for root in (tmp_path / "set", moved.folder)
    )
    assert [path.stem for path in before] == [path.stem for path in after]
    assert before[0].read_bytes() != after[0].read_bytes()
    with pytest.raises(DataError, match="may not lie inside"):
        fusetrain.prepare_split(tmp_path / "set", tmp_path / "set" / "new")
    assert capsys.readouterr() == ("", "")


def test_runs_are_reported_compared_and_diagnosed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = fusetrain.report("runs/exp", "page.html")
    assert "<title>" in page.read_text(encoding="utf-8")
    other = fusetrain.train("train.yaml", {"run.name": "other", "optim.lr0": 2e-3})
    together = fusetrain.compare(["runs/exp", other])
    assert together["settings"]["optim.lr0"] == [1e-3, 2e-3]
    assert "few-steps" in [item.code for item in fusetrain.diagnose_run("runs/exp").findings]
    found = fusetrain.diagnose_config("train.yaml", {"optim.lr0": 50.0})
    assert "lr0-unusual" in [item.code for item in found.findings]
    assert fusetrain.find_lr("train.yaml", {"train.imgsz": 64}).rates[0] == 1e-6
    with pytest.raises(UsageError):
        fusetrain.report("runs/exp", "page.txt")
    assert capsys.readouterr() == ("", "")


def test_script_without_a_guard_starts_processes(tmp_path: Path) -> None:
    fusetrain.demo(tmp_path / "set", num_pairs=10)
    script = tmp_path / "script.py"
    script.write_text("import fusetrain\nprint(fusetrain.check_data('set').verdict)\n")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == ("warn\n", "")


@pytest.mark.slow
def test_a_search_and_an_export(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    found = fusetrain.tune("train.yaml", 1)
    assert found.best is not None
    assert found.best.values["optim.lr0"] == 1e-3
    assert capsys.readouterr() == ("", "")
    exported = fusetrain.export_onnx(found.best.run, "out.onnx", nms=False)
    assert exported.path == Path("out.onnx")
