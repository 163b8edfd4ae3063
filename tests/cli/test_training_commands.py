"""`train` and `resume` as a user meets them: what is printed, refused and left behind."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

import fusetrain
from fusetrain.cli.app import run
from fusetrain.engine.step import StepRunner

Capture = pytest.CaptureFixture[str]


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of every file below ``folder``, and which folders there are."""
    return {
        str(path.relative_to(folder)): (
            (0, 0) if path.is_dir() else (path.lstat().st_size, path.lstat().st_mtime_ns)
        )
        for path in folder.rglob("*")
    }


def rows(run_folder: Path) -> list[dict[str, str]]:
    with (run_folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def refused(home: Path, capsys: Capture) -> Callable[..., str]:
    """Return a function that expects one panel, an exit code and an untouched folder."""

    def check(*words: object, code: int) -> str:
        before = snapshot(home)
        assert run([str(word) for word in words]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("╭") == 1, err
        assert "Traceback" not in err
        assert "bug in fusetrain" not in err
        assert snapshot(home) == before
        return " ".join(line.strip("│ ") for line in err.splitlines())

    return check


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.epoch=3", "did you mean `epochs`?"),
        ("train.epochs=abc", "expected a whole number"),
        ("train.epochs=0", "at least 1"),
        ("train.batch=0", "at least 1"),
        ("train.imgsz=31", "at least 32"),
        ("model.fusion=erly", "unknown fusion"),
        ("model.operator=concta", "did you mean 'concat'?"),
        ("model.size=z", "expected 'n'"),
        ("optim.name=adamww", "did you mean 'adamw'?"),
        ("schedule.name=cosin", "did you mean 'cosine'?"),
        ("train.stages=[{epochs: 1}]", "stages add up to 1 epochs, train.epochs is 2"),
        ("run.trackers=[clearml]", "unknown tracker"),
        ("run.name=a/b", "cannot name a run folder"),
        ("run.name=latest", "cannot name a run folder"),
    ],
)
@pytest.mark.fault(41)
def test_wrong_setting_exits_3_before_anything_is_made(
    refused: Callable[..., str], setting: str, words: str
) -> None:
    assert words in refused("train", "--config", "train.yaml", "--set", setting, code=3)


@pytest.mark.fault(41)
def test_several_wrong_settings_come_in_one_panel(refused: Callable[..., str]) -> None:
    sets = ["--set", "train.epochs=0", "--set", "optim.nam=sgd", "--set", "model.fusion=none"]
    text = refused("train", "--config", "train.yaml", *sets, code=3)
    assert "1. " in text
    assert "3. " in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("- a\n", "not a mapping"),
        ("train: {epochs: 1\n", ""),
        ("train: {epochs: 1}\n", "names no data set"),
        ("train: {epochs: 1}\ntrain: {epochs: 2}\n", "train"),
    ],
)
def test_unusable_config_exits_3(
    home: Path, refused: Callable[..., str], content: str, words: str
) -> None:
    (home / "other.yaml").write_text(content)
    assert words in refused("train", "--config", "other.yaml", code=3)


def test_config_that_is_missing_or_a_folder_exits_3(refused: Callable[..., str]) -> None:
    assert "no such file" in refused("train", "--config", "none.yaml", code=3)
    assert "not a file" in refused("train", "--config", "set", code=3)


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "train.epochs"],
        ["--allow", "X99"],
        ["--allow", "I02"],
        ["--no-such-flag"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(refused: Callable[..., str], words: list[str]) -> None:
    refused("train", "--config", "train.yaml", *words, code=2)


def test_missing_data_and_missing_splits_exit_4(home: Path, refused: Callable[..., str]) -> None:
    refused("train", "--config", "train.yaml", "--data", "nowhere", code=4)
    for split, other in (("train", "val"), ("val", "train")):
        (home / "part.yaml").write_text(f"path: set\n{other}: images/{other}\nnames: [a, b]\n")
        text = refused("train", "--config", "train.yaml", "--data", "part.yaml", code=4)
        assert f"no {split} split" in text


def _lose_ir(root: Path) -> str:
    (root / "imagesIR" / "val" / "val_001.png").unlink()
    return "images/val/val_001.jpg: P01"


def _cut_image(root: Path) -> str:
    path = root / "images" / "train" / "train_002.jpg"
    path.write_bytes(path.read_bytes()[:400])
    return "images/train/train_002.jpg: I02"


def _spoil_labels(root: Path) -> str:
    path = root / "labels" / "train" / "train_001.txt"
    path.write_text("0 0.5 0.5 0.2 0.2\n7 0.5 0.5 0.2 0.2\n")
    return "labels/train/train_001.txt:2: L02"


@pytest.mark.parametrize("spoil", [_lose_ir, _cut_image, _spoil_labels])
@pytest.mark.fault(33, 36)
def test_faulty_data_is_refused_with_the_findings_of_check_data(
    home: Path, refused: Callable[..., str], capsys: Capture, spoil: Callable[[Path], str]
) -> None:
    place = spoil(home / "set")
    text = refused("train", "--config", "train.yaml", code=4)
    assert place in text
    assert "check-data" in text
    assert run(["check-data", "set"]) == 4
    file, _, code = place.rpartition(": ")
    listed = capsys.readouterr().out
    assert code in listed
    assert file.split(":")[0] in listed


def test_accepted_finding_does_not_stop_the_plan(home: Path, capsys: Capture) -> None:
    _lose_ir(home / "set")
    before = snapshot(home)
    assert run(["train", "--config", "train.yaml", "--allow", "P01", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert "4 train and 1 val pairs" in out
    assert "P01 x1" in err
    assert snapshot(home) == before


def test_data_set_alone_is_trained_on_with_the_defaults(home: Path, capsys: Capture) -> None:
    small = ("train.imgsz=64", "train.batch=2", "model.width=0.25", "train.threads=1")
    words = [word for setting in small for word in ("--set", setting)]
    assert run(["train", "--data", "set", "--dry-run", *words]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "cosine, lr0 0.001" in out
    assert "cache in memory, 0.00 GB at most" in out
    assert run(["train", "--data", "set", "--dry-run", *words, "--set", "train.cache=disk"]) == 0
    assert "disk cache 0.00 GB in" in " ".join(capsys.readouterr().out.split())
    made = fusetrain.train(None, {"train.epochs": 1, "train.imgsz": 64}, data="set")
    assert made == home / "runs/fuse/exp"
    assert len(rows(made)) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_range_test_suggests_a_rate_and_leaves_a_picture_alone(home: Path, capsys: Capture) -> None:
    before = snapshot(home)
    assert run(["train", "--config", "train.yaml", "--lr-find"]) == 0
    out, err = capsys.readouterr()
    assert "smoothed loss" in out
    assert "suggestion: --set optim.lr0=" in out
    assert "picture: " in err
    new = set(snapshot(home)) - set(before)
    assert {Path(name).name for name in new} <= {"runs", "lr_find.png"}
    after = snapshot(home)
    assert all(after[name] == state for name, state in before.items() if not name.endswith("runs"))
    with Image.open(home / "runs" / "lr_find.png") as picture:
        assert picture.width > 500


def test_range_test_ends_at_a_loss_that_is_known_late_not_to_be_finite(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU."""
    monkeypatch.setattr(StepRunner, "lag", 1)
    assert run(["train", "--config", "train.yaml", "--lr-find", "--set", "loss.box=1e38"]) == 0
    assert "the loss does not fall clearly at any rate" in capsys.readouterr().out


@pytest.mark.fault(37)
def test_set_without_a_box_is_refused(home: Path, refused: Callable[..., str]) -> None:
    for path in (home / "set" / "labels" / "train").iterdir():
        path.write_text("")
    text = refused("train", "--config", "train.yaml", code=4)
    assert re.search(r"L10 (\d+) of \1 label files hold no box", text)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_absent_device_exits_6(refused: Callable[..., str]) -> None:
    text = refused("train", "--config", "train.yaml", "--set", "train.device=cuda", code=6)
    assert "train.device=cpu" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_absent_device_is_told_before_what_the_data_lack(
    home: Path, refused: Callable[..., str]
) -> None:
    for path in (home / "set" / "labels" / "train").iterdir():
        path.write_text("")
    text = refused("train", "--config", "train.yaml", "--set", "train.device=cuda", code=6)
    assert "no CUDA devices" in text
    assert "nothing to learn" not in text


def test_batch_that_the_ranks_cannot_share_exits_3(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    for name, value in (("RANK", "0"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)
    text = refused("train", "--config", "train.yaml", code=3)
    assert "train.batch=4" in text


def test_file_in_place_of_the_project_folder_exits_6(
    home: Path, refused: Callable[..., str]
) -> None:
    (home / "taken").write_text("")
    text = refused("train", "--config", "train.yaml", "--set", "run.project=taken", code=6)
    assert "run.project=FOLDER" in text


def test_no_room_for_the_checkpoint_exits_6_and_says_how_much_was_needed(
    home: Path, capsys: Capture
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))
    try:
        assert run(["train", "--config", "train.yaml", "--set", "train.epochs=1"]) == 6
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    err = capsys.readouterr().err
    assert "good.pt cannot be written" in err
    assert "bytes" in err
    assert not list((home / "runs" / "exp2" / "weights").iterdir())


def test_new_run_gets_a_new_folder_and_prints_what_comes_next(home: Path, capsys: Capture) -> None:
    words = ["train", "--config", "train.yaml", "--set", "train.epochs=1", "--name", "two words 🦊"]
    assert run(words) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "next: fusetrain val 'runs/two words 🦊'" in err
    assert "\x1b" not in err
    lines = err.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("   epoch"))
    assert lines[head + 1].split()[0] == "1/1"
    assert all(line == line.rstrip() for line in lines)
    assert (home / "runs" / "latest").readlink() == Path("two words 🦊")
    assert run(["config", "show", str(home / "runs" / "latest" / "config.yaml")]) == 0


@pytest.mark.fault(40)
def test_names_with_escapes_and_markup_are_printed_harmlessly(home: Path, capsys: Capture) -> None:
    odd = home / "a \x1b[31m[red]b"
    shutil.copytree(home / "set", odd / "set")
    sets = ["--set", "train.epochs=1", "--set", f'run.project="{odd}/runs"'.replace("\x1b", "\\e")]
    assert run(["train", "--config", "train.yaml", "--data", str(odd / "set"), *sets]) == 0
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "a \\x1b[31m[red]b" in err
    assert (odd / "runs" / "exp" / "weights" / "last.pt").is_file()


@pytest.mark.fault(43)
def test_narrow_terminal_and_no_home_change_no_line_of_a_log(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("HOME", raising=False)
    assert run(["resume", "runs/exp", "--set", "train.epochs=3"]) == 0
    row = next(line for line in capsys.readouterr().err.splitlines() if "3/3" in line)
    assert len(row.split()) >= 8


def test_terminal_shows_a_bar_that_leaves_no_trace(home: Path) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fusetrain", "resume", "runs/exp", "--set", "train.epochs=3"],
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "PYTHONPATH": str(Path(fusetrain.__file__).parents[1])},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    text = shown.decode()
    assert process.wait(60) == 0, text
    assert "epoch 3" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "3/3" in text


def test_finished_run_says_so_and_trains_nothing(home: Path, capsys: Capture) -> None:
    before = rows(home / "runs" / "exp")
    assert run(["resume", "runs/latest"]) == 0
    err = capsys.readouterr().err
    assert "nothing is left to train" in err
    assert "resumed after" not in err
    assert rows(home / "runs" / "exp") == before


def test_run_folder_that_was_moved_goes_on_where_it_is(home: Path, capsys: Capture) -> None:
    moved = (home / "runs" / "exp").rename(home / "elsewhere")
    assert run(["resume", "elsewhere/weights/last.pt", "--set", "train.epochs=3"]) == 0
    assert [row["epoch"] for row in rows(moved)] == ["1", "2", "3"]
    assert sorted(path.name for path in (home / "runs").iterdir()) == ["latest"]
    capsys.readouterr()


def test_data_set_that_was_moved_is_named_anew(
    home: Path, refused: Callable[..., str], capsys: Capture
) -> None:
    (home / "set").rename(home / "other")
    text = refused("resume", "runs/exp", "--set", "train.epochs=3", code=4)
    assert "--set data=DATA" in text
    assert run(["resume", "runs/exp", "--set", "train.epochs=3", "--set", "data=other"]) == 0
    assert f"data: {home / 'other'}" in (home / "runs" / "exp" / "config.yaml").read_text()
    capsys.readouterr()


@pytest.mark.parametrize("path", ["nowhere", "train.yaml", "set", "runs"])
def test_resume_of_what_is_no_run_exits_5(refused: Callable[..., str], path: str) -> None:
    assert "is not a run folder" in refused("resume", path, code=5)


@pytest.mark.fault(13)
def test_run_without_sound_checkpoint_exits_5_with_every_reason(
    home: Path, refused: Callable[..., str]
) -> None:
    weights = home / "runs" / "exp" / "weights"
    data = (weights / "last.pt").read_bytes()
    (weights / "last.pt").write_bytes(data[:-1])
    (weights / "last.prev.pt").write_bytes(b"")
    text = refused("resume", "runs/exp", code=5)
    assert "truncated or damaged" in text
    assert "the file is empty" in text


@pytest.mark.fault(9)
def test_damaged_checkpoint_is_replaced_by_the_one_before(home: Path, capsys: Capture) -> None:
    last = home / "runs" / "exp" / "weights" / "last.pt"
    last.write_bytes(last.read_bytes()[:-1])
    before = rows(home / "runs" / "exp")
    assert run(["resume", "runs/exp"]) == 0
    assert "resuming from last.prev.pt" in capsys.readouterr().err
    for row, again in zip(before, rows(home / "runs" / "exp"), strict=True):
        assert {**row, "time": ""} == {**again, "time": ""}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["optim.lr0=0.5"], "optim.lr0: 0.001 -> 0.5"),
        (["augment.close_mosaic=1"], "augment.close_mosaic"),
        (["train.epochs=1"], "epoch 2 has begun"),
        (["train.epoch=3"], "did you mean `epochs`?"),
    ],
)
@pytest.mark.fault(17)
def test_change_that_a_resumed_run_must_not_make_exits_3(
    refused: Callable[..., str], words: list[str], text: str
) -> None:
    sets = [part for word in words for part in ("--set", word)]
    assert text in refused("resume", "runs/exp", *sets, code=3)


@pytest.mark.fault(17)
def test_edited_config_of_a_run_is_held_against_its_checkpoint(
    home: Path, refused: Callable[..., str]
) -> None:
    config = home / "runs" / "exp" / "config.yaml"
    config.write_text(config.read_text().replace("lr0: 0.001", "lr0: 0.02"))
    assert "optim.lr0: 0.001 -> 0.02" in refused("resume", "runs/exp", code=3)


def test_set_without_val_is_sent_to_prepare_split(
    make_pairs: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_pairs()
    path.write_text(path.read_text().replace("val: images/val\n", ""))
    config = tmp_path / "train.yaml"
    config.write_text(f"data: {path}\n")
    assert run(["train", "--config", str(config), "--dry-run"]) == 4
    err = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "no val split" in err
    assert "fusetrain prepare split" in err
    assert "--redo" not in err
