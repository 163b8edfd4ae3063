"""Every config that we ship loads, and its effective form loads as the same config."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusetrain.config.load import effective_yaml, load_config
from fusetrain.rules import config_checks

FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(FOLDER.rglob("*.yaml"))


def test_there_are_configs() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_shipped_config_loads_and_round_trips(path: Path, tmp_path: Path) -> None:
    loaded = load_config(path, checks=[config_checks])
    copy = tmp_path / "config.yaml"
    copy.write_text(effective_yaml(loaded.config), encoding="utf-8")
    assert load_config(copy, checks=[config_checks]).config == loaded.config
