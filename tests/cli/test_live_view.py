"""A training in a real terminal: the view fits, goes away, and leaves a line an epoch."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

import pytest

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def in_terminal(columns: int, folder: Path, **environment: str) -> str:
    """Run a training of two epochs in a terminal of its own; return all that it wrote there."""
    words = [sys.executable, "-m", "fusetrain", "train", "--config", "train.yaml"]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        known = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
        known |= {"TERM": "xterm", "PYTHONUTF8": "1", "COLUMNS": str(columns)} | environment
        os.execve(sys.executable, words, known)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    written = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the terminal has closed
            break
        if not part:
            break
        written += part
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    text = written.decode("utf-8")
    assert os.waitstatus_to_exitcode(status) == 0, text
    return text


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 200])
def test_view_fits_the_terminal_and_goes_away(
    home: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", root)
    text = in_terminal(columns, home, NO_COLOR="1")
    assert COLOUR.sub("", text) == text
    lines = [CONTROL.sub("", line) for line in re.split(r"[\r\n]+", text)]
    view = [line for line in lines if "pairs/s" in line or re.match(r"(epoch \d|box )", line)]
    assert any("█" in line for line in view)
    assert max(map(len, view)) < columns
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0  # the cursor comes back
    assert [line.split()[0] for line in lines if re.match(r" +\d/2 ", line)] == ["1/2", "2/2"]
    assert "next: fusetrain val runs/exp2" in text
    assert "\n".join(lines).index("2/2 ") < "\n".join(lines).index("next: ")


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"JPY_PARENT_PID": "1"}])
def test_terminals_that_pile_lines_up_get_a_line_an_epoch(
    home: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    text = in_terminal(80, home, **environment)
    assert "\x1b" not in text
    lines = text.splitlines()
    assert [line.split()[0] for line in lines if re.match(r" +\d/2 ", line)] == ["1/2", "2/2"]
    assert len(lines) < 20
    assert lines[-1] == "      fusetrain plot-lr runs/exp2"
