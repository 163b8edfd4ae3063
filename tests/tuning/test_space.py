"""A space is checked against the config, and never searches what somebody fixed unasked."""

from pathlib import Path

import pytest

from fusetrain.config.load import load_config
from fusetrain.errors import ConfigError, FusetrainError
from fusetrain.tuning.space import DEFAULT_SPACE, Dimension, assignment
from fusetrain.tuning.wishes import Wish, wish_of

CONFIG = "data: set/data.yaml\ntrain: {batch: 4}\noptim: {weight_decay: 1e-3}\n"


def wish(folder: Path, space: str | None, *sets: str, config: str = CONFIG) -> Wish:
    (folder / "t.yaml").write_text(config, encoding="utf-8")
    path = None if space is None else folder / "space.yaml"
    if path is not None and space is not None:
        path.write_text(space, encoding="utf-8")
    return wish_of(folder / "t.yaml", sets, data=None, space=path, note=lambda text: None)[0]


def refused(folder: Path, space: str, *sets: str) -> str:
    with pytest.raises(FusetrainError) as caught:
        wish(folder, space, *sets)
    assert isinstance(caught.value, ConfigError)
    return str(caught.value)


def test_ranges_lists_and_steps_are_read(tmp_path: Path) -> None:
    space = (
        "optim.lr0: {low: 1e-4, high: 1e-2, log: true}\n"
        "model.operator: [concat, add]\n"
        "train.batch: {low: 2, high: 8, step: 2, replace: true}\n"
        "loss.box: {low: 4, high: 10}\n"
        "schedule.lrf: [0.01, 0.1]\n"
    )
    assert wish(tmp_path, space).space == (
        Dimension("optim.lr0", 1e-4, 1e-2, log=True),
        Dimension("model.operator", choices=("concat", "add")),
        Dimension("train.batch", 2, 8, step=2, is_whole=True),
        Dimension("loss.box", 4, 10),
        Dimension("schedule.lrf", choices=(0.01, 0.1)),
    )


def test_without_a_space_what_nobody_fixed_is_searched(tmp_path: Path) -> None:
    found = [part.key for part in wish(tmp_path, None, "augment.scale=0.5").space]
    assert found == ["optim.lr0", "augment.mosaic"]
    sets = [f"{part.key}=0.001" for part in DEFAULT_SPACE]
    with pytest.raises(ConfigError, match="nothing is left to search"):
        wish(tmp_path, None, *sets)


def test_what_is_fixed_is_searched_only_if_the_space_says_so(tmp_path: Path) -> None:
    told = refused(tmp_path, "train.batch: [2, 4]\noptim.weight_decay: {low: 0.1, high: 0.2}\n")
    assert "train.batch is fixed in the config and in the space" in told
    assert "space.yaml:2:1: optim.weight_decay is fixed" in told
    assert "replace: true" in told
    told = refused(tmp_path, "train.batch: {choices: [2], replace: true}", "train.batch=4")
    assert "train.batch is fixed by --set and in the space" in told


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optim.lr: {low: 1e-4, high: 1e-2}", "did you mean"),
        ("optim.lr0: {low: 0.1, high: 0.01}", "low 0.1 is not below high 0.01"),
        ("optim.lr0: {low: 0.0, high: 0.01, log: true}", "log wants a low above 0"),
        ("optim.lr0: {low: 1e-4}", "give low and high, or choices"),
        ("optim.lr0: {low: 1e-4, hihg: 1e-2}", "unknown key"),
        ("optim.lr0: 1e-3", "expected a mapping"),
        ("optim.momentum: {low: 0.5, high: 1.5}", "1.5 is not possible"),
        ("model.operator: [concat, concart]", "'concart' is not possible"),
        ("train.epochs: [10, 20]", "cannot be searched"),
        ("run.name: [a, b]", "cannot be searched"),
    ],
)
def test_wrong_lines_are_told(tmp_path: Path, line: str, said: str) -> None:
    assert said in refused(tmp_path, line)


def test_a_trial_is_trained_in_one_process(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one process"):
        wish(tmp_path, None, "train.devices=2")


def test_a_dimension_holds_what_it_may_come_upon() -> None:
    whole = Dimension("train.batch", 2, 8, step=2, is_whole=True)
    assert [value for value in (1, 2, 4, 5, 8, 10, True, None) if whole.holds(value)] == [2, 4, 8]
    assert Dimension("optim.lr0", 1e-4, 1e-2, log=True).holds(1e-3)
    assert Dimension("x", choices=(True, "a")).holds(True)
    assert not Dimension("x", choices=(True, "a")).holds(1)


@pytest.mark.parametrize("value", ["concat", "mid-p3", "true", "no", "1e-3", 1e-5, 3, None, False])
def test_an_assignment_gives_the_value_back(tmp_path: Path, value: object) -> None:
    (tmp_path / "t.yaml").write_text(CONFIG, encoding="utf-8")
    text = assignment("schedule.extra", value)  # type: ignore[arg-type]
    loaded = load_config(tmp_path / "t.yaml", [text])
    assert loaded.config.schedule.curve_options == {"extra": value}
