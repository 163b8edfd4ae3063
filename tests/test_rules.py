from pathlib import Path
from typing import Any

import pytest

from fusetrain.config.schema import Config
from fusetrain.errors import ConfigError, ResourceError
from fusetrain.results.trackers import NEEDED
from fusetrain.rules import config_checks, require_data, require_trackers


def problems(**groups: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    return list(config_checks(Config.model_validate(groups)))


def test_defaults_obey_all_rules() -> None:
    assert problems() == []


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


def test_a_folder_is_not_taken_for_the_package_of_a_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some_tracker").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(NEEDED, "wandb", ("some_tracker",))  # type: ignore[arg-type]
    config = Config.model_validate({"run": {"trackers": ["wandb"]}})
    with pytest.raises(ResourceError, match="some_tracker not installed"):
        require_trackers(config)
    (tmp_path / "some_tracker" / "__init__.py").touch()
    require_trackers(config)
