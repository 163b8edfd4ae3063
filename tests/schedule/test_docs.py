"""docs/schedules.md: its table names every curve and parameter, its examples run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fusetrain.build import plan_from_config
from fusetrain.config.load import load_config
from fusetrain.rules import config_checks
from fusetrain.schedule import SCHEDULES
from fusetrain.schedule.advice import advise
from fusetrain.schedule.making import settings_of

PAGE = Path(__file__).parents[2] / "docs" / "schedules.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([^`]+)` \|[^|]*\|([^|]*)\|$", TEXT, re.MULTILINE))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_table_has_a_row_for_every_curve() -> None:
    assert list(ROWS) == [*SCHEDULES.names(), "torch:<class>", "package.module:Name"]


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_a_row_names_every_parameter(name: str) -> None:
    own = {item.name for item in settings_of(SCHEDULES.get(name))}
    own |= {"curves"} if name == "sequence" else set()
    assert {word for word in re.findall(r"`(\w+)`", ROWS[name]) if word != "base_lr"} == own


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_every_curve_has_its_picture(name: str) -> None:
    assert f"(pictures/{name}.svg)" in TEXT
    picture = (PAGE.parent / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    assert f"Learning rate: {name}, 30 epochs of 20 steps" in picture


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the curve of the page as `my_package.curves`."""
    package = tmp_path / "packages" / "my_package"
    package.mkdir(parents=True)
    (example,) = blocks("python")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "curves.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(str(package.parent))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("text", blocks("yaml"))
def test_an_example_can_be_planned(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text, encoding="utf-8")
    config = load_config(path, checks=[config_checks]).config
    plan = plan_from_config(config, steps_per_epoch=4)
    factors = [plan.factor(step) for step in range(plan.total_steps)]
    assert max(factors) == 1.0
    assert 0.0 < factors[-1] < 0.1
    assert plan.notes == () or config.schedule.name == "adaptive"
    found = advise(plan, config.schedule, num_pairs=500, batch=16, optimizer="adamw")
    assert [item.code for item in found] in ([], ["warmup-short"])


@pytest.mark.usefixtures("installed")
def test_the_curve_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(f"{blocks('yaml')[-1]}train: {{epochs: 60}}\n", encoding="utf-8")
    plan = plan_from_config(load_config(path).config, steps_per_epoch=4)
    found = [plan.factor(step) for step in (12, 12 + 39, 12 + 40, 12 + 80, 239)]
    assert found == [1.0, 1.0, 0.5, 0.25, 2.0**-5]


def test_every_preset_and_every_advice_is_named() -> None:
    presets = sorted(path.name for path in (PAGE.parents[1] / "configs" / "presets").glob("*.yaml"))
    assert all(f"`{name}`" in TEXT for name in presets)
    source = (PAGE.parents[1] / "fusetrain" / "schedule" / "advice.py").read_text(encoding="utf-8")
    codes = re.findall(r'Advice\(\s*"([\w-]+)"', source)
    assert len(codes) == 6
    assert all(f"`{code}`" in TEXT for code in codes)
