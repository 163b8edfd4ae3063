"""The table of faults knows its rows, and finds the tests of each."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from rows import ROWS
from table import table

OTHERS = {7, 8, 20, *range(22, 32), 42, 44}


def test_rows_are_numbered_without_a_gap() -> None:
    assert list(ROWS) == list(range(1, 45))


def test_table_tells_what_came_of_each_row() -> None:
    text = table({1: Counter(passed=3, failed=1)})
    first = next(line for line in text.splitlines() if line.startswith("| 1 |"))
    assert first.endswith("| 1 failed, 3 passed |")
    assert text.count("| none |") == len(ROWS) - 1


@pytest.mark.slow
def test_every_row_has_a_test() -> None:
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("table.py")), "--list"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counts = dict(re.findall(r"^\| (\d+) \|.*\| (.*) \|$", ended.stdout, flags=re.MULTILINE))
    assert {int(row) for row, count in counts.items() if count == "none"} <= OTHERS
