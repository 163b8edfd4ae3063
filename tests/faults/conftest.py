"""Homes for short trainings, before and after them, and processes to run them in."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from processes import Nursery
from short_run import CONFIG, Home


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="session")
def through(trained_home: Path, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The short training, never disturbed."""
    home = Home(tmp_path_factory.mktemp("through"))
    shutil.copytree(trained_home / "set", home.path / "set")
    (home.path / "train.yaml").write_text(CONFIG)
    ended = nursery.run("train", "--config", "train.yaml", cwd=home.path)
    assert ended.code == 0, ended.text
    return home


@pytest.fixture
def begun(through: Home, tmp_path: Path) -> Home:
    """A folder like that of `through` before its training."""
    home = Home(tmp_path / "home")
    home.path.mkdir()
    shutil.copytree(through.path / "set", home.path / "set")
    shutil.copy(through.path / "train.yaml", home.path)
    return home


@pytest.fixture
def done(begun: Home, through: Home) -> Home:
    """A copy of `through` after its training."""
    shutil.copytree(through.run, begun.run)
    config = begun.run / "config.yaml"
    config.write_text(config.read_text().replace(str(through.path), str(begun.path)))
    return begun
