"""The stages and the length of a run, as they follow from its config alone."""

from __future__ import annotations

from typing import Any

import pytest

from fusetrain.build import plan_from_config
from fusetrain.config.schema import Config, StageSettings
from fusetrain.config.stages import base_epochs, run_epochs, run_stages


def config_of(**groups: Any) -> Config:
    return Config.model_validate(groups)


def adapter(epochs: int, base: str = "auto", **groups: Any) -> Config:
    return config_of(model={"fusion": "adapter", "base": base}, train={"epochs": epochs}, **groups)


@pytest.mark.parametrize(
    ("epochs", "base", "first", "all_epochs"),
    [
        (10, "auto", 5, 10),
        (7, "rgb", 3, 7),
        (2, "ir", 1, 2),
        (1, "auto", 1, 2),
        (1, "rgb", 1, 2),
        (9, "runs/exp", 0, 9),
        (1, "runs/exp", 0, 1),
    ],
)
def test_adapter_halves_its_epochs_and_gives_each_phase_one(
    epochs: int, base: str, first: int, all_epochs: int
) -> None:
    config = adapter(epochs, base)
    assert (base_epochs(config), run_epochs(config)) == (first, all_epochs)
    assert len(run_stages(config)) == (2 if first else 1)


def test_phase_one_of_an_extended_run_is_as_long_as_it_was() -> None:
    plans = [{"from_step": 0, "epochs": 6}, {"from_step": 40, "epochs": 20}]
    config = adapter(20, schedule={"plans": plans})
    assert (base_epochs(config), run_epochs(config)) == (3, 20)


@pytest.mark.parametrize("base", ["auto", "ir"])
def test_rates_of_an_adapter_are_known_from_its_config_and_warm_up_twice(base: str) -> None:
    config = adapter(8, base, schedule={"warmup": {"epochs": 1}})
    plan = plan_from_config(config, steps_per_epoch=10)
    assert [(first, last) for first, last, _ in plan.stages] == [(0, 39), (40, 79)]
    assert len(plan.groups) == 3
    plain = plan_from_config(config_of(**config.model_dump(exclude={"model"})), steps_per_epoch=10)
    warmth = [plan.factor(step) / plain.factor(step) for step in range(80)]
    assert warmth[:40] == [1.0] * 40
    assert warmth[40:50] == sorted(warmth[40:50])
    assert warmth[40] < 0.2
    assert warmth[50:] == pytest.approx([1.0] * 30)


def test_plan_of_one_epoch_spans_both_phases() -> None:
    assert plan_from_config(adapter(1), steps_per_epoch=10).total_steps == 20


def test_frozen_parts_stand_still_from_the_first_step_in_every_stage() -> None:
    config = config_of(train={"epochs": 4, "freeze": ["backbone"]})
    assert run_stages(config) == [StageSettings(freeze=["backbone"])]
    plan = plan_from_config(config, steps_per_epoch=3)
    for group in plan.groups:
        is_still = all(plan.lr(group, step) == 0 for step in range(12))
        assert is_still == (group.part == "backbone")
    stages: list[dict[str, Any]] = [{"epochs": 1, "freeze": ["neck", "backbone"]}, {"name": "all"}]
    staged = config_of(train={"epochs": 4, "freeze": ["backbone"], "stages": stages})
    assert [stage.freeze for stage in run_stages(staged)] == [["backbone", "neck"], ["backbone"]]
    assert run_stages(staged)[1].name == "all"


def test_freezing_everything_is_refused() -> None:
    parts = ["backbone", "backbone_ir", "fusion", "neck"]
    with pytest.raises(ValueError, match="nothing would be trained"):
        config_of(train={"epochs": 2, "freeze": parts, "stages": [{"freeze": ["head"]}]})
