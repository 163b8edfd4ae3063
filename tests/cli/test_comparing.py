"""`report` and `compare` as a user meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fusetrain.cli.app import run

Capture = pytest.CaptureFixture[str]


def test_report_of_a_training_stands_in_its_folder(home: Path, capsys: Capture) -> None:
    assert run(["report", "runs/latest"]) == 0
    out, err = capsys.readouterr()
    assert (out, err.count("wrote ")) == ("", 1)
    page = (home / "runs" / "exp" / "report.html").read_text(encoding="utf-8")
    for words in ("Run exp", "Class by class", "person", "Worst pairs", "parameters", "pillow"):
        assert words in page, words


def test_report_of_several_goes_where_it_is_told(home: Path, capsys: Capture) -> None:
    shutil.copytree("runs/exp", "runs/exp2")
    assert run(["report", "runs/exp", "runs/exp2", "--out", "new/both.html"]) == 0
    assert "wrote new/both.html" in capsys.readouterr().err
    assert "2 runs: exp, exp2" in Path("new/both.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["report"], 2, "RUN"),
        (["report", "runs/none"], 5, "is not a run folder"),
        (["report", "runs/exp", "--out", "page.txt"], 2, "ends in .html"),
        (["report", "runs/exp", "--out", "train.yaml/page.html"], 6, "cannot be written"),
        (["compare", "runs/exp"], 2, "two run folders or more"),
        (["compare", "runs/exp", "set"], 5, "is not a run folder"),
    ],
)
def test_wrong_use_is_one_panel(
    home: Path, capsys: Capture, words: list[str], code: int, said: str
) -> None:
    assert run(words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in " ".join(err.split())
    assert not list(home.rglob("*.html"))


def test_compare_prints_what_differs_and_what_came_out(home: Path, capsys: Capture) -> None:
    shutil.copytree("runs/exp", "runs/exp2")
    config = Path("runs/exp2/config.yaml")
    config.write_text(config.read_text().replace("  lr0: 0.001", "  lr0: 0.002"))
    assert run(["compare", "runs/exp", "runs/exp2"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert lines["optim.lr0"] == ["optim.lr0", "0.001", "0.002"]
    assert lines["epochs"] == ["epochs", "2", "of", "2", "2", "of", "2"]


@pytest.mark.parametrize("columns", ["40", "80"])
def test_many_runs_are_told_in_several_tables(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert run(["compare", *["runs/exp"] * 7]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= int(columns)
    assert out.count("what came out, continued") == (6 if columns == "40" else 1)
    assert "all settings are equal" in out


def test_compare_json_is_one_object(home: Path, capsys: Capture) -> None:
    assert run(["compare", "runs/exp", "runs/exp", "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert err == ""
    assert list(told) == ["schema", "runs", "settings"]
    assert (told["schema"], told["settings"]) == (1, {})
    assert set(told["runs"][0]) == {
        *("name", "path", "status", "epochs", "epochs_planned", "best_epoch", "metrics"),
        *("seconds", "parameters", "pairs", "fusion_gain", "findings"),
    }
    assert told["runs"][0]["pairs"] == {"train": 4, "val": 2}
    assert set(told["runs"][0]["metrics"]) == {"map50_95", "map50", "precision", "recall"}
