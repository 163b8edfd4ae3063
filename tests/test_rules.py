from typing import Any

import pytest

from fusetrain.config.schema import Config
from fusetrain.errors import ConfigError
from fusetrain.rules import NOT_BUILT, config_checks, require_data


def problems(**groups: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    return list(config_checks(Config.model_validate(groups)))


def test_defaults_obey_all_rules() -> None:
    assert problems() == []
    for group, key in NOT_BUILT:
        assert getattr(getattr(Config(), group), key) in NOT_BUILT[group, key]


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("run", "trackers", ["tensorboard"]),
    ],
)
def test_setting_that_would_be_passed_over_is_refused(group: str, key: str, value: object) -> None:
    ((keys, message),) = problems(**{group: {key: value}})
    assert keys == (group, key)
    assert "is not available in this version; expected " in message


@pytest.mark.parametrize(
    ("groups", "key", "words"),
    [
        ({"model": {"base": "rgb"}}, ("model", "base"), "only 'adapter' builds on one"),
        (
            {"model": {"fusion": "adapter", "base": "runs/exp", "weights": "w.pt"}},
            ("model", "weights"),
            "brings all weights",
        ),
        (
            {"model": {"fusion": "adapter"}, "train": {"freeze": ["head"]}},
            ("train", "freeze"),
            "phases of its own",
        ),
        (
            {"model": {"fusion": "adapter"}, "train": {"stages": [{"inputs": "rgb"}]}},
            ("train", "stages"),
            "phases of its own",
        ),
        (
            {"model": {"fusion": "adapter", "operator": "gate"}},
            ("model", "operator"),
            "takes no operator",
        ),
        ({"model": {"key_map": "names.yaml"}}, ("model", "key_map"), "which names nothing"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    groups: dict[str, Any], key: tuple[str, str], words: str
) -> None:
    ((keys, message),) = problems(**groups)
    assert keys == key
    assert words in message


@pytest.mark.parametrize("name", ["a/b", "/a", "a\\b", ".", "..", "latest", "a\0"])
def test_name_that_is_no_folder_name_is_refused(name: str) -> None:
    ((keys, _),) = problems(run={"name": name})
    assert keys == ("run", "name")


@pytest.mark.parametrize("name", ["exp", "two words", "ä 🦊", "[red]", "...", "latest2"])
def test_odd_folder_names_are_fine(name: str) -> None:
    assert problems(run={"name": name}) == []


def test_project_may_be_any_path_but_none_with_a_null_byte() -> None:
    assert problems(run={"project": "../runs/a b"}) == []
    assert [keys for keys, _ in problems(run={"project": "a\0"})] == [("run", "project")]


def test_data_set_must_be_named() -> None:
    assert str(require_data(Config(data="set/data.yaml"))) == "set/data.yaml"
    with pytest.raises(ConfigError, match="names no data set"):
        require_data(Config())
