"""Fixtures of tiny trainings, broken on purpose or healthy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_runs import Damage, keep_pairs, train_run

from fusetrain.data.demo import write_demo
from fusetrain.results.run_dir import RunDir

Train = Callable[..., RunDir]


@pytest.fixture(scope="session")
def whole_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data YAML of 16 training and 8 validation pairs, sound."""
    root = tmp_path_factory.mktemp("diagnosed") / "set"
    write_demo(root, num_pairs=40)
    return keep_pairs(root)


@pytest.fixture
def damaged_set(whole_set: Path, tmp_path: Path) -> Callable[[Damage], Path]:
    """Return a function that copies the sound set, damages the copy and returns its YAML."""

    def make(damage: Damage) -> Path:
        root = tmp_path / "set"
        shutil.copytree(whole_set.parent, root)
        damage(root)
        return root / "data.yaml"

    return make


@pytest.fixture
def trained(whole_set: Path, tmp_path: Path) -> Train:
    """Return a function that trains with some settings, and returns the run."""

    def make(*sets: str, data: Path = whole_set, project: Path = tmp_path / "runs") -> RunDir:
        return train_run(*sets, data=data, project=project)

    return make


@pytest.fixture(scope="session")
def short_run(whole_set: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run of 12 steps with nothing wrong but its length; never changed."""
    return train_run(data=whole_set, project=tmp_path_factory.mktemp("short"))


@pytest.fixture
def copied_run(short_run: RunDir, tmp_path: Path) -> RunDir:
    """A copy of the short run of its own, whose files may be changed."""
    shutil.copytree(short_run.path, tmp_path / "exp")
    return RunDir(tmp_path / "exp")
