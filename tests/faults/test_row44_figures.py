"""Row 44: figures that cannot be drawn cost a warning and no bit of the training."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT
from short_run import Home

from fusetrain.cli.app import run

FIGURES = ("results.png", "lr.png", "PR_curve.png", "confusion_matrix.png")


@pytest.mark.fault(44)
def test_row44_figures_that_cannot_be_written_are_one_warning_and_drawn_later(
    stopped: Home,
    through: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(stopped.path)
    monkeypatch.setenv("COLUMNS", "400")
    for name in FIGURES:
        (stopped.run / name).mkdir()
    assert run(["resume", "runs/exp"]) == 0
    message = capsys.readouterr().err
    assert message.count("pictures of the run could not be made") == 1
    assert all(name in message for name in FIGURES)
    for name in FIGURES:
        (stopped.run / name).rmdir()
    assert run(["resume", "runs/exp"]) == 0
    assert "pictures of the run could not be made" not in capsys.readouterr().err
    stopped.assert_ends_like(through)


@pytest.mark.slow
@pytest.mark.fault(44)
def test_row44_matplotlib_that_is_missing_is_one_warning_each_time(
    begun: Home, through: Home, tmp_path: Path
) -> None:
    broken = tmp_path / "broken" / "matplotlib"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no matplotlib here')\n")
    done = subprocess.run(
        [sys.executable, "-m", "fusetrain", "train", "--config", "train.yaml"],
        cwd=begun.path,
        env=os.environ
        | {"PYTHONPATH": f"{broken.parent}:{ROOT}", "OMP_NUM_THREADS": "1", "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "could not be made" in line]
    assert len(told) == 2, done.stderr
    assert all("no matplotlib here" in line for line in told)
    assert "Traceback" not in done.stderr
    begun.assert_trained_like(through)
