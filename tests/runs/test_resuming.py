"""What a resume changes and keeps: longer runs, early stops, other data, other machines."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fusetrain.build import plan_from_config
from fusetrain.cli.app import run
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config
from fusetrain.durable import write_durably
from fusetrain.engine.checkpoint import pack, read_newest
from fusetrain.engine.step import StepRunner
from fusetrain.rules import config_checks

Capture = pytest.CaptureFixture[str]
RUN = "runs/exp"


@pytest.fixture
def folder(home: Path) -> Path:
    """A run of two epochs of two steps; four pairs to train on, two in a batch."""
    return home / RUN


def flat(text: str) -> str:
    """Return what was printed as one line, without the rims of panels."""
    return " ".join(text.replace("│", " ").split())


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def config_of(folder: Path) -> Config:
    return load_config(folder / "config.yaml", checks=[config_checks]).config


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the state in the newest checkpoint of a run."""
    content, file, _ = read_newest(folder / "weights")
    change(content["state"])
    write_durably(file, pack(content))


def stop_early(state: dict[str, Any]) -> None:
    state.update(stopped_early=True, epochs_without_gain=100, best_score=2.0)


def go_back_to_the_middle_of_the_second_epoch(state: dict[str, Any]) -> None:
    state.update(epoch=1, batches=1, slot=3, updates=3, history=state["history"][:1])


def test_longer_run_is_planned_anew_and_closes_the_mosaic_later(
    folder: Path, capsys: Capture
) -> None:
    assert run(["resume", RUN, "--set", "train.epochs=4"]) == 0
    config = config_of(folder)
    assert [(plan.from_step, plan.epochs) for plan in config.schedule.plans] == [(0, 2), (4, 4)]
    assert config.augment.close_mosaic is None
    plan = plan_from_config(config, steps_per_epoch=2)
    assert [float(row["lr0"]) for row in rows(folder)] == [
        plan.row(plan.last_step_of(epoch))[0] for epoch in range(4)
    ]
    capsys.readouterr()


class Poison:
    """Makes the gradients of the steps from the first to before the last one not finite."""

    def __init__(self, first: int, last: int) -> None:
        self.slots = range(first, last)
        self.done = 0
        self.real = StepRunner._apply_gradients

    def __call__(self, runner: StepRunner) -> torch.Tensor:
        if self.done in self.slots:
            for parameter in runner.detector.parameters():
                if parameter.grad is not None:
                    parameter.grad.fill_(float("nan"))
        self.done += 1
        return self.real(runner)


@pytest.mark.parametrize(
    "words", [("train.epochs=4",), ("train.epochs=4", "train.batch=1"), ("train.epochs=5",)]
)
def test_rollback_after_a_new_plan_stays_in_it(
    folder: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(folder, stop_early)
    poison = Poison(1, 3)
    monkeypatch.setattr(StepRunner, "_apply_gradients", lambda runner: poison(runner))
    sets = [part for word in (*words, "train.max_skipped=2") for part in ("--set", word)]
    assert run(["resume", RUN, "--accept-change", *sets]) == 0
    lines = (folder / "events.jsonl").read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["event"] in ("start", "rollback")]
    start, rollback = events[-2:]
    assert (start["event"], rollback["event"]) == ("start", "rollback")
    assert rollback["slot"] == start["slot"] > 0
    config = config_of(folder)
    assert len(rows(folder)) == config.train.epochs
    plan = plan_from_config(config, steps_per_epoch=4 // int(config.train.batch))
    assert float(rows(folder)[-1]["lr0"]) == pytest.approx(plan.row(plan.total_steps - 1)[0])


def test_longer_run_forgets_an_early_stop_and_gets_its_patience_anew(
    folder: Path, capsys: Capture
) -> None:
    rewrite(folder, stop_early)
    assert run(["resume", RUN]) == 0
    assert "nothing is left to train" in capsys.readouterr().err
    assert run(["resume", RUN, "--set", "train.epochs=9", "--set", "train.patience=2"]) == 0
    assert [row["epoch"] for row in rows(folder)] == ["1", "2", "3", "4"]
    assert run(["resume", RUN]) == 0
    assert "finished after 4 epochs" in capsys.readouterr().err


def test_longer_run_that_was_killed_before_its_first_save_is_longer_still(
    folder: Path, capsys: Capture
) -> None:
    rewrite(folder, stop_early)
    text = (folder / "config.yaml").read_text()
    plans = "plans:\n  - {from_step: 0, epochs: 2}\n  - {from_step: 4, epochs: 3}\n"
    text = text.replace("epochs: 2\n", "epochs: 3\n", 1).replace("plans: []\n", plans)
    (folder / "config.yaml").write_text(text)
    assert config_of(folder).train.epochs == 3
    assert run(["resume", RUN]) == 0
    assert [row["epoch"] for row in rows(folder)] == ["1", "2", "3"]
    assert len(config_of(folder).schedule.plans) == 2
    capsys.readouterr()


def lose_two_training_pairs(home: Path) -> None:
    for number in (0, 1):
        for part, suffix in (("images", "jpg"), ("imagesIR", "png"), ("labels", "txt")):
            (home / "set" / part / "train" / f"train_{number:03d}.{suffix}").unlink()


@pytest.mark.parametrize("is_in_the_middle", [False, True])
@pytest.mark.fault(18)
def test_epochs_of_another_length_start_anew_with_the_rates_of_their_epoch(
    home: Path, folder: Path, capsys: Capture, is_in_the_middle: bool
) -> None:
    if is_in_the_middle:
        rewrite(folder, go_back_to_the_middle_of_the_second_epoch)
    lose_two_training_pairs(home)
    words = ["resume", RUN, "--set", "train.epochs=4"]
    assert run(words) == 4
    assert "4 train pairs then, 2 now" in flat(capsys.readouterr().err)
    assert run([*words, "--accept-data-change"]) == 0
    assert "steps an epoch: 1 now, 2 before" in capsys.readouterr().err
    assert [row["epoch"] for row in rows(folder)] == ["1", "2", "3", "4"]
    plan = plan_from_config(config_of(folder), steps_per_epoch=1)
    first = 1 if is_in_the_middle else 2
    assert [float(row["lr0"]) for row in rows(folder)[first:]] == [
        plan.row(epoch)[0] for epoch in range(first, 4)
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("train.epochs=4",),
        ("train.epochs=4", "train.batch=1"),
        ("train.epochs=4", "train.batch=3", "train.accumulate=2"),
    ],
)
def test_a_run_whose_epochs_changed_their_length_followed_its_plan(
    folder: Path, capsys: Capture, words: tuple[str, ...]
) -> None:
    sets = [part for word in words for part in ("--set", word)]
    assert run(["resume", RUN, "--accept-change", *sets]) == 0
    assert run(["plot-lr", "--config", f"{RUN}/config.yaml", RUN, "--no-terminal"]) == 0
    assert run(["plot-lr", RUN, "--csv", "lr.csv", "--no-terminal"]) == 0
    with Path("lr.csv").open() as file:
        planned = list(csv.DictReader(file))
    assert float(planned[-1]["lr0"]) == float(rows(folder)[-1]["lr0"])
    table = (folder / "results.csv").read_text()
    changed = table.replace(rows(folder)[0]["lr0"], "0.5")
    (folder / "results.csv").write_text(changed)
    assert run(["plot-lr", "--config", f"{RUN}/config.yaml", RUN, "--no-terminal"]) == 8
    capsys.readouterr()


@pytest.mark.fault(18)
def test_pictures_that_changed_without_changing_their_size_are_seen(
    home: Path, capsys: Capture
) -> None:
    path = home / "set/images/train/train_001.jpg"
    size = path.stat().st_size
    Image.new("RGB", (64, 48), (9, 90, 200)).save(path, quality=20)
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    words = ["resume", RUN, "--set", "train.epochs=3"]
    assert run(words) == 4
    assert "files of the same names and sizes have other contents" in flat(capsys.readouterr().err)
    assert run([*words, "--accept-data-change"]) == 0
    assert "note: the data set changed: files of the same" in flat(capsys.readouterr().err)
    assert run(["resume", RUN, "--set", "train.epochs=4"]) == 0


def test_a_run_of_a_version_that_noted_no_contents_goes_on(folder: Path, capsys: Capture) -> None:
    content, file, _ = read_newest(folder / "weights")
    del content["context"]["contents"]
    write_durably(file, pack(content))
    assert run(["resume", RUN, "--set", "train.epochs=3"]) == 0
    assert "data set changed" not in capsys.readouterr().err


def test_what_a_changed_set_lacks_is_told_with_the_change(home: Path, capsys: Capture) -> None:
    (home / "set/images/train/train_000.jpg").unlink()
    with (home / "set/labels/train/train_001.txt").open("a") as file:
        file.write("garbage\n")
    words = ["resume", RUN, "--set", "train.epochs=3", "--accept-data-change"]
    assert run(words) == 0
    told = flat(capsys.readouterr().err)
    assert "the data set changed: 4 train pairs then, 3 now" in told
    assert "not in train: 1 image without partner, such as imagesIR/train/train_000.png" in told
    assert "not in train: 1 faulty label (1 L01), such as labels/train/train_001.txt:" in told


def test_a_new_training_with_the_config_of_an_extended_run_has_a_plan_of_its_own(
    home: Path, capsys: Capture
) -> None:
    assert run(["resume", RUN, "--set", "train.epochs=3"]) == 0
    assert "extended" not in capsys.readouterr().err
    command = ["train", "--config", f"{RUN}/config.yaml", "--name", "again"]
    assert run([*command, "--set", "train.epochs=4", "--dry-run"]) == 0
    assert run(command) == 0
    told = flat(capsys.readouterr().err)
    assert told.count("its `schedule.plans` are left out: a new training of 3 epochs") == 1
    again = home / "runs/again"
    assert config_of(again).schedule.plans == []
    plan = plan_from_config(config_of(again), steps_per_epoch=2)
    assert [float(row["lr0"]) for row in rows(again)] == [
        plan.row(plan.last_step_of(epoch))[0] for epoch in range(3)
    ]


@pytest.mark.fault(15, 18)
def test_classes_of_the_data_set_must_stay(home: Path, capsys: Capture) -> None:
    data = home / "set" / "data.yaml"
    data.write_text(data.read_text().replace("car", "bus"))
    words = ["resume", RUN, "--set", "train.epochs=3", "--accept-data-change"]
    assert run(words) == 4
    assert "person, car" in capsys.readouterr().err


def test_other_number_of_threads_is_said_to_be_inexact(folder: Path, capsys: Capture) -> None:
    words = ["resume", RUN, "--set", "train.epochs=3", "--set", "train.threads=2"]
    assert run(words) == 0
    assert "resumable, but not bit-exact: threads 1 -> 2" in capsys.readouterr().err
    assert config_of(folder).train.threads == 2
    assert len(rows(folder)) == 3


def test_rows_that_the_checkpoint_has_otherwise_are_asked_about(
    home: Path, folder: Path, capsys: Capture
) -> None:
    told = "results.csv says otherwise of epoch 1 than last.pt and is written anew"
    assert run(["resume", RUN]) == 0
    assert "says otherwise" not in capsys.readouterr().err
    before = (folder / "results.csv").read_text()
    other = home / "runs/other"
    assert run(["train", "--config", "train.yaml", "--name", "other", "--set", "train.seed=7"]) == 0
    (other / "results.csv").write_text(before)
    capsys.readouterr()
    assert run(["resume", "runs/other"]) == 0
    assert told in flat(capsys.readouterr().err)
    assert (other / "results.csv").read_text() != before


def test_missing_pictures_of_a_finished_run_are_drawn(folder: Path, capsys: Capture) -> None:
    for name in ("results.png", "labels.png"):
        (folder / name).unlink()
    before = rows(folder)
    assert run(["resume", RUN]) == 0
    assert (folder / "results.png").is_file()
    assert (folder / "labels.png").is_file()
    assert rows(folder) == before
    capsys.readouterr()
