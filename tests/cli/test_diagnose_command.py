"""`diagnose` as a user meets it: text, JSON, wrong usage, and that nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fusetrain.cli.app import run

Capture = pytest.CaptureFixture[str]


def test_run_is_told_with_evidence_cause_and_remedy(home: Path, capsys: Capture) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    assert run(["diagnose", "runs/exp"]) == 0
    out, err = capsys.readouterr()
    assert "warmup-long: the warmup takes more than a third of the run" in out
    assert "evidence: the warmup takes 2 steps (1 epoch) of 4 steps (2 epochs)" in out
    assert f"fusetrain train --config {home}/runs/exp/config.yaml --set" in out
    assert "looked at 2 epochs of results.csv" in err
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
    assert run(["diagnose", "runs/exp", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert told["unseen"] == []
    keys = {"code", "group", "meaning", "evidence", "cause", "remedy", "numbers"}
    assert all(set(finding) == keys for finding in told["findings"])
    assert told["findings"][0]["code"] in out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "RUN, or --config FILE"),
        (["runs/exp", "--config", "train.yaml"], 2, "two things"),
        (["runs/exp", "--set", "train.epochs=3"], 2, "--set with --config FILE"),
        (["nowhere"], 5, "not a run folder"),
        (["--config", "nowhere.yaml"], 3, "no such file"),
        (["--config", "train.yaml", "--set", "train.epoch=3"], 3, "did you mean"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_panel(
    home: Path, capsys: Capture, words: list[str], code: int, text: str
) -> None:
    assert run(["diagnose", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("╭") == 1
    assert text in err
