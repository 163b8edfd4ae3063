"""A tiny data set and the command line as a real process, for tests that run trainings."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.data.demo import write_demo

TINY = """\
data: {data}
model: {{width: 0.25}}
train: {{epochs: 3, batch: 4, imgsz: 64, threads: 1, device: cpu, patience: 0}}
schedule: {{warmup: {{epochs: 1}}}}
run: {{project: {project}, name: exp}}
"""

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data.yaml of 20 synthetic pairs, 16 of them for training."""
    folder = tmp_path_factory.mktemp("tiny") / "demo"
    write_demo(folder, num_pairs=20)
    return folder / "data.yaml"


@pytest.fixture
def tiny_config(tiny_set: Path, tmp_path: Path) -> Path:
    """A config that trains the tiny set in some seconds into ``tmp_path/runs``."""
    path = tmp_path / "train.yaml"
    path.write_text(TINY.format(data=tiny_set, project=tmp_path / "runs"))
    return path


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "400"}


@pytest.fixture
def fusetrain() -> Command:
    """Run the command line to its end and return what it printed."""

    def run(
        *arguments: object, cwd: Path | None = None, timeout: float = 240
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "fusetrain", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment(),
            cwd=cwd,
            timeout=timeout,
        )

    return run
