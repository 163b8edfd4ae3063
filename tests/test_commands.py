"""The commands as functions do what the commands do, and print nothing."""

import csv
from pathlib import Path

import pytest

import fusetrain
from fusetrain.cli.app import run
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.errors import ConfigError, DataError
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
