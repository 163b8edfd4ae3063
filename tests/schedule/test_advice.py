"""Advice on a schedule: each rule at its border, and silence where all is usual."""

from __future__ import annotations

from typing import Any

import pytest

from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.schedule.advice import Advice, advise
from fusetrain.schedule.planning import make_plan


def advice_on(
    schedule: dict[str, Any] | None = None,
    *,
    epochs: int = 100,
    batches: int = 50,
    lr0: float = 1e-3,
    **facts: Any,
) -> list[Advice]:
    settings = ScheduleSettings.model_validate(schedule or {})
    plan = make_plan(
        settings,
        lr0=lr0,
        epochs=epochs,
        batches_per_epoch=batches,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={},
    )
    usual = {"num_pairs": 800, "batch": 16, "optimizer": "adamw"}
    return advise(plan, settings, **{**usual, **facts})


def codes(*arguments: Any, **changes: Any) -> list[str]:
    return [advice.code for advice in advice_on(*arguments, **changes)]


@pytest.mark.parametrize(
    "schedule",
    [
        {},
        {"name": "step"},
        {"name": "onecycle"},
        {"name": "cosine", "t_max": 100},
        {"name": "plateau"},
        {"name": "adaptive"},
        {"name": "wsd"},
        {"name": "yolox"},
        {"name": "sequence"},
        {"name": "cosine_restarts"},
        {"name": "torch:MultiStepLR", "milestones": [2000, 4000]},
    ],
)
def test_usual_schedules_get_no_advice(schedule: dict[str, Any]) -> None:
    assert codes(schedule) == []


@pytest.mark.parametrize(
    ("schedule", "number"),
    [
        ({"name": "cosine_hold", "t_max": 101}, 1),
        ({"name": "step", "milestones": [99, 100, 120]}, 2),
        ({"name": "step", "milestones": [{"steps": 4999}, {"steps": 5000}]}, 1),
        ({"name": "cosine_restarts", "t0": 200}, 1),
        ({"name": "wsd", "hold": 300}, 1),
    ],
)
def test_times_beyond_the_run(schedule: dict[str, Any], number: int) -> None:
    found = [advice for advice in advice_on(schedule) if advice.code == "beyond-the-run"]
    assert len(found) == number
    assert "the run ends after 5000 steps (100 epochs)" in str(found[0])


def test_a_warmup_longer_than_a_third_of_the_run() -> None:
    assert codes({"warmup": {"epochs": 33}}) == []
    assert codes({"warmup": {"epochs": 34}}) == ["warmup-long"]
    assert codes({"name": "onecycle", "pct_start": 0.5}) == ["warmup-long"]
    assert codes({"name": "yolox", "warm": 40}) == ["warmup-long"]


@pytest.mark.parametrize(
    ("warmup", "facts", "is_short"),
    [
        ({"epochs": 3}, {}, False),
        ({"epochs": 2.9}, {}, True),
        ({"epochs": 1}, {"is_fine_tuning": True}, False),
        ({"epochs": 0.9}, {"is_fine_tuning": True}, True),
        ({"steps": 1000}, {"num_pairs": 10_000}, False),
        ({"steps": 999}, {"num_pairs": 10_000}, True),
        ({"steps": 900}, {"batch": 512}, False),
        ({"steps": 899}, {"batch": 512}, True),
        ({"epochs": 3}, {"batch": 256}, False),
        ({"epochs": 2}, {"epochs": 6}, False),
    ],
)
def test_a_warmup_too_short_for_set_and_batch(
    warmup: dict[str, Any], facts: dict[str, Any], is_short: bool
) -> None:
    found = codes({"warmup": warmup}, **facts)
    assert found == (["warmup-short"] if is_short else [])


def test_a_rate_that_never_changes() -> None:
    assert codes({"name": "constant"}) == ["rate-constant"]
    assert codes({"name": "step", "milestones": []}) == ["rate-constant"]


def test_a_rate_that_ends_at_zero() -> None:
    (advice,) = advice_on({"eta_min": 0})
    assert advice.code == "ends-at-zero"
    assert "schedule.eta_min=1e-05" in advice.remedy
    assert codes({"lrf": 0, "unit": "epoch"}) == ["ends-at-zero"]
    assert codes({"name": "torch:PolynomialLR", "total_iters": 2000}) == ["ends-at-zero"]


@pytest.mark.parametrize(
    ("optimizer", "lr0", "is_odd"),
    [
        ("adamw", 1e-2, True),
        ("adamw", 9e-3, False),
        ("adam", 1e-2, True),
        ("adamw", 1e-6, True),
        ("sgd", 1e-4, True),
        ("sgd", 2e-4, False),
        ("sgd", 1e-2, False),
        ("sgd", 1.0, True),
        ("lion", 10.0, False),
    ],
)
def test_a_peak_far_off_for_its_optimizer(optimizer: str, lr0: float, is_odd: bool) -> None:
    assert codes(lr0=lr0, optimizer=optimizer) == (["lr0-unusual"] if is_odd else [])
