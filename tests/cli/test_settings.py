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


def test_import_writes_yaml_to_stdout_and_every_key_to_stderr(
    tmp_path: Path, capsys: Capture
) -> None:
    theirs = tmp_path / "args.yaml"
    theirs.write_text("epochs: 5\nshear: 2.0\nrect: false\n", encoding="utf-8")
    assert run(["config", "import", str(theirs)]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("train:\n  epochs: 5\n")
    assert "# left out, line 2: shear: not drawn here" in out
    assert "2 of 3 keys taken" in err
    assert [line.split()[1] for line in err.splitlines()[1:]] == ["epochs", "shear", "rect"]


def test_import_writes_a_file_that_loads_and_says_what_comes_next(
    tmp_path: Path, capsys: Capture
) -> None:
    theirs, ours = tmp_path / "args.yaml", tmp_path / "train.yaml"
    theirs.write_text("epochs: 5\n", encoding="utf-8")
    assert run(["config", "import", str(theirs), "--out", str(ours)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert f"next: fusetrain config show {ours}" in err
    assert load_config(ours).config.train.epochs == 5


def test_import_as_json(tmp_path: Path, capsys: Capture) -> None:
    theirs = tmp_path / "data.yaml"
    theirs.write_text("train: a/t\nval: a/v\nnames: [x]\nnc: 1\n", encoding="utf-8")
    assert run(["config", "import", str(theirs), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["schema"], shown["kind"]) == (1, "data")
    assert shown["settings"] == {"train": "a/t", "val": "a/v", "names": ["x"]}
    assert [entry["key"] for entry in shown["keys"] if entry["left_out"]] == ["nc"]
