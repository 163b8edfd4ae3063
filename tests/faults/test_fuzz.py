"""Thousands of damaged files: each ends in one of our errors or is read, never in a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fuzz import TIMES, fuzz, targets

pytestmark = pytest.mark.slow


@pytest.mark.fault(11)
@pytest.mark.parametrize("name", ["checkpoint", "checkpoint, one byte"])
def test_row11_damaged_checkpoints_are_all_refused(tmp_path: Path, name: str) -> None:
    came = fuzz(targets(tmp_path)[name], tmp_path)
    assert came.refused > 1000
    assert came.read == 0


@pytest.mark.fault(11)
def test_row11_damaged_checkpoints_with_a_digest_that_fits(tmp_path: Path) -> None:
    came = fuzz(targets(tmp_path)["checkpoint, right digest"], tmp_path)
    assert came.refused > 1000
    assert came.refused + came.read == TIMES


@pytest.mark.fault(14)
def test_row14_no_damage_lets_code_in_a_checkpoint_run(tmp_path: Path) -> None:
    assert fuzz(targets(tmp_path)["code, right digest"], tmp_path).refused == TIMES


@pytest.mark.fault(39)
def test_row39_damaged_configs(tmp_path: Path) -> None:
    came = fuzz(targets(tmp_path)["config"], tmp_path)
    assert min(came.refused, came.read) > 100
    assert fuzz(targets(tmp_path)["code in a config"], tmp_path).refused > came.refused
    assert os.listdir(tmp_path) == ["train.yaml"]


@pytest.mark.fault(36)
def test_row36_damaged_labels(tmp_path: Path) -> None:
    came = fuzz(targets(tmp_path)["labels"], tmp_path)
    assert min(came.refused, came.read) > 100
