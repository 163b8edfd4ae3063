"""What stages do to the rates of a plan: frozen parts, factors, warmups of their own."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fusetrain.config.schema import PARTS, ScheduleSettings, StageSettings, TrainSettings
from fusetrain.schedule.plan import GroupKey, SchedulePlan
from fusetrain.schedule.planning import make_plan

RECIPE = [
    {"epochs": 2, "inputs": "rgb", "freeze": ["backbone_ir"]},
    {"epochs": 3, "freeze": ["backbone"], "rewarm": {"epochs": 1}, "lr_scale": {"head": 0.5}},
    {"rewarm": {"steps": 2}},
]


def plan_of(stages: list[dict[str, Any]], **schedule: Any) -> SchedulePlan:
    return make_plan(
        ScheduleSettings.model_validate({"warmup": {"epochs": 1}} | schedule),
        lr0=1e-2,
        epochs=8,
        batches_per_epoch=10,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={"neck": 2.0},
        stages=[StageSettings.model_validate(stage) for stage in stages],
    )


def test_frozen_parts_have_rate_zero_and_the_others_that_of_the_schedule() -> None:
    staged, plain = plan_of(RECIPE), plan_of([])
    for step in range(80):
        stage = 0 if step < 20 else 1 if step < 50 else 2
        warmth = staged.factor(step) / plain.factor(step)
        for group in staged.groups:
            scale = {
                (0, "backbone_ir"): 0.0,
                (1, "backbone"): 0.0,
                (1, "head"): 0.5,
            }.get((stage, str(group.part)), 1.0)
            expected = plain.lr(group, step) * scale * warmth
            assert staged.lr(group, step) == pytest.approx(expected, rel=1e-14)


def test_stage_warms_up_again_and_only_then() -> None:
    staged, plain = plan_of(RECIPE), plan_of([])
    warmth = [staged.factor(step) / plain.factor(step) for step in range(80)]
    assert all(value == 1.0 for value in (*warmth[:20], *warmth[29:50], *warmth[51:]))
    assert warmth[20:29] == sorted(warmth[20:29])
    assert warmth[20] == pytest.approx(0.001 + 0.999 / 10)
    assert warmth[50] == pytest.approx(0.001 + 0.999 / 2)


def test_warmups_of_the_run_and_of_its_stages_are_known() -> None:
    assert plan_of(RECIPE).warmups == ((0, 10), (20, 30), (50, 52))
    assert plan_of(RECIPE).warmup_spans() == ((0.0, 1.0), (2.0, 3.0), (5.0, 5.2))
    assert plan_of([]).warmups == ((0, 10),)
    assert plan_of([], warmup={"steps": 0}).warmups == ()


def test_stages_are_named_with_their_steps() -> None:
    assert plan_of(RECIPE).stages == (
        (0, 19, "RGB alone, backbone_ir frozen"),
        (20, 49, "RGB and IR, backbone frozen"),
        (50, 79, "RGB and IR"),
    )
    assert plan_of([]).stages == ()


def test_stages_that_freeze_nothing_need_no_more_columns() -> None:
    plain = make_plan(
        ScheduleSettings(),
        lr0=1e-2,
        epochs=8,
        batches_per_epoch=10,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={},
        stages=[StageSettings(epochs=4, inputs="ir"), StageSettings()],
    )
    assert plain.groups == tuple(GroupKey(None, kind) for kind in ("decay", "norm", "bias"))


def test_biases_of_a_frozen_part_stand_still_in_a_warmup_of_their_own() -> None:
    plan = plan_of(RECIPE, warmup={"epochs": 1, "bias_lr": 0.1})
    assert plan.lr(GroupKey("backbone_ir", "bias"), 0) == 0.0
    assert plan.lr(GroupKey("head", "bias"), 0) > 0.05


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([{"epochs": 3}, {"epochs": 4}], "add up to 7 epochs, train.epochs is 8"),
        ([{}, {"epochs": 4}], "only the last"),
        ([{"epochs": 8}, {}], "leave no epoch to the last"),
        ([{"freeze": list(PARTS)}], "nothing would be trained"),
        ([{"freeze": ["tail"]}], "backbone_ir"),
        ([{"inputs": "none"}], "rgb"),
        ([{"rewarm": {"epochs": 1, "steps": 2}}], "at most 1"),
    ],
)
def test_stages_that_cannot_be_are_refused(stages: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TrainSettings.model_validate({"epochs": 8, "stages": stages})
