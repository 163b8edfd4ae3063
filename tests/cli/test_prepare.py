"""The `prepare` commands as they are typed: what they print, refuse and leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusetrain.cli.app import run
from fusetrain.data.demo import write_demo

Capture = pytest.CaptureFixture[str]
Refused = Callable[..., str]

COMMANDS: dict[str, list[str]] = {
    "rename": [],
    "split": ["--redo", "--block", "4"],
    "align": ["--transform", "move.json"],
    "convert": ["--to", "coco"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a data set `demo` and a transform `move.json`."""
    write_demo(tmp_path / "demo", num_pairs=16)
    (tmp_path / "move.json").write_text('{"H": [[1, 0, 5], [0, 1, 0], [0, 0, 1]]}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FUSETRAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def refused(place: Path, capsys: Capture) -> Refused:
    """Run a command that must fail with a code and leave nothing; return its panel in one line."""

    def fail(*words: str, code: int) -> str:
        before = sorted(path.name for path in place.iterdir())
        assert run(list(words)) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert sorted(path.name for path in place.iterdir()) == before
        return " ".join(err.replace("│", " ").split())

    return fail


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dry_run_writes_nothing_and_fits_80_columns(
    place: Path, capsys: Capture, command: str
) -> None:
    before = sorted(place.rglob("*"))
    assert run(["prepare", command, "demo", *COMMANDS[command], "--dry-run"]) == 0
    out, _ = capsys.readouterr()
    assert sorted(place.rglob("*")) == before
    assert max(map(len, out.splitlines())) <= 80
    assert f"prepare {command}" in out
    assert "nothing was written" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_new_set_passes_check_data(place: Path, capsys: Capture, command: str) -> None:
    assert run(["prepare", command, "demo", *COMMANDS[command], "--out", "new"]) == 0
    out, err = capsys.readouterr()
    assert "next: fusetrain check-data new" in err
    assert ("boxes of each class" in out) == (command == "split")
    assert run(["check-data", "new", "--registration", "off", "--workers", "1"]) == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("dry", [True, False])
def test_json_is_one_object_that_says_what_came_of_it(
    place: Path, capsys: Capture, command: str, dry: bool
) -> None:
    words = ["prepare", command, "demo", *COMMANDS[command], "--out", "new", "--json"]
    assert run([*words, "--dry-run"] if dry else words) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert document["command"] == f"prepare {command}"
    assert document["dry_run"] is dry
    assert (place / "new").exists() is not dry
    assert document["files"] >= 2 * sum(document["pairs"].values())
    assert document["bytes"] > 0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["rename", "nowhere", "--out", "new"], 4, "no such data YAML or data-set folder"),
        (["rename", "demo"], 2, "there is no --out"),
        (["rename", "demo", "--out", "demo/new"], 4, "inside the old one"),
        (["rename", "demo", "--out", "demo"], 4, "inside the old one"),
        (["rename", "demo", "--out", "move.json"], 4, "a file of this name"),
        (["rename", "demo", "--out", "new", "--by", "luck"], 2, "key, order, time"),
        (["rename", "demo", "--out", "new", "--by", "order"], 2, "--accept-order"),
        (["rename", "demo", "--out", "new", "--max-gap", "nan"], 2, "seconds"),
        (["rename", "demo", "--out", "new", "--by", "time"], 4, "next: --max-gap S"),
        (["rename", "demo", "--out", "new", "--link", "soft"], 2, "none, hard, symbolic"),
        (["rename", "demo", "--out", "new", "--workers", "0"], 2, "a whole number from 1"),
        (["split", "demo", "--out", "new", "--names-only"], 4, "too few"),
        (["split", "demo", "--out", "new", "--ratios", "0.5", "0.1", "0.1"], 2, "whose sum is 1"),
        (["split", "demo", "--out", "new", "--ratios", "nan", "0.5", "0.5"], 2, "whose sum is 1"),
        (["split", "demo", "--out", "new", "--ratios", "0.8", "0.2", "0"], 4, "--redo"),
        (
            ["split", "demo", "--out", "new", "--block", "-1"],
            2,
            "--block -1 expected: a whole",
        ),
        (["split", "demo", "--out", "new", "--lists", "none.txt"], 4, "does not say its split"),
        (["align", "demo", "--out", "new", "--transform", "none.json"], 4, "cannot be read"),
        (["align", "demo", "--out", "new", "--per", "frame"], 2, "sequence, pair, set"),
        (["align", "demo", "--out", "new", "--boxes", "both"], 2, "rgb, ir"),
        (["convert", "demo", "--out", "new", "--to", "csv"], 2, "fusetrain, yolo, coco, voc"),
        (["cache", "demo", "--imgsz", "3"], 2, "--imgsz 3 expected: at least 32"),
        (["cache", "demo", "--scale", "2"], 2, "--scale 2 expected: less than 1.0"),
        (["cache", "demo", "--out", "demo/cache"], 4, "inside the data set"),
        (["cache", "demo", "--out", "move.json"], 6, "cannot be written"),
        (["rename", "demo", "--out", "move.json/new"], 6, "next: choose another --out"),
        (["convert", "demo", "--out", "/proc/new", "--to", "coco"], 6, "cannot be written"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_left(
    refused: Refused, words: list[str], code: int, text: str
) -> None:
    assert text in refused("prepare", *words, code=code)


def test_order_is_taken_where_it_is_accepted(place: Path, capsys: Capture) -> None:
    words = ["prepare", "rename", "demo", "--out", "new", "--by", "order", "--accept-order"]
    assert run(words) == 0
    assert "new: 13 train and 3 val pairs" in capsys.readouterr().err


def test_cache_files_are_planned_made_and_found(place: Path, capsys: Capture) -> None:
    words = ["prepare", "cache", "demo", "--imgsz", "96", "--workers", "1"]
    assert run([*words, "--dry-run"]) == 0
    assert "to be made" in capsys.readouterr().out
    assert not (place / "cache").exists()
    assert run(words) == 0
    out, err = capsys.readouterr()
    assert out.count("made") == 2
    assert str(place / "cache") in err
    assert len(list((place / "cache").glob("*.pairs"))) == 2
    assert run([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [entry["was_there"] for entry in document["splits"].values()] == [True, True]
