"""What is read back from a run folder, whole or damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.errors import RunError
from fusetrain.reporting.records import read_run

MakeRun = Callable[..., Path]


def test_a_run_is_read_back(make_run: MakeRun) -> None:
    run = read_run(make_run(settings="train: {epochs: 3}\nmodel: {fusion: rgb}\n"))
    assert (run.name, run.status, run.epochs, len(run.history)) == ("exp", "finished", 3, 3)
    assert run.best is not None
    assert (run.best["epoch"], run.best["metrics/mAP50-95(B)"]) == (2, 0.3)
    assert run.seconds == 7.5
    assert run.settings["model.fusion"] == "rgb"
    assert run.settings["optim.lr0"] == 1e-3
    assert run.findings == {"P09": 3, "L08": 1}


@pytest.mark.parametrize(
    ("last", "epochs", "status"),
    [
        ("end", 3, "finished"),
        ("end", 9, "stopped early"),
        ("stop", 9, "stopped"),
        ("", 9, "running or killed"),
    ],
)
def test_how_a_run_stands(make_run: MakeRun, last: str, epochs: int, status: str) -> None:
    path = make_run(settings=f"train: {{epochs: {epochs}}}\n", last=last)
    assert read_run(path).status == status


def test_damaged_extras_are_not_known(make_run: MakeRun) -> None:
    path = make_run(scores=())
    (path / "events.jsonl").write_text('{"event": "start"\n[1]\n', encoding="utf-8")
    for text in ("{", "[]", json.dumps({"scores": None, "gain": None})):
        (path / "fusion_gain.json").write_text(text, encoding="utf-8")
        run = read_run(path)
        assert (run.gain, run.best, run.findings, run.start) == (None, None, None, {})


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        read_run(tmp_path)
