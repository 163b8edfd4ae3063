"""Files, `extends` and `--set` become one config; every problem is told with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusetrain.config.json_schema import config_schema
from fusetrain.config.load import KeyProblem, effective_yaml, load_config
from fusetrain.config.schema import Config, OptimSettings, RunSettings
from fusetrain.config.yaml import read_yaml_text
from fusetrain.errors import ConfigError, UsageError


def _write(folder: Path, text: str, name: str = "train.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _only_concat(config: Config) -> Iterator[KeyProblem]:
    if config.model.operator != "concat":
        yield ("model", "operator"), f"unknown operator {config.model.operator!r}"


def test_defaults_base_file_and_set_in_this_order(tmp_path: Path) -> None:
    _write(tmp_path, "train: {epochs: 5, batch: 4, imgsz: 320, seed: 1}", "base.yaml")
    path = _write(tmp_path, "extends: base.yaml\ntrain:\n  batch: 8\n  imgsz: 416\n")
    loaded = load_config(path, ["train.imgsz=512"])
    train = loaded.config.train
    assert (train.workers, train.seed, train.batch, train.imgsz) == (None, 1, 8, 512)
    assert loaded.sources["train.workers"] == "default"
    assert loaded.sources["train.seed"] == f"{tmp_path / 'base.yaml'}:1"
    assert loaded.sources["train.batch"] == f"{path}:3"
    assert loaded.sources["train.imgsz"] == "--set"


def test_every_value_has_a_source(tmp_path: Path) -> None:
    loaded = load_config(_write(tmp_path, "schedule: {name: linear, lrf: 0.1}"))
    document = read_yaml_text(effective_yaml(loaded.config), "effective")
    leaves = {".".join(map(str, keys)) for keys in document.positions}
    assert set(loaded.sources) <= leaves
    assert loaded.sources["schedule.lrf"] == f"{loaded.path}:1"


def test_set_values_are_yaml_typed_and_the_last_one_counts(tmp_path: Path) -> None:
    path = _write(tmp_path, "run: {name: a}")
    sets = ["optim.lr0=3e-4", "train.amp=false", "run.name=no", "train.seed=1", "train.seed=2"]
    sets += ["run.trackers=[a, b]", "data=a=b.yaml", "optim.groups.head=0.5"]
    config = load_config(path, sets).config
    assert (config.optim.lr0, config.train.amp, config.run.name) == (3e-4, False, "no")
    assert (config.train.seed, config.run.trackers) == (2, ["a", "b"])
    assert (config.data, config.optim.groups) == ("a=b.yaml", {"head": 0.5})


def test_set_mapping_replaces_the_group(tmp_path: Path) -> None:
    path = _write(tmp_path, "schedule: {name: linear, warmup: {epochs: 3, start: 0.1}}")
    loaded = load_config(path, ["schedule.warmup={steps: 100}"])
    warmup = loaded.config.schedule.warmup
    assert warmup is not None
    assert (warmup.steps, warmup.epochs, warmup.start) == (100, None, 0.001)
    assert loaded.sources["schedule.warmup.steps"] == "--set"
    assert loaded.sources["schedule.warmup.epochs"] == "default"


def test_all_problems_of_all_layers_at_once(tmp_path: Path) -> None:
    _write(tmp_path, "optim: {lr: 1}", "base.yaml")
    path = _write(tmp_path, "extends: base.yaml\nmodel: {operator: add}\ntrain: {epoch: 3}\n")
    sets = ["train.batch=none", "loss.box=[1", "los.box=1"]
    with pytest.raises(ConfigError) as caught:
        load_config(path, sets, checks=[_only_concat])
    assert caught.value.exit_code == 3
    assert [str(problem) for problem in caught.value.problems] == [
        f"{tmp_path / 'base.yaml'}:1:9: unknown key `optim.lr`; did you mean `lr0`?",
        f"{path}:2:9: unknown operator 'add'",
        f"{path}:3:9: unknown key `train.epoch`; did you mean `epochs`?",
        "--set train.batch=…: `train.batch` is 'none'; expected a whole number or 'auto'",
        "--set loss.box=…: not valid YAML: expected ',' or ']', but got '<stream end>'",
        "--set los.box=…: unknown key `los`; did you mean `loss`?",
    ]


def test_checks_do_not_blame_defaults_beside_other_problems(tmp_path: Path) -> None:
    def check(config: Config) -> Iterator[KeyProblem]:
        yield ("train", "epochs"), "too long"

    with pytest.raises(ConfigError) as caught:
        load_config(_write(tmp_path, "train: {epoch: 3}"), checks=[check])
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("text", ["optim.lr0", "", "=3", "optim..lr0=3", ".=1"])
def test_set_without_key_and_value_is_a_usage_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(_write(tmp_path, "data: x"), [text])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "word\n"], ids=repr)
def test_empty_file_and_no_mapping_are_refused(tmp_path: Path, text: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(ConfigError, match="the config is") as caught:
        load_config(path)
    assert caught.value.where == str(path)


def test_missing_file_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file") as caught:
        load_config(tmp_path / "train.yaml")
    assert "fusetrain demo" in caught.value.remedy


@pytest.mark.parametrize("value", ["other.yaml", "3", "[base.yaml]", "folder", ""])
def test_extends_must_name_a_file(tmp_path: Path, value: str) -> None:
    (tmp_path / "folder").mkdir()
    path = _write(tmp_path, f"data: x\nextends: {value}\n")
    with pytest.raises(ConfigError, match="which is no file") as caught:
        load_config(path)
    assert caught.value.where == f"{path}:2:1"


def test_extends_has_one_level(tmp_path: Path) -> None:
    _write(tmp_path, "data: x", "a.yaml")
    base = _write(tmp_path, "extends: a.yaml", "b.yaml")
    with pytest.raises(ConfigError, match="cannot extend another") as caught:
        load_config(_write(tmp_path, "extends: b.yaml"))
    assert caught.value.where == f"{base}:1:1"


def test_data_path_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    _write(tmp_path, "data: ../set/data.yaml", "presets/base.yaml")
    path = _write(tmp_path, "extends: presets/base.yaml\n")
    assert load_config(path).data_path == tmp_path / "presets" / ".." / "set" / "data.yaml"
    assert load_config(path, ["data=here.yaml"]).data_path == Path("here.yaml")
    assert load_config(path, ["data=null"]).data_path is None
    assert load_config(_write(tmp_path, "data: /abs", "abs.yaml")).data_path == Path("/abs")


NAMES = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())


@given(lr0=st.floats(1e-12, 1e3), momentum=st.none() | st.floats(0, 0.99), name=NAMES, option=NAMES)
def test_effective_config_loads_as_an_equal_config(
    tmp_path_factory: pytest.TempPathFactory,
    lr0: float,
    momentum: float | None,
    name: str,
    option: str,
) -> None:
    config = Config(
        optim=OptimSettings(lr0=lr0, momentum=momentum, groups={"head": 2.0}),
        run=RunSettings(name=name, trackers=["no", "1e-4"]),
        schedule={"name": "mine", "power": option},
    )
    path = _write(tmp_path_factory.mktemp("effective"), effective_yaml(config))
    assert load_config(path).config == config


def test_schema_knows_every_group_and_extends() -> None:
    schema = json.loads(json.dumps(config_schema()))
    assert next(iter(schema["properties"])) == "extends"
    assert set(schema["properties"]) == {"extends", *Config.model_fields}
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["TrainSettings"]["properties"]["imgsz"]["maximum"] == 8192


def test_data_yaml_given_as_config_is_told_as_such(tmp_path: Path) -> None:
    path = _write(tmp_path, "path: .\ntrain: images/train\nval: images/val\nnames: [person]\n")
    with pytest.raises(ConfigError, match="a data YAML, not a training config") as caught:
        load_config(path)
    assert caught.value.where == f"{path}:4:1"
    assert f"data: {path}" in caught.value.expected
