"""The benchmark of large sets runs on small ones, and its drawn records are what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_drawn_index_has_the_rows_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    index = import_module("scale").drawn_index(700)
    assert len(index) == len(set(index.keys)) == 700
    assert len(index.boxes_cxcywh_unit(699)) == 5
    assert index.rgb_paths[699] == "images/train/sequence00001_0000699.jpg"


@pytest.mark.slow
def test_every_measurement_gives_its_rows(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "benchmarks/scale.py", "--pairs", "300", "--records", "3000"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) == 15
    assert all(line.split()[-1].replace(",", "").replace(".", "").strip("-") for line in lines)
    assert list(tmp_path.iterdir()) == []
