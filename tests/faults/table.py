"""Print the table of faults: runs every test that is marked with a row of it.

`python tests/faults/table.py` runs them all, slow ones too; `--quick` leaves those out, `--list`
runs none. `--write FILE` puts the table between the two marks in a Markdown file.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from rows import ROWS

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


class Tally:
    """Counts the outcomes of the tests of each row (a plugin of pytest)."""

    def __init__(self) -> None:
        self.rows_of: dict[str, set[int]] = {}
        self.outcomes: dict[int, Counter[str]] = defaultdict(Counter)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        rows = {row for mark in item.iter_markers("fault") for row in mark.args}
        self.rows_of[item.nodeid] = rows

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.config.option.collectonly:
            for item in session.items:
                for row in self.rows_of[item.nodeid]:
                    self.outcomes[row]["tests"] += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            for row in self.rows_of[report.nodeid]:
                self.outcomes[row][report.outcome] += 1


def table(outcomes: dict[int, Counter[str]]) -> str:
    """Return the table in Markdown."""
    lines = ["| row | fault | what happens | tests |", "|---:|---|---|---|"]
    for row, (fault, expected) in ROWS.items():
        counts = outcomes.get(row) or Counter()
        told = ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"
        lines.append(f"| {row} | {fault} | {expected} | {told} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="The faults that a training survives.")
    parser.add_argument("--quick", action="store_true", help="leave out the slow tests")
    parser.add_argument("--list", action="store_true", help="count the tests, run none")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into FILE")
    asked = parser.parse_args(arguments)
    tally = Tally()
    chosen = "fault and not slow" if asked.quick else "fault"
    words = ["-q", "-m", chosen, "-p", "no:cacheprovider", str(ROOT / "tests")]
    code = int(pytest.main(words + (["--collect-only", "-qq"] if asked.list else []), [tally]))
    text = table(tally.outcomes)
    print(text)
    survived = [
        row for row in ROWS if tally.outcomes.get(row) and not tally.outcomes[row]["failed"]
    ]
    print(f"\n{len(survived)} of {len(ROWS)} rows", "have tests" if asked.list else "survived")
    if asked.write:
        page = asked.write.read_text(encoding="utf-8")
        head, tail = page.split(BEGIN)[0], page.split(END)[1]
        asked.write.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
