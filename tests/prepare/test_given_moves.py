from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusetrain.errors import DataError
from fusetrain.prepare.given_moves import read_moves

EYE = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "moves.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_one_for_all(tmp_path: Path) -> None:
    moves = read_moves(written(tmp_path, {"H": EYE, "w": 64, "h": 48}))
    found = moves.find("whatever")
    assert found is not None
    assert found.view_hw == (48, 64)
    np.testing.assert_array_equal(found.matrix, np.eye(3))


@pytest.mark.parametrize("content", [{"H": EYE[:2]}, EYE, EYE[:2]])
def test_affine_and_bare_matrices_are_fine(tmp_path: Path, content: Any) -> None:
    found = read_moves(written(tmp_path, content)).find("x")
    assert found is not None
    assert found.view_hw is None
    np.testing.assert_array_equal(found.matrix, np.eye(3))


def test_one_a_pair_by_name(tmp_path: Path) -> None:
    moves = read_moves(
        written(tmp_path, {"FLIR_1": {"H": EYE}, "a/b": {"H": [[2, 0, 0], *EYE[1:]]}})
    )
    assert moves.find("train/flir_1") is not None
    found = moves.find("a/B")
    assert found is not None
    assert found.matrix[0, 0] == 2.0
    assert moves.find("FLIR_2") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ({}, "no transform"),
        ({"a": 3}, 'expected an object with "H"'),
        ({"H": [[1, 0], [0, 1]]}, "rows of three numbers"),
        ({"H": [[1, 0, "x"], *EYE[1:]]}, "rows of three numbers"),
        ('{"H": [[NaN, 0, 0], [0, 1, 0], [0, 0, 1]]}', "rows of three numbers"),
        ({"H": [[1, 0, True], *EYE[1:]]}, "rows of three numbers"),
        ({"H": [[0, 0, 0], *EYE[1:]]}, "cannot be inverted"),
        ({"H": EYE, "w": 10}, "sizes in px"),
        ({"H": EYE, "w": -1, "h": 10}, "sizes in px"),
    ],
)
def test_wrong_files_are_told(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read_moves(written(tmp_path, content))
    assert words in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_moves(tmp_path / "none.json")
