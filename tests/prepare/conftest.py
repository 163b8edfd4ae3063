"""A small demo set that all tests read and none changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fusetrain.data.demo import write_demo

State = dict[str, tuple[int, int, bytes]]


def state_of(folder: Path) -> State:
    """Return size, modification time and content of every file."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_size,
            path.stat().st_mtime_ns,
            path.read_bytes(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A demo of 20 pairs, 16 of them in train; checked to be untouched at the end."""
    folder = tmp_path_factory.mktemp("source") / "demo"
    write_demo(folder, num_pairs=20)
    before = state_of(folder)
    yield folder
    assert state_of(folder) == before
