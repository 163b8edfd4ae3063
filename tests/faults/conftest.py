"""Homes for short trainings, before and after them, and processes to run them in."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from processes import Nursery
from short_run import CONFIG, Home
from trainings import PAIRS, Training


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


@pytest.fixture(scope="session")
def first_save(through: Home, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The short training, stopped as soon as something was saved."""
    home = Home(tmp_path_factory.mktemp("first_save"))
    shutil.copytree(through.path / "set", home.path / "set")
    shutil.copy(through.path / "train.yaml", home.path)
    stop = {"FUSETRAIN_FAILPOINT": "last.pt:durable=SIGTERM"}
    ended = nursery.run("train", "--config", "train.yaml", cwd=home.path, **stop)
    assert ended.code == 75, ended.text
    return home


@pytest.fixture
def stopped(begun: Home, first_save: Home) -> Home:
    """A copy of `first_save`, to be resumed."""
    return _with_run_of(first_save, begun)


@pytest.fixture
def done(begun: Home, through: Home) -> Home:
    """A copy of `through` after its training."""
    return _with_run_of(through, begun)


def _with_run_of(other: Home, home: Home) -> Home:
    shutil.copytree(other.run, home.run)
    config = home.run / "config.yaml"
    config.write_text(config.read_text().replace(str(other.path), str(home.path)))
    return home


@pytest.fixture
def training(make_pairs: Callable[..., Path], tmp_path: Path) -> Training:
    """Train five pairs, one a step, in this process."""
    return Training(tmp_path, make_pairs(train=PAIRS, val=2))
