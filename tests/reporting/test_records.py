"""What is read back from a run folder, whole or damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.diagnose.examine import examine_run
from fusetrain.errors import RunError
from fusetrain.reporting.records import read_run

MakeRun = Callable[..., Path]


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


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


def test_a_lost_table_is_refused_once_an_epoch_was_finished(make_run: MakeRun) -> None:
    path = make_run()
    (path / "results.csv").unlink()
    assert read_run(path).history == []
    _append(path / "events.jsonl", '{"event": "epoch", "epoch": 3}\n')
    (path / "weights" / "last.pt").touch()
    with pytest.raises(RunError, match="is missing, though 3 epochs were finished") as caught:
        read_run(path)
    assert caught.value.remedy == f"`fusetrain resume {path}` writes it anew"
    with pytest.raises(RunError, match="is missing, though 3 epochs were finished"):
        examine_run(path)


def test_a_lost_table_without_a_checkpoint_cannot_be_written_anew(make_run: MakeRun) -> None:
    path = make_run()
    (path / "results.csv").unlink()
    (path / "weights" / "best.safetensors").touch()
    with pytest.raises(RunError, match="though 1 epoch was finished") as caught:
        read_run(path)
    assert caught.value.remedy == ""


def test_a_run_killed_before_its_first_save_has_finished_nothing(make_run: MakeRun) -> None:
    path = make_run(last="")
    (path / "results.csv").unlink()
    _append(path / "events.jsonl", '{"event": "epoch", "epoch": 1}\n')
    assert read_run(path).history == []


def test_semicolons_in_a_table_are_named_with_what_mends_it(make_run: MakeRun) -> None:
    path = make_run()
    (path / "weights" / "last.pt").touch()
    table = path / "results.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8")
    for read in (read_run, examine_run):
        with pytest.raises(RunError, match="parted by semicolons") as caught:
            read(path)
        assert "writes it anew" in caught.value.remedy
