from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fusetrain.cli.app import run
from fusetrain.config.schema import Config
from fusetrain.runs.remarks import remarks

EASY = ("backbone", "fusion", "neck", "head")
IR = ("backbone_ir", "neck", "head")


@pytest.mark.parametrize(
    ("values", "parts", "words"),
    [
        ({"train": {"freeze": ["backbone_ir"]}}, EASY, ["no part backbone_ir"]),
        ({"optim": {"groups": {"backbone_ir": 0.1, "neck": 0.1}}}, EASY, ["no part backbone_ir"]),
        (
            {"train": {"stages": [{"epochs": 1, "lr_scale": {"fusion": 0.1}}, {}]}},
            IR,
            ["no part fusion"],
        ),
        ({"schedule": {"warmup": {"parts": {"backbone": {"steps": 3}}}}}, IR, ["no part backbone"]),
        ({"model": {"fusion": "adapter"}, "optim": {"groups": {"backbone": 0.1}}}, IR, []),
        ({"model": {"fusion": "rgb"}, "augment": {"drop_rgb": 0.2}}, EASY, ["drop_rgb", "20%"]),
        ({"model": {"fusion": "rgb"}, "augment": {"drop_ir": 0.2, "ir_shift": 0.1}}, EASY, []),
        ({"model": {"fusion": "ir"}, "augment": {"ir_shift": 0.1}}, IR, ["ir_shift"]),
        ({"model": {"fusion": "mid"}, "augment": {"drop_ir": 0.2, "ir_shift": 0.1}}, EASY, []),
    ],
)
def test_setting_that_does_nothing_or_harm_is_told_once(
    values: dict[str, Any], parts: tuple[str, ...], words: list[str]
) -> None:
    told = remarks(Config.model_validate(values), parts)
    assert len(told) == (1 if words else 0)
    assert all(word in told[0] for word in words)


def test_plan_says_what_is_ignored(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", "model.fusion=easy", "--set", "train.freeze=[backbone_ir]"]
    assert run(["train", "--config", "train.yaml", "--dry-run", *words]) == 0
    assert "has no part backbone_ir" in " ".join(capsys.readouterr().out.split())
