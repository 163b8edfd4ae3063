"""What is wrong with schedule settings, found before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fusetrain.config.schema import PARTS, ScheduleSettings
from fusetrain.errors import ConfigError
from fusetrain.schedule.options import curve_problems, length_in_steps
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.planning import make_plan

OWN_CURVES = '''
from __future__ import annotations
from dataclasses import dataclass, field
from typing import ClassVar
from fusetrain.schedule.curves import in_epochs

@dataclass(frozen=True)
class Halving:
    every: int = field(metadata=in_epochs(default=lambda epochs: epochs / 2))
    def factor(self, step: int, total_steps: int) -> float:
        return 0.5 ** (step // self.every)

@dataclass(frozen=True)
class Tent:
    """Its own warmup, without any setting."""
    own_warmup: ClassVar[bool] = True
    def factor(self, step: int, total_steps: int) -> float:
        half = total_steps // 2
        return (step + 1) / (half + 1) if step < half else 1.0

@dataclass(frozen=True)
class Picky:
    low: float = 0.5
    def __post_init__(self) -> None:
        if self.low < 0.1:
            raise ValueError("low should be 0.1 or more")
    def factor(self, step: int, total_steps: int) -> float:
        return self.low

@dataclass(frozen=True)
class Unreadable:
    low: Nowhere = 0.5
    def factor(self, step: int, total_steps: int) -> float:
        return 1.0

class NoDataclass:
    def factor(self, step: int, total_steps: int) -> float:
        return 1.0
'''


@pytest.fixture
def own_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a module with curves of a user beside the packages, and return its name."""
    (tmp_path / "ourcurves.py").write_text(OWN_CURVES, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "ourcurves"


def problems_of(schedule: dict[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    return curve_problems(ScheduleSettings.model_validate(schedule))


def plan_of(schedule: dict[str, Any]) -> SchedulePlan:
    return make_plan(
        ScheduleSettings.model_validate(schedule),
        lr0=1e-3,
        epochs=4,
        batches_per_epoch=10,
        accumulate=1,
        momentum=0.9,
        parts=PARTS,
        part_scales={},
    )


@pytest.mark.parametrize(
    "schedule",
    [
        {},
        {"name": "cosine", "eta_min": 0, "t_max": {"steps": 100}},
        {"name": "cosine", "lrf": 1, "t_max": 0.5},
        {"name": "step", "milestones": [2, 2.5, {"steps": 30}], "gamma": 0.5},
        {"name": "step", "milestones": []},
        {"name": "linear", "lrf": 0},
        {"name": "constant", "warmup": {"curve": "constant", "start": 0.1}},
    ],
)
def test_good_settings_have_no_problems(schedule: dict[str, Any]) -> None:
    assert problems_of(schedule) == []


@pytest.mark.parametrize(
    ("schedule", "key", "words"),
    [
        ({"name": "cosin"}, "name", "did you mean 'cosine'?"),
        ({"name": "Cosine"}, "name", "did you mean 'cosine'?"),
        ({"name": "StepLR"}, "name", "unknown schedule 'StepLR'; did you mean 'torch:StepLR'?"),
        ({"name": "torch.optim.lr_scheduler.StepLR"}, "name", "did you mean 'torch:StepLR'?"),
        ({"name": "torch.optim.lr_scheduler:StepLR"}, "name", "did you mean 'torch:StepLR'?"),
        ({"name": "CosineAnnealingLR"}, "name", "did you mean 'torch:CosineAnnealingLR'?"),
        ({"name": "ReduceLROnPlateau"}, "name", "`plateau` is the same schedule"),
        ({"name": "Foo"}, "name", "unknown schedule 'Foo'; known: cosine,"),
        ({"lfr": 0.1}, "lfr", "did you mean 'lrf'?"),
        ({"warmpu": {}}, "warmpu", "did you mean 'warmup'?"),
        ({"zzz": 1}, "zzz", "known: lrf, t_max, eta_min"),
        ({"name": "constant", "zzz": 1}, "zzz", "known: none"),
        ({"lrf": "a"}, "lrf", "should be a valid number, not 'a'"),
        ({"lrf": True}, "lrf", "not True"),
        ({"lrf": 1.5}, "lrf", "less than or equal to 1, not 1.5"),
        ({"lrf": float("nan")}, "lrf", "finite"),
        ({"eta_min": -1}, "eta_min", "a rate of at least 0, not -1"),
        ({"eta_min": 1e-5, "lrf": 0.1}, "eta_min", "not both"),
        ({"t_max": 0}, "t_max", "should be at least 1 step, not 0"),
        ({"t_max": {"steps": 0}}, "t_max", "should be at least 1 step, not {'steps': 0}"),
        ({"t_max": {"epochs": 3}}, "t_max", "number of epochs or {steps: N}"),
        ({"t_max": {"steps": 1.5}}, "t_max", "number of epochs or {steps: N}"),
        ({"t_max": [3]}, "t_max", "not [3]"),
        ({"name": "step", "milestones": 3}, "milestones", "should be a valid list, not 3"),
        ({"name": "step", "milestones": [-1]}, "milestones", "at least 0, not -1"),
        ({"name": "step", "milestones": [1e308]}, "milestones", "at least 0, not 1e+308"),
        ({"name": "step", "milestones": [{"steps": 1e300}]}, "milestones", "at least 0, not"),
        ({"name": "step", "milestones": [True]}, "milestones", "not True"),
        ({"name": "step", "gamma": 0}, "gamma", "greater than 0"),
        ({"name": "nowhere.at_all:Curve"}, "name", "cannot be imported"),
    ],
)
def test_a_wrong_parameter_is_named(schedule: dict[str, Any], key: str, words: str) -> None:
    ((keys, message),) = problems_of(schedule)
    assert keys == (key,)
    assert words in message


def test_less_than_a_step_is_told_in_steps_once_an_epoch_has_a_length() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of({"name": "cosine_restarts", "t0": 0.04})
    words = "not 0.04 epochs: 0.4 steps of 10 an epoch are rounded to 0"
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("warmup", "keys"),
    [
        ({"curve": "constant", "start": 0}, ("warmup", "start")),
        ({"curve": "constant", "bias_lr": 0}, ("warmup", "bias_lr")),
        ({"parts": {"neck": {}}}, ("warmup", "parts", "neck")),
        ({"parts": {"neck": {"steps": 1.5}}}, ("warmup", "parts", "neck")),
        ({"parts": {"neck": {"steps": 1, "epochs": 1}}}, ("warmup", "parts", "neck")),
    ],
)
def test_a_wrong_warmup_is_named(warmup: dict[str, Any], keys: tuple[str, ...]) -> None:
    assert [found for found, _ in problems_of({"warmup": warmup})] == [keys]


def test_a_curve_of_the_user_gets_its_epochs_as_steps(own_curves: str) -> None:
    warmup = {"steps": 0}
    by_default = plan_of({"name": f"{own_curves}:Halving", "warmup": warmup})
    chosen = plan_of({"name": f"{own_curves}:Halving", "every": 1, "warmup": warmup})
    assert [by_default.factor(step) for step in (0, 19, 20, 39)] == [1, 1, 0.5, 0.5]
    assert [chosen.factor(step) for step in (9, 10, 20, 30)] == [1, 0.5, 0.25, 0.125]


def test_a_curve_that_warms_up_by_itself_takes_no_warmup(own_curves: str) -> None:
    name = f"{own_curves}:Tent"
    plan = plan_of({"name": name})
    assert plan.warmup_steps == 0
    assert [plan.factor(step) for step in (0, 19, 20)] == [1 / 21, 20 / 21, 1.0]
    ((keys, message),) = problems_of({"name": name, "warmup": {"epochs": 1}})
    assert keys == ("warmup",)
    assert "warms up by itself" in message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Picky", "low should be 0.1 or more"),
        ("Unreadable", "type hint that cannot be read"),
        ("NoDataclass", "no dataclass"),
        ("Missing", "cannot be imported"),
    ],
)
def test_a_curve_of_the_user_that_cannot_be_used_is_named(
    own_curves: str, name: str, words: str
) -> None:
    options = {"low": 0.0} if name == "Picky" else {}
    ((keys, message),) = problems_of({"name": f"{own_curves}:{name}", **options})
    assert keys == ("name",)
    assert words in message


def test_epochs_are_rounded_to_the_nearest_step() -> None:
    lengths = [length_in_steps(value, 10) for value in (0, 0.04, 0.05, 0.25, 1.5, {"steps": 7})]
    assert lengths == [0, 0, 1, 3, 15, 7]
