"""A signal before a run has begun ends the command, whatever it is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from fusetrain.__main__ import ABORTED
from fusetrain.errors import AbortedError, StoppedError
from fusetrain.interrupts import nothing_begun

PATIENCE_S = 30.0
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signal_ends_what_is_done(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match=f"{number.name} came: nothing was begun"):
        stopped_by(number)
    assert signal.getsignal(number) is before


def stopped_by(number: signal.Signals) -> None:
    with nothing_begun() as came:
        os.kill(os.getpid(), number)
        time.sleep(PATIENCE_S)
        assert not came


def test_import_is_finished_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.2)\n"
    (tmp_path / "slowly_imported.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StoppedError):
        stopped_after_import()
    assert sys.modules.pop("slowly_imported").time is time


def stopped_after_import() -> None:
    with nothing_begun():
        __import__("slowly_imported")
        time.sleep(PATIENCE_S)


class Startled(threading.Thread):
    """A thread whose beginning is told to a starter that a signal meets just then."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ran = threading.Event()
        self._started = Signalling()

    def run(self) -> None:
        self.ran.set()


class Signalling(threading.Event):
    """An event; who waits for it gets a signal first."""

    def wait(self, timeout: float | None = None) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        return super().wait(timeout)


def test_thread_is_started_first() -> None:
    thread = Startled()
    begun: list[bool] = []
    with pytest.raises(StoppedError, match="SIGTERM"):
        stopped_after_start(thread, begun)
    assert begun == [True]
    assert thread.ran.wait(PATIENCE_S)


def stopped_after_start(thread: threading.Thread, begun: list[bool]) -> None:
    with nothing_begun():
        thread.start()
        begun.append(True)
        time.sleep(PATIENCE_S)


def test_signals_at_every_moment_of_starting_threads_complain_of_nothing() -> None:
    """A process of its own starts threads without end: what fails in one is printed there."""
    source = (
        "import threading, time\n"
        "from fusetrain.errors import StoppedError\n"
        "from fusetrain.interrupts import nothing_begun\n"
        "for _ in range(40):\n"
        "    try:\n"
        "        with nothing_begun():\n"
        "            print('ready', flush=True)\n"
        "            while True:\n"
        "                threading.Thread(target=int).start()\n"
        "                time.sleep(0.0001)\n"
        "    except StoppedError:\n"
        "        pass\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", source], text=True, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    for number in range(40):
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.002 * number % 0.01)
        process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, told) == (0, "")


class Final:
    """An exception that is raised while it goes is lost."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signal_that_was_lost_counts_at_the_end() -> None:
    reached: list[bool] = []
    with pytest.raises(StoppedError, match="SIGTERM"):
        lose_a_signal(reached)
    assert reached


def lose_a_signal(reached: list[bool]) -> None:
    with nothing_begun():
        Final()
        reached.append(True)


def test_other_threads_set_no_handler() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def look() -> None:
        with nothing_begun():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(PATIENCE_S)
    assert seen == [before]


INTERRUPTED_IMPORT = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from fusetrain.__main__ import main
main()
"""


def test_program_that_is_not_imported_yet_ends_without_a_traceback() -> None:
    ended = subprocess.run(
        (sys.executable, "-c", INTERRUPTED_IMPORT, "--help"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (ended.returncode, ended.stderr, ended.stdout) == (ABORTED, "", "")
    assert AbortedError.exit_code == ABORTED
