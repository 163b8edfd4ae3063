"""The run folder: numbering, the pointer, the lock, and files that are never half written."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fusetrain.errors import ResourceError, RunError
from fusetrain.results.run_dir import CSV_COLUMNS, Row, RunDir, csv_columns, csv_text, followed


def test_folders_are_numbered_and_the_pointer_follows(tmp_path: Path) -> None:
    project = tmp_path / "new" / "runs"
    names = [RunDir.create(project, "exp").path.name for _ in range(3)]
    assert names == ["exp", "exp2", "exp3"]
    assert RunDir.create(project, "other").path.name == "other"
    assert (project / "latest").resolve() == project / "other"
    assert sorted(path.name for path in project.iterdir()) == sorted([*names, "other", "latest"])


def test_folder_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="no run folder"):
        RunDir.create(tmp_path / "file", "exp")
    (tmp_path / "runs" / "latest").mkdir(parents=True)
    (tmp_path / "runs" / "latest" / "kept").write_text("")
    with pytest.raises(ResourceError, match="no run folder"):
        RunDir.create(tmp_path / "runs", "exp")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["latest"]


def test_run_is_opened_by_folder_pointer_checkpoint_and_text_pointer(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "exp")
    run.write_config("train: {}\n")
    (run.weights / "last.pt").write_bytes(b"")
    for path in (run.path, tmp_path / "latest", run.weights / "last.pt"):
        assert RunDir.open(path).path == run.path
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").write_text("exp\n")
    assert RunDir.open(tmp_path / "latest").path == run.path
    assert followed(tmp_path / "latest") == run.path
    assert followed(run.path) == run.path


@pytest.mark.parametrize("name", ["nowhere", "file", "folder", "latest"])
def test_what_is_no_run_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "latest").symlink_to("gone")
    with pytest.raises(RunError, match="is not a run folder"):
        RunDir.open(tmp_path / name)


@pytest.mark.fault(16)
def test_lock_is_refused_while_its_process_lives_and_taken_over_afterwards(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "exp")
    lock = run.path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock.write_text(f"{socket.gethostname()} {holder.pid}\n")
    with pytest.raises(RunError, match=f"process {holder.pid}"), run.lock():
        pass
    holder.communicate(b"\n")
    with run.lock():
        assert lock.read_text().split()[:2] == [socket.gethostname(), str(os.getpid())]
        assert lock.stat().st_mode & 0o111 == 0
    assert not lock.exists()


@pytest.mark.fault(16)
def test_lock_of_another_host_counts_and_says_how_to_end_it(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "exp")
    (run.path / ".lock").write_text("far-away 1\n")
    with pytest.raises(RunError) as caught, run.lock():
        pass
    assert str(run.path / ".lock") in caught.value.remedy
    assert (run.path / ".lock").exists()


@pytest.mark.parametrize("content", ["", "nonsense", f"{socket.gethostname()} x"])
def test_lock_without_a_process_on_this_host(tmp_path: Path, content: str) -> None:
    run = RunDir.create(tmp_path, "exp")
    (run.path / ".lock").write_text(content)
    if not content:  # its process ended before it could write a word
        with run.lock():
            pass
    else:
        with pytest.raises(RunError), run.lock():
            pass


def test_config_is_replaced_in_one_step(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "exp")
    for text in ("train: {epochs: 1}\n", "train: {epochs: 2}\n"):
        run.write_config(text)
        assert run.config.read_text() == text
    assert sorted(path.name for path in run.path.iterdir()) == ["config.yaml", "weights"]


def test_events_are_one_json_object_a_line(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "exp")
    run.event("start", text="line\nbreak", numbers=[1, 2])
    run.event("end")
    lines = (run.path / "events.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert (first["event"], first["text"], first["numbers"]) == ("start", "line\nbreak", [1, 2])
    assert first["time"] <= second["time"]


def test_results_csv_keeps_its_format() -> None:
    cells: dict[str, float | int | None] = dict.fromkeys(CSV_COLUMNS)
    row: Row = cells | {
        "epoch": 12,
        "time": 1234567.891,
        "train/box_loss": 1 / 3,
        "metrics/mAP50(B)": 0.0,
        "lr0": 0.1 + 0.2,
        "lr/pg0": 1e-05,
        "lr/pg1": 0,
    }
    header, line, rest = csv_text([row], 2).split("\n")
    assert rest == ""
    assert tuple(header.split(",")) == csv_columns(2)
    assert header.endswith("val/dfl_loss,lr0,lr/pg0,lr/pg1")
    values = dict(zip(header.split(","), line.split(","), strict=True))
    assert values["epoch"] == "12"
    assert values["time"] == "1.23457e+06"
    assert values["train/box_loss"] == "0.333333"
    assert values["metrics/mAP50(B)"] == "0"
    assert values["metrics/precision(B)"] == ""
    assert (values["lr0"], values["lr/pg0"], values["lr/pg1"]) == (
        "0.30000000000000004",
        "1e-05",
        "0.0",
    )


@pytest.mark.fault(16)
def test_number_given_to_another_process_is_not_taken_for_the_holder(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "exp")
    lock = run.path / ".lock"
    lock.write_text(f"{socket.gethostname()} {os.getppid()} 1\n")  # started at another time
    with run.lock():
        held = lock.read_text()
        with pytest.raises(RunError, match=f"process {os.getpid()}"), run.lock():
            pass
        assert lock.read_text() == held


@pytest.mark.fault(16)
def test_of_many_processes_that_want_an_abandoned_run_one_gets_it(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "exp")
    (run.path / ".lock").write_text(f"{socket.gethostname()} {os.getppid()} 1\n")
    children = []
    gate, opened = os.pipe()
    for _ in range(8):
        child = os.fork()
        if not child:
            os.close(opened)
            code = 1
            try:
                with run.lock():
                    os.read(gate, 1)  # until the parent has seen all others refused
                    code = 0
            except RunError:
                code = 3
            os._exit(code)
        children.append(child)
    os.close(gate)
    codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in children[1:]]
    os.close(opened)
    codes.append(os.waitstatus_to_exitcode(os.wait()[1]))
    assert codes == [3] * 7 + [0]


def test_events_of_one_kind_are_read_past_damaged_lines(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "exp")
    assert run.events("end") == []
    run.event("end", slot=1)
    with (run.path / "events.jsonl").open("a") as file:
        file.write('{"event": "end", "slo\n[1]\n')
    run.event("start")
    run.event("end", slot=2)
    assert [event["slot"] for event in run.events("end")] == [1, 2]
