"""Row 8: a folder that cannot be written, before a run, before a resume, and all of a sudden."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from short_run import Home
from trainings import Training

from fusetrain.cli.app import run
from fusetrain.errors import ResourceError

Capture = pytest.CaptureFixture[str]
MakeReadOnly = Callable[[Path], None]


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write below a folder; root needs a mount for that, others a change of modes."""
    if os.geteuid():
        modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        try:
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
        return
    try:
        for words in (("--bind", folder, folder), ("-o", "remount,bind,ro", folder)):
            done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"root cannot mount a folder read-only here: {done.stderr.strip()}")
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], capture_output=True, check=False)


@pytest.fixture
def make_read_only() -> Iterator[MakeReadOnly]:
    """Make folders read-only until the test is over."""
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(read_only(folder))


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of everything below a folder."""
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {path: (status.st_size, status.st_mtime_ns) for path, status in found.items()}


@pytest.mark.fault(8)
@pytest.mark.parametrize("words", [("train", "--config", "train.yaml"), ("resume", "runs/exp")])
def test_row08_folder_that_is_read_only_at_the_start_ends_in_one_sentence(
    stopped: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    make_read_only: MakeReadOnly,
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(stopped.path)
    monkeypatch.setenv("COLUMNS", "400")
    make_read_only(stopped.path / "runs")
    before = contents(stopped.path)
    assert run(list(words)) == ResourceError.exit_code
    message = capsys.readouterr().err
    assert "Read-only file system" in message or "Permission denied" in message
    assert "Traceback" not in message
    assert contents(stopped.path) == before


@pytest.mark.fault(8)
@pytest.mark.filterwarnings("ignore:the log of")
def test_row08_folder_that_becomes_read_only_ends_the_run_and_keeps_what_was_saved(
    training: Training, make_read_only: MakeReadOnly
) -> None:
    def harm(slot: int) -> None:
        if slot == 3:
            training.keeper.wait()
            make_read_only(training.last.run.path)

    with pytest.raises(ResourceError, match="3 saves failed in a row"):
        training(harm, train={"save_every": {"steps": 1}, "epochs": 2})
    assert [note[:16] for note in training.last.notes] == ["not saved, 1 of ", "not saved, 2 of "]
    assert training.last.state["slot"] == 2
