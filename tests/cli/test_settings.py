"""`config show` and `config schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fusetrain.cli.app import run
from fusetrain.config.load import load_config

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a config with one setting in line 2."""
    path = tmp_path / "train.yaml"
    path.write_text("train:\n  epochs: 7\nrun: {name: 'a\n\n  b'}\n", encoding="utf-8")
    return path


def test_show_prints_a_config_that_loads_again(config: Path, capsys: Capture) -> None:
    assert run(["config", "show", str(config), "--set", "optim.lr0=3e-4"]) == 0
    out = capsys.readouterr().out
    copy = config.with_name("copy.yaml")
    copy.write_text(out, encoding="utf-8")
    assert load_config(copy).config == load_config(config, ["optim.lr0=3e-4"]).config


def test_show_says_where_each_value_comes_from(config: Path, capsys: Capture) -> None:
    assert run(["config", "show", str(config), "--set", "optim.lr0=3e-4"]) == 0
    lines = {line.split("#")[0].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert lines["epochs: 7"].endswith(f"# {config}:2")
    assert lines["lr0: 0.0003"].endswith("# --set")
    assert lines["batch: 16"].endswith("# default")


def test_show_as_json(config: Path, capsys: Capture) -> None:
    assert run(["config", "show", str(config), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["schema"], shown["path"]) == (1, str(config))
    assert shown["config"]["train"]["epochs"] == 7
    assert shown["sources"]["train.epochs"] == f"{config}:2"


def test_show_refuses_unknown_names(config: Path, capsys: Capture) -> None:
    assert run(["config", "show", str(config), "--set", "model.fusion=mdi"]) == 3
    assert "did you mean 'mid'?" in capsys.readouterr().err


def test_schema_is_json(capsys: Capture) -> None:
    assert run(["config", "schema"]) == 0
    assert "train" in json.loads(capsys.readouterr().out)["properties"]
