"""The benchmarks of the data checks: they run on little, and planters do what they say."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from fusetrain.checks.findings import CODES
from fusetrain.data.demo import write_demo

ROOT = Path(__file__).parents[2]


@pytest.fixture
def defects(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return import_module("defects")


def run(script: str, *arguments: str, cwd: Path) -> str:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_there_is_a_kind_for_every_code_and_each_has_a_name(defects: ModuleType) -> None:
    names = [kind.name for kind in defects.KINDS]
    assert len(set(names)) == len(names) >= 30
    planted = {code for kind in defects.KINDS for code in kind.codes}
    # Imbalance needs more boxes than a small set has.
    assert set(CODES) - planted == {"S02"}


def test_a_set_without_defects_has_no_findings_and_one_with_a_defect_has_its_own(
    defects: ModuleType, tmp_path: Path
) -> None:
    write_demo(tmp_path / "demo", num_pairs=40)
    source = defects.read_source(tmp_path / "demo", is_real=False)
    clean = defects.grow(source, tmp_path / "clean", rng=random.Random(0), train=8, val=4)
    assert {entry.code for entry in defects.findings_of(clean.root)} <= {"S01", "S03"}
    kind = next(kind for kind in defects.KINDS if kind.name == "three dead rows")
    data = defects.grow(source, tmp_path / "set", rng=random.Random(1), train=8, val=4)
    place = data.name(kind.plant(data))
    findings = defects.findings_of(data.root)
    assert defects.is_found(kind, place, findings)
    assert not defects.is_found(kind, "imagesIR/train/other.png", findings)


@pytest.mark.slow
def test_defects_prints_a_row_a_kind(tmp_path: Path) -> None:
    text = run("defects.py", "--seeds", "1", "--only", "cut anywhere", cwd=tmp_path)
    rows = [line for line in text.splitlines() if "cut anywhere" in line]
    assert len(rows) == 7
    assert all(line.endswith("100%") for line in rows)
    assert "below what is needed: none of 7 kinds" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_duplicates_finds_all_it_planted(tmp_path: Path) -> None:
    text = run("duplicates.py", "--number", "4000", "--planted", "200", cwd=tmp_path)
    rows = text.splitlines()[1:]
    assert [line.split()[3] for line in rows] == ["200/200"] * 3


@pytest.mark.slow
def test_check_rate_prints_a_ratio(tmp_path: Path) -> None:
    write_demo(tmp_path / "demo", num_pairs=10)
    arguments = ("--data", str(tmp_path / "demo"), "--pairs", "20", "--rounds", "1")
    text = run("check_rate.py", *arguments, "--workers", "1", cwd=tmp_path)
    assert "ratio " in text.splitlines()[-1]
