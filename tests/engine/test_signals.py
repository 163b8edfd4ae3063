import os
import signal
import subprocess
import sys
import threading

import pytest

from fusetrain.engine.signals import StopFlag, stop_on_signals
from fusetrain.errors import AbortedError

TWICE = """
import os, signal
from fusetrain.engine.signals import stop_on_signals
with stop_on_signals() as stop:
    os.kill(os.getpid(), signal.SIGINT)
    {between}
    print(stop.name(), flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("never", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signal_is_noted_and_told_once(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    with stop_on_signals() as stop:
        assert stop.signal_number == 0
        os.kill(os.getpid(), number)
        assert stop.name() == number.name
        if number is not signal.SIGINT:
            os.kill(os.getpid(), number)
    assert capfd.readouterr().err.count(f"{number.name}: stopping after this step") == 1


def test_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def fail() -> None:
        with stop_on_signals() as stop:
            assert signal.getsignal(signal.SIGINT) is stop
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("between", ["pass", "os.kill(os.getpid(), signal.SIGTERM)"])
@pytest.mark.fault(4)
def test_second_interrupt_ends_the_process_at_once(between: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWICE.format(between=between)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == AbortedError.exit_code
    assert "never" not in done.stdout
    assert "aborted" in done.stderr
    assert "\x1b" not in done.stderr


def test_other_threads_get_a_flag_without_handlers() -> None:
    flags: list[StopFlag] = []

    def use() -> None:
        with stop_on_signals() as stop:
            flags.append(stop)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert flags[0].signal_number == 0
    assert signal.getsignal(signal.SIGINT) is before
