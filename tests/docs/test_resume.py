"""docs/resume.md names every setting, fault and exit code as the program has them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from fusetrain.config.schema import Config
from fusetrain.errors import AbortedError, StoppedError
from fusetrain.runs.overrides import TABLE, Change, differences

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "resume.md").read_text(encoding="utf-8")


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_table_of_settings_is_that_of_the_program() -> None:
    assert module(ROOT / "docs" / "list_overrides.py").table() in PAGE


def test_table_of_faults_has_every_row() -> None:
    faults = PAGE.partition("<!-- faults: begin -->")[2].partition("<!-- faults: end -->")[0]
    told = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|", faults, flags=re.MULTILINE))
    rows = module(ROOT / "tests" / "faults" / "rows.py").ROWS
    assert told == {str(row): fault for row, (fault, _) in rows.items()}


def test_exit_codes_are_told() -> None:
    for code in (StoppedError.exit_code, AbortedError.exit_code):
        assert f"| {code} |" in PAGE


def test_every_setting_has_a_rule_and_every_rule_a_setting() -> None:
    settings = Config().model_dump()
    for name in TABLE:
        group, _, key = name.partition(".")
        assert group in settings
        assert not key or key in settings[group]
    assert set(settings) <= set(TABLE)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"train": {"epochs": 5}}, Change.FREE),
        ({"train": {"seed": 5}}, Change.FIXED),
        ({"schedule": {"name": "cosine", "lrf": 0.5}}, Change.FIXED),
        ({"augment": {"fliplr": 0.1}}, Change.CONFIRM),
        ({"data": "elsewhere"}, Change.FREE),
    ],
)
def test_difference_knows_its_rule(change: dict[str, object], rule: Change) -> None:
    found = differences(Config(), Config.model_validate(change))
    assert [difference.rule[0] for difference in found] == [rule]
