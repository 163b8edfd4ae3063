"""What messages about wrong settings say: the key, the value, what was expected, the nearest."""

from __future__ import annotations

import pytest

from fusetrain.config.faults import known_keys, located_problems, shown, unknown_key_hint
from fusetrain.config.schema import Config, DataSettings, Settings
from fusetrain.config.yaml import read_yaml_text


def _messages(text: str, model: type[Settings] = Config) -> list[str]:
    document = read_yaml_text(text, "t.yaml")
    found = located_problems(model, document.value, where=document.where)
    return [str(problem) for _, problem in found]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim: {lr: 1}", "t.yaml:1:9: unknown key `optim.lr`; did you mean `lr0`?"),
        ("train:\n  epoch: 3", "t.yaml:2:3: unknown key `train.epoch`; did you mean `epochs`?"),
        ("epochs: 3", "t.yaml:1:1: unknown key `epochs`; did you mean `train.epochs`?"),
        ("trian: {batch: 1}", "t.yaml:1:1: unknown key `trian`; did you mean `train`?"),
        (
            "zzz: 1",
            "t.yaml:1:1: unknown key `zzz`; known here: data, model, train, optim, schedule, loss, "
            "augment, run",
        ),
        ("model: {size: xl}", "expected 'n', 's', 'm', 'l' or 'x'"),
        ("model: {size: xl}", "`model.size` is 'xl'"),
        ("train: {batch: 0}", "`train.batch` is 0; expected at least 1 or 'auto'"),
        (
            "train: {epochs: '3'}",
            "`train.epochs` is '3'; expected a whole number; without quotes or leading zeros",
        ),
        ("train: {epochs: 2.5}", "`train.epochs` is 2.5; expected a whole number"),
        ("train: {epochs: true}", "`train.epochs` is true; expected a whole number"),
        ("train: {imgsz: 16}", "expected at least 32"),
        ("train: {imgsz: 9000}", "expected at most 8192"),
        ("train: {amp: bf61}", "did you mean 'bf16'?"),
        ("train: {ema: off}", "`train.ema` is 'off'; expected true or false"),
        ("train: {device: gpu}", "expected auto, cpu, cuda or cuda:N"),
        ("train: {save_every: {}}", "`train.save_every`: give at least one of"),
        ("optim: {lr0: 0}", "expected more than 0"),
        ("optim: {lr0: .inf}", "`optim.lr0` is inf; expected a finite number"),
        ("optim: {momentum: 1}", "expected less than 1"),
        ("optim: {groups: {hed: 1}}", "`optim.groups.hed` has the wrong key"),
        ("optim: {groups: {hed: 1}}", "did you mean 'head'?"),
        ("run: {name: 5}", "`run.name` is 5; expected text; put it in quotes"),
        ("run: {name: ''}", "expected text that is not empty"),
        ("run: {trackers: tb}", "`run.trackers` is 'tb'; expected a list"),
        ("loss:", "`loss` is empty; expected a mapping"),
        ("loss: [1]", "`loss` is a list; expected a mapping"),
        ("augment: {drop_rgb: .8, drop_ir: .8}", "must not exceed 1"),
        (
            "schedule: {plans: [{from_step: 0, epoch: 1}]}",
            "unknown key `schedule.plans.0.epoch`; did you mean `epochs`?",
        ),
    ],
)
def test_message(text: str, message: str) -> None:
    assert any(message in line for line in _messages(text)), _messages(text)


def test_choice_that_fits_better_is_the_one_that_is_told() -> None:
    assert _messages("names: [a]\nthermal: {range: [1, x]}", DataSettings) == [
        "t.yaml:2:22: `thermal.range.1` is 'x'; expected a number"
    ]


def test_right_settings_have_no_problems() -> None:
    assert _messages("train: {epochs: 3, batch: auto, amp: false}\noptim: {lr0: 1}") == []


def test_options_of_a_curve_are_not_judged_here() -> None:
    assert _messages("schedule: {name: mine, gamma_of_mine: 3}") == []


def test_known_keys_descend_into_groups() -> None:
    keys = [path for path, _ in known_keys(Config)]
    assert ("train", "save_every", "steps") in keys
    assert ("schedule", "warmup", "bias_lr") in keys
    assert ("schedule", "plans", "epochs") in keys


def test_hint_is_empty_where_nothing_is_known() -> None:
    assert unknown_key_hint(("zzz", "qqq"), Config) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "empty"), (True, "true"), ({}, "a mapping"), ([], "a list"), (1.5, "1.5")],
)
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_shown_is_short() -> None:
    assert len(shown("x" * 500)) == 40


@pytest.mark.parametrize(
    ("key", "written"),
    [("train.epochs", "`train: {epochs: ...}`"), ("optim.lr0", "`optim: {lr0: ...}`")],
)
def test_key_with_a_dot_is_shown_as_it_has_to_be_written(key: str, written: str) -> None:
    assert written in unknown_key_hint((key,), Config)
