"""The scripts that time steps and data: they run, and their arithmetic is right."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

from .conftest import BENCHMARKS, run

TINY_GUARD = ("--rounds", "1", "--imgsz", "64", "--batch", "2")


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("guard")


@pytest.fixture
def growth(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("growth")


@pytest.mark.parametrize(
    ("ratio", "other_cores", "code"),
    [(3.0, 0, 0), (2.0, 0, 0), (1.71, 0, 0), (1.69, 0.1, 1), (1.69, 0.5, 0), (1.39, 0.5, 1)],
)
def test_the_guard_fails_where_a_step_is_15_percent_slower_or_busy_30_percent(
    guard: ModuleType,
    capsys: pytest.CaptureFixture[str],
    ratio: float,
    other_cores: float,
    code: int,
) -> None:
    series = guard.Series(0.01 * ratio, 1.0, other_cores)
    assert guard.verdict(series, 2.0, "fp32") == code
    told = capsys.readouterr().out
    assert ("slower" in told) is bool(code)
    assert ("too busy a machine" in told) is (ratio == 1.69 and not code)


def test_the_guard_says_where_it_has_nothing_to_compare_with(
    guard: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guard.verdict(guard.Series(0.01, 1.0, 0.0), None, "fp32, AVX2") == 0
    assert "nothing is recorded for fp32, AVX2" in capsys.readouterr().out


def test_a_kind_names_the_processor_and_the_version(
    guard: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "cpuinfo"
    own = "model name\t: Maker X: 3\ncpu family\t: 26\nmodel\t\t: 2\nflags\t:\n"
    told.write_text(f"processor\t: 0\n{own}\nprocessor\t: 1\n{own}")
    monkeypatch.setattr(guard, "CPUINFO", told)
    version = ".".join(torch.__version__.split(".")[:2])
    assert guard.kind_of(torch.float32).endswith(f", Maker X: 3 26 2, torch {version}")
    monkeypatch.setattr(guard, "CPUINFO", tmp_path / "none")
    assert guard.processor()


def test_recorded_ratios_are_those_of_default_settings(guard: ModuleType) -> None:
    recorded = json.loads(guard.RECORD.read_text(encoding="utf-8"))
    assert recorded
    assert all(kind.endswith(", 320 px, batch 8") for kind in recorded)
    assert all(0.5 < ratio < 50 for ratio in recorded.values())


def test_growth_is_the_exponent_over_the_upper_half(growth: ModuleType) -> None:
    sizes = [1, 10, 100, 1000]
    costs = [7.0, 7.0, 100.0**1.5, 1000.0**1.5]
    made = growth.Growth("cost, ms", "pairs", sizes, costs)
    assert made.exponent == pytest.approx(1.5)
    assert made.row() == ("cost, ms", "pairs", "1", "1,000", "7", "3.16e+04", "1.50")


@pytest.mark.slow
def test_the_guard_compares_with_what_it_recorded(tmp_path: Path) -> None:
    record = tmp_path / "guard.json"
    against = (*TINY_GUARD, "--against", str(record))
    assert "nothing is recorded" in run("guard.py", *against, cwd=tmp_path).stdout
    assert run("guard.py", *against, "--record", cwd=tmp_path).returncode == 0
    (kind,) = json.loads(record.read_text())
    record.write_text(json.dumps({kind: 1e6}))
    ended = run("guard.py", *against, cwd=tmp_path)
    assert ended.returncode == 1
    assert "% slower" in ended.stdout
    record.write_text(json.dumps({kind: 1e-6}))
    assert run("guard.py", *against, cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_gpu_measures_on_a_cpu_and_names_what_cannot_run_there(tmp_path: Path) -> None:
    quick = ("--device", "cpu", "--quick", "--variants", "auto", "fp16")
    ended = run("gpu.py", *quick, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines() if line]
    times, shares = (row for row in rows if row[0] == "auto")
    *parts, step_ms, pairs_per_s = map(float, times[2:])
    assert len(parts) == 5
    assert sum(parts) == pytest.approx(step_ms, rel=0.01)
    assert pairs_per_s == pytest.approx(2000 / step_ms, rel=0.01)
    assert shares[-2:] == ["-", "-"]  # neither memory nor waits are those of a GPU
    assert "fp16 is slower than fp32 on CPUs" in ended.stdout
    assert [row[0] for row in rows].count("mid") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_step_split_and_data_path_print_a_row_a_size(tmp_path: Path) -> None:
    tiny = ("--imgsz", "64", "96")
    ended = run("step_split.py", *tiny, "--batch", "2", "--steps", "1", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    rows = ended.stdout.splitlines()[-2:]
    assert [row.split(",")[0] for row in rows] == ["64", "96"]
    ended = run("data_path.py", *tiny, "--rounds", "1", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    rows = ended.stdout.splitlines()[-2:]
    assert [row.split(" px")[0].strip() for row in rows] == ["64", "96"]
    assert list(tmp_path.iterdir()) == []
