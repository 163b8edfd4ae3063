"""Rows 1 and 2: killed at any instant of a step or of a save, a run goes on as if it never was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Nursery
from short_run import Home

from fusetrain.durable import write_durably
from fusetrain.errors import ResourceError
from fusetrain.failpoints import EXIT_CODE, VARIABLE, failpoint

WRITING = ("begun", "opened", "half-written", "written", "flushed", "synced", "verified")
BEFORE = [f"last.pt:{point}" for point in WRITING]
LINKING = ["last.prev.pt:linked", "last.prev.pt:renamed"]
AFTER = ["last.pt:renamed", "last.pt:durable"]


def write_until(point: str, folder: Path) -> None:
    """Write the third state of a file in a process that ends at a point."""
    child = os.fork()
    if not child:
        os.environ[VARIABLE] = point
        write_durably(folder / "last.pt", [b"third", b" state"], previous=folder / "last.prev.pt")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == EXIT_CODE, f"{point} was not passed"


@pytest.mark.fault(2)
@pytest.mark.parametrize("point", [*BEFORE, *LINKING, *AFTER])
def test_row02_every_instant_of_a_save_leaves_whole_files(tmp_path: Path, point: str) -> None:
    last, previous = tmp_path / "last.pt", tmp_path / "last.prev.pt"
    for state in (b"first state", b"second state"):
        write_durably(last, state, previous=previous)
    write_until(point, tmp_path)
    assert last.read_bytes() == (b"third state" if point in AFTER else b"second state")
    kept = b"first state" if point in (*BEFORE, LINKING[0]) else b"second state"
    assert previous.read_bytes() == kept
    write_durably(last, b"fourth state", previous=previous)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.prev.pt", "last.pt"]


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def append_a_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.fault(2, 11)
@pytest.mark.parametrize("harm", [flip_a_byte, cut_off, append_a_byte])
def test_row02_disk_that_holds_other_bytes_than_were_written_leaves_the_old_file(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    last, data = tmp_path / "last.pt", [b"new", bytes(3_000_000), b"state"]
    write_durably(last, b"old state")
    child = os.fork()
    if not child:
        os.environ[VARIABLE] = "last.pt:synced=SIGSTOP"
        code = 0
        try:
            write_durably(last, data)
        except ResourceError as error:
            code = error.exit_code if "read back" in error.what else 1
        os._exit(code)
    os.waitpid(child, os.WUNTRACED)
    harm(tmp_path / ".last.pt.tmp")
    os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == ResourceError.exit_code
    assert last.read_bytes() == b"old state"
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


POINTS = [
    *(f"{point}@2" for point in [*BEFORE, *AFTER]),
    *LINKING,
    "last.pt:verified",
    "best.safetensors:half-written",
    "best.safetensors:renamed",
    "results.csv:half-written@2",
    "results.csv:renamed@2",
    "config.yaml:renamed",
    "figures:begun",
    "figures:done",
]
QUICK = ("last.prev.pt:renamed",)


@pytest.mark.fault(2)
@pytest.mark.parametrize(
    "point", [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in POINTS]
)
def test_row02_run_that_ended_in_a_save_goes_on_like_one_that_did_not(
    nursery: Nursery, through: Home, stopped: Home, point: str
) -> None:
    words = ("resume", "runs/exp")
    ended = nursery.run(*words, cwd=stopped.path, FUSETRAIN_FAILPOINT=point)
    assert ended.code == EXIT_CODE, ended.text
    resumed = nursery.run(*words, cwd=stopped.path)
    assert resumed.code == 0, resumed.text
    stopped.assert_ends_like(through)


def test_points_do_nothing_outside_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "here")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    failpoint("here")
    failpoint("there")
