"""Trackers are told what a run writes down itself, and leave it as it would be without them."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from fusetrain.cli.app import run
from fusetrain.results.run_dir import RunDir
from fusetrain.results.trackers import NEEDED
from fusetrain.runs.tracking import tracked_values

TENSORBOARD = "run.trackers=[tensorboard]"


def needs(name: str) -> pytest.MarkDecorator:
    missing = [module for module in NEEDED[name] if find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(encoding="utf-8") as file:
        return [{**row, "time": ""} for row in csv.DictReader(file)]


def assert_same_weights(first: Path, second: Path) -> None:
    ours, theirs = (load_file(run / "weights" / "best.safetensors") for run in (first, second))
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)


def assert_told_as_written(told: dict[str, dict[int, float]], folder: Path) -> None:
    """Hold the numbers that a tracker got against results.csv."""
    with (folder / "results.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            epoch = int(row["epoch"])
            written = tracked_values({key: float(value) for key, value in row.items() if value})
            assert {f"lr/pg{number}" for number in range(3)} < set(written)
            shown = {name: told[name][epoch] for name in written}
            assert shown == pytest.approx(written, rel=1e-5), epoch


def events_of(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def scalars_of(folder: Path) -> dict[str, dict[int, float]]:
    events = events_of(folder)
    told = {}
    for name in events.Tags()["scalars"]:
        steps = [event.step for event in events.Scalars(name)]
        assert steps == sorted(set(steps)), name
        told[name] = {event.step: event.value for event in events.Scalars(name)}
    return told


@needs("tensorboard")
def test_tensorboard_shows_the_run_beside_trackers_that_fail_and_leaves_it_as_it_is(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # two are no trackers: one cannot even be made, the other does not know how to start
    names = "run.trackers=['zipfile:ZipFile', tensorboard, 'fractions:Fraction']"
    assert run(["train", "--config", "train.yaml", "--set", names]) == 0
    said = capsys.readouterr().err
    assert said.count("tracker zipfile:ZipFile is left out from here on: TypeError") == 1
    assert said.count("tracker fractions:Fraction is left out from here on: AttributeError") == 1

    plain, shown = home / "runs" / "exp", home / "runs" / "exp2"
    assert rows_of(shown) == rows_of(plain)
    assert_same_weights(shown, plain)
    assert_told_as_written(scalars_of(shown), shown)
    tags = events_of(shown).Tags()
    assert {"labels", "train_batch0", "val_batch0_pred", "PR_curve"} <= set(tags["images"])
    assert [name for name in tags["tensors"] if name.startswith("settings")]

    assert run(["resume", "runs/exp2", "--set", "train.epochs=3", "--set", TENSORBOARD]) == 0
    told = scalars_of(shown)
    assert list(told["train/box_loss"]) == [1, 2, 3]
    assert_told_as_written(told, shown)
    assert [event["id"] for event in RunDir(shown).events("tracker")] == ["exp2"]


@pytest.mark.parametrize("command", [["train", "--config", "train.yaml"], ["resume", "runs/exp"]])
def test_a_missing_package_is_told_before_anything_is_trained(
    home: Path,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(NEEDED, "tensorboard", ("no_such_board",))  # type: ignore[arg-type]
    assert run([*command, "--set", TENSORBOARD]) == 6
    assert "pip install 'fusetrain[tensorboard]'" in capsys.readouterr().err
    assert not (home / "runs" / "exp2").exists()


def test_an_unknown_tracker_is_a_wrong_config(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "--config", "train.yaml", "--set", "run.trackers=[tensorbord]"]) == 3
    assert "did you mean 'tensorboard'?" in capsys.readouterr().err


@pytest.mark.slow
@needs("mlflow")
def test_mlflow_keeps_one_run_over_a_resume(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run(["train", "--config", "train.yaml", "--set", "run.trackers=[mlflow]"]) == 0
    assert run(["resume", "runs/exp2", "--set", "train.epochs=3"]) == 0
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{home / 'runs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("runs")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("exp2", "FINISHED")
    assert found.data.params["train.imgsz"] == "64"
    histories = {
        name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics
    }
    told = {name: {m.step: m.value for m in history} for name, history in histories.items()}
    assert_told_as_written(told, home / "runs" / "exp2")
    names = {file.path for file in client.list_artifacts(found.info.run_id)}
    assert {"labels.png", "train_batch0.jpg", "results.png"} <= names
    assert rows_of(home / "runs" / "exp2")[:1] == rows_of(home / "runs" / "exp")[:1]


@pytest.mark.slow
@needs("wandb")
def test_wandb_stays_offline_and_keeps_its_run_over_a_resume(home: Path) -> None:
    assert run(["train", "--config", "train.yaml", "--set", "run.trackers=[wandb]"]) == 0
    assert run(["resume", "runs/exp2", "--set", "train.epochs=3"]) == 0
    folder = home / "runs" / "exp2"
    (event,) = RunDir(folder).events("tracker")
    files = sorted((folder / "wandb").glob(f"offline-run-*/run-{event['id']}.wandb"))
    assert len(files) == 2
    written = b"".join(path.read_bytes() for path in files)
    assert b"train/box_loss" in written
    assert b"lr/pg2" in written
    assert list((folder / "wandb").glob("offline-run-*/files/media/images/labels_*.png"))
