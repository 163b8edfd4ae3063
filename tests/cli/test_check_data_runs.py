"""How `check-data` goes on, stops and is dealt out: shards, state, signals, places it writes to."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.cli import long_progress as long
from fusetrain.cli.app import run
from fusetrain.cli.long_progress import duration, long_progress

MakePairs = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def flawed(make_pairs: MakePairs) -> Path:
    path = make_pairs(train=9, val=4)
    (path.parent / "imagesIR/train/train_001.png").write_bytes(b"no picture")
    (path.parent / "labels/val/val_001.txt").write_text("0 .5 .5 .1\n")
    return path


def test_merged_json_equals_that_of_one_check_byte_for_byte(
    flawed: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shards").mkdir()
    monkeypatch.chdir(tmp_path / "shards")
    for number in (2, 1, 3):
        assert run(["check-data", str(flawed), "--shard", f"{number}/3", "--workers", "1"]) == 0
    assert sorted(os.listdir()) == [f"check-data.shard-{number}-of-3.npz" for number in (1, 2, 3)]
    shown = capsys.readouterr().out
    assert "shard 2/3, 4 pairs measured" in shown
    assert "--merge" in shown
    assert run(["check-data", str(flawed), "--json"]) == 4
    whole = capsys.readouterr().out
    assert run(["check-data", str(flawed), "--merge", ".", "--json"]) == 4
    assert capsys.readouterr().out == whole
    assert json.loads(whole)["counts"]["I01"] == 1


def test_shard_tells_where_its_file_is(flawed: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "new folder" / "a.npz"
    arguments = ["check-data", str(flawed), "--shard", "1/2", "--out", str(out), "--json"]
    assert run(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"schema": 1, "shard": "1/2", "pairs": 6, "file": str(out)}


def test_headers_alone_find_what_headers_tell(flawed: Path, capsys: Capture) -> None:
    (flawed.parent / "images/train/train_005.jpg").write_bytes(
        (flawed.parent / "images/train/train_005.jpg").read_bytes()[:-200]
    )
    assert run(["check-data", str(flawed), "--headers-only", "--json"]) == 4
    shown = capsys.readouterr()
    assert json.loads(shown.out)["counts"] == {"I01": 1, "L01": 1}  # a cut file has its header
    assert "not decoded" in shown.err
    assert run(["check-data", str(flawed), "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["counts"]["I02"] == 1


def test_what_the_set_was_recognised_as_is_said_first(flawed: Path, capsys: Capture) -> None:
    run(["check-data", str(flawed.parent)])
    assert capsys.readouterr().err.startswith("recognised: ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--shard", "3/2"], 2),
        (["--shard", "x"], 2),
        (["--shard", "1/2", "--merge", "."], 2),
        (["--shard", "1/2", "--html", "a.html"], 2),
        (["--out", "a.npz"], 2),
        (["--merge", ".", "--state", "s"], 2),
        (["--merge", "."], 4),
        (["--merge", "nowhere"], 4),
        (["--registration", "some"], 2),
        (["--registration", "all", "--headers-only"], 2),
        (["--max-shift", "0"], 2),
        (["--max-shift", "nan"], 2),
        (["--max-shift", "far"], 2),
        (["--workers", "0"], 2),
        (["--html", "page.txt"], 2),
        (["--html", "{root}/page.html"], 4),
        (["--state", "{root}/state"], 4),
        (["--shard", "1/2", "--out", "{root}/a.npz"], 4),
    ],
)
def test_wrong_flags_are_told_before_anything_is_measured(
    flawed: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    words = [word.format(root=flawed.parent) for word in arguments]
    assert run(["check-data", str(flawed), *words]) == code
    assert capsys.readouterr().out == ""
    assert os.listdir() == []


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [root, *root.rglob("*")]
    }


def test_nothing_is_written_into_the_data_set(
    flawed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = flawed.parent
    (root / "labels/train/train_000.txt").unlink()
    before = tree(root)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    try:
        assert run(["check-data", str(root), "--state", "state", "--html", "page.html"]) == 4
        assert run(["check-data", str(root), "--headers-only"]) == 4
        assert run(["check-data", str(root), "--shard", "1/1"]) == 0
        assert run(["check-data", str(root), "--merge", "."]) == 4
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert tree(root) == before


def start(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fusetrain", "check-data", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def stop_in_the_middle(path: Path, state: Path, number: int) -> tuple[int, str]:
    """Start a check, stop it once its children work, and return its exit code and messages."""
    process = start([str(path), "--workers", "1", "--state", str(state)])
    deadline_s = time.monotonic() + 60
    while not state.is_dir() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(number)
    _, messages = process.communicate(timeout=60)
    return process.returncode, messages


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_check_says_so_and_goes_on_later(
    make_pairs: MakePairs, tmp_path: Path, number: int, capsys: Capture
) -> None:
    path = make_pairs(train=150, val=1)
    code, messages = stop_in_the_middle(path, tmp_path / "state", number)
    assert code == 75, messages
    assert "the same command goes on" in " ".join(messages.split())
    assert "Traceback" not in messages
    run(["check-data", str(path), "--state", str(tmp_path / "state"), "--json"])
    kept = capsys.readouterr().out
    run(["check-data", str(path), "--json"])
    assert capsys.readouterr().out == kept


def test_progress_without_a_terminal_is_a_line_now_and_then(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def next_line() -> str:
        shown = ""
        while not shown.endswith("\n"):
            time.sleep(0.01)
            shown += capsys.readouterr().err
        return shown.splitlines()[-1]

    monkeypatch.setattr(long, "FIRST_LINE_S", 0.02)
    monkeypatch.setattr(long, "LINE_S", 0.02)
    with long_progress("checking", "pairs") as advance:
        assert next_line() == "checking: getting ready"
        advance(1, 2000)
        time.sleep(0.05)
        advance(1280, 2000)
        next_line()  # may have been under way before
        pattern = r"checking: 1,280 of 2,000 pairs, [\d,]+/s, \d+ s left"
        assert re.fullmatch(pattern, next_line())
        advance(2000, 2000)
        next_line()
        assert next_line() == "checking: 2,000 of 2,000 pairs, finishing"
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_what_was_recognised_stands_above_the_bar(
    flawed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    assert run(["check-data", str(flawed), "--registration", "off"]) == 4
    assert "\x1b[2Krecognised: a data YAML\n" in shown.getvalue()


def test_short_work_prints_no_line(capsys: Capture) -> None:
    with long_progress("checking", "pairs") as advance:
        for done in range(1, 101):
            advance(done, 100)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (3000, "50 min"), (4860, "1 h 21 min")],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text
