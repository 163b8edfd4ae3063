"""Whoever reads the output may leave: the command runs on and keeps its exit code."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WRITER = (
    "import sys; from fusetrain.cli.streams import survive_closed_pipes;"
    "survive_closed_pipes();"
    "[print('x' * 999) for _ in range(999)];"
    "print('y' * 999, file=sys.stderr);"
    "sys.exit(4)"
)


@pytest.mark.fault(43)
def test_closed_pipe_does_not_change_the_exit_code() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=60) == 4


@pytest.mark.parametrize("descriptors", ["1", "2", "1 2"])
@pytest.mark.fault(43)
def test_closed_descriptors_are_no_error(descriptors: str) -> None:
    closing = "".join(f" {number}>&-" for number in descriptors.split())
    command = f'"$0" -c "$1"{closing}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, WRITER], capture_output=True, check=False
    )
    assert done.returncode == 4
    assert b"Traceback" not in done.stderr


def test_names_that_are_not_text_are_printed() -> None:
    code = (
        "import sys; from fusetrain.cli.streams import survive_closed_pipes;"
        r"survive_closed_pipes(); print('a\udce9\u00e4')"
    )
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, env=environment
    )
    assert done.stdout.decode() == "a\\udce9ä\n"


def test_warnings_of_ours_are_lines_for_people() -> None:
    code = (
        "import fusetrain, warnings;"
        "from fusetrain.cli.streams import warn_in_plain_words; warn_in_plain_words();"
        "warnings.warn_explicit('the log is incomplete', RuntimeWarning, fusetrain.__file__, 1);"
        "warnings.warn('of another', stacklevel=1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    expected = ["warning: the log is incomplete", "<string>:1: UserWarning: of another"]
    assert done.stderr.splitlines() == expected


@pytest.mark.parametrize("words", [["config", "schema"], ["--version"], ["--help"]])
def test_full_disk_exits_6(words: list[str]) -> None:
    command = [sys.executable, "-m", "fusetrain", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 6
    assert b"the disk is full" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
