"""Signals that come to the launcher reach every rank once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fusetrain.errors import AbortedError, StoppedError
from fusetrain.launching.network import interface_of, is_own, own_address
from fusetrain.launching.watch import Watch

COUNTS = """
import signal, sys, time
count = 0
def note(number, frame):
    global count
    count += 1
signal.signal(signal.SIGTERM, note)
print("ready", flush=True)
end = time.monotonic() + 60
while not count and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.3)
sys.exit(count)
"""


@pytest.fixture
def rank() -> Iterator[subprocess.Popen[str]]:
    """A process that counts how often it is told to end, and ends with that number."""
    command = [sys.executable, "-c", COUNTS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_signal_is_told_and_passed_on_once(
    rank: subprocess.Popen[str], capfd: pytest.CaptureFixture[str]
) -> None:
    watch = Watch()
    with watch.listening():
        watch.pids = (rank.pid,)
        watch.pass_on()
        os.kill(os.getpid(), signal.SIGTERM)
        watch.pass_on()
        watch.pass_on()
        assert rank.wait(timeout=60) == 1
        watch.pass_on()  # it is gone, which does not matter
    assert capfd.readouterr().err.count("SIGTERM: stopping after this step") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_before_there_are_ranks_ends_the_launcher(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    told = f"{number.name} came: nothing was begun"
    with pytest.raises(StoppedError, match=told), Watch().listening():
        os.kill(os.getpid(), number)
    capfd.readouterr()


def test_second_interrupt_kills_the_ranks(rank: subprocess.Popen[str]) -> None:
    code = (
        "import os, signal, sys\n"
        "from fusetrain.launching.watch import Watch\n"
        "watch = Watch()\n"
        "watch.pids = (int(sys.argv[1]),)\n"
        "with watch.listening():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(rank.pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == AbortedError.exit_code, done.stderr
    assert "aborted" in done.stderr
    assert rank.wait(timeout=60) == -signal.SIGKILL


def test_own_address_is_that_of_the_way_to_the_other_host() -> None:
    assert own_address("127.0.0.1:0") == "127.0.0.1"
    assert own_address("no-such-host.invalid:1") == "127.0.0.1"
    assert is_own("127.0.0.1:1")
    assert is_own("localhost:1")
    assert not is_own("203.0.113.9:1")
    assert not is_own("no-such-host.invalid:1")
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("203.0.113.9") == ""
