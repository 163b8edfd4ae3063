"""The comparison of parts of the work: what is asked of either side, and what is made of it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from .conftest import BENCHMARKS, run


@pytest.fixture(autouse=True)
def _modules_of_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_speed_is_of_the_processor_and_of_the_clock_where_children_work() -> None:
    parts, part = import_module("parts"), import_module("measuring.part_costs").Part
    ended = import_module("measuring.turns").Ended
    mine = {part.ONE: [2.0, 4.0], part.CHECK: [2.0, 9.0], part.DEEP_CHECK: [4.0, 9.0]}
    theirs = {part.ONE: [9.0, 8.0], part.CHECK: [1.0, 9.0]}
    found = {
        side: [ended({"parts": cost, "gflops": gflops}, 0.0, 0.0, 0.0)]
        for side, cost, gflops in (("ours", mine, 3.0), ("peer", theirs, 1.5))
    }
    one, check, deep = parts.rows(found)
    assert one == [
        part.ONE,
        *("2e+03", "4e+03", "9e+03", "8e+03"),
        "2.00x (2.00-2.00)",
        "4.00x",
    ]
    assert check[-2:] == ["0.50x (0.50-0.50)", "-"]
    assert deep[-2:] == ["0.25x (0.25-0.25)", "-"]
    alone = parts.rows({"ours": found["ours"]})
    assert [row[3:] for row in alone] == [["-"] * 4] * 3
    assert {len(row) for row in (one, check, deep, *alone)} == {len(parts.HEADER)}


def test_a_cost_is_one_of_each_unit() -> None:
    costs = import_module("measuring.part_costs")

    def work() -> None:
        np.linalg.svd(np.random.default_rng(0).random((200, 200)))

    work()
    for_all, for_each = costs.cost_of(work, units=1), costs.cost_of(work, units=10**6)
    assert 0 < for_each[0] < for_all[0]
    assert for_each[1] <= for_all[1]


@pytest.mark.slow
def test_parts_times_ours_alone(tmp_path: Path) -> None:
    tiny = ("--rounds", "1", "--pairs", "20", "--images", "50", "--calls", "1", "--batch", "2")
    ended = run("parts.py", "--only-ours", "--imgsz", "64", *tiny, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    for part in import_module("measuring.part_costs").Part:
        (row,) = (line for line in lines if line.startswith(f"{part}  "))
        assert row.split()[-4:] == ["-"] * 4
    assert list(tmp_path.iterdir()) == []
