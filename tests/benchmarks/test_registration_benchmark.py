"""The benchmark of registration: shifts are planted as it says, and its table is filled."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fusetrain.data.demo import write_demo

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def planting(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that plants shifts."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("measuring.planted_shifts")


def test_planted_shift_cuts_and_shows_no_border(planting: ModuleType, tmp_path: Path) -> None:
    write_demo(tmp_path / "demo", num_pairs=2)
    pair = planting.load_pairs([tmp_path / "demo"])[0]
    assert pair.rgb.shape == pair.ir.shape == (512, 640)
    rgb, ir = planting.planted(pair, (30, -40))
    assert rgb.shape == ir.shape == (432, 560)
    assert np.array_equal(ir[40:, :500], planting.planted(pair, (0, 0))[1][:-40, 30:530])
    dx, dy = planting.plain_shift(rgb, ir)
    assert max(abs(dx - 30), abs(dy + 40)) <= 2


def test_script_prints_both_methods_and_the_verdicts(tmp_path: Path) -> None:
    write_demo(tmp_path / "demo", num_pairs=4)
    ended = subprocess.run(
        [sys.executable, str(BENCHMARKS / "registration.py"), "--data", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines() if line]
    methods = ["method", "plain", "plain", "tiles", "tiles"]
    assert [row[0] for row in rows] == [*methods, "strangers:", "sequences", "as"]
    assert rows[4][2:5] == ["4", "100.0", "%"]
    assert "as they are: 4 of 4 sure" in ended.stdout
