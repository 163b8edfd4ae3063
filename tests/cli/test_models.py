"""`models`: every detector that a config can ask for stands in the table, with what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fusetrain.catalogue import entries
from fusetrain.cli.app import run
from fusetrain.config.load import load_config
from fusetrain.detector.fusion import KINDS, OPERATORS, WITHOUT_OPERATOR
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.rules import config_checks

Capture = pytest.CaptureFixture[str]


def listed(capsys: Capture, *words: str) -> list[dict[str, object]]:
    assert run(["models", "--json", *words]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)["models"]
    return found


def test_every_kind_stands_with_every_operator_it_takes(capsys: Capture) -> None:
    rows = listed(capsys, "--size", "n", "--imgsz", "64")
    expected = [
        (kind, operator)
        for kind in KINDS
        for operator in ((None,) if kind in WITHOUT_OPERATOR else OPERATORS)
    ]
    assert [(row["fusion"], row["operator"]) for row in rows] == expected
    mid = build_detector(DetectorSpec("mid", "gate", "csp", "n", 1.0, 3))
    (row,) = (row for row in rows if (row["fusion"], row["operator"]) == ("mid", "gate"))
    assert row["params"] == sum(parameter.numel() for parameter in mid.parameters())
    assert row["seconds"] is None


@pytest.mark.parametrize("width", ["0.9", "1.3"])
def test_every_width_can_be_built(capsys: Capture, width: str) -> None:
    rows = listed(capsys, "--fusion", "mid", "--size", "n", "--imgsz", "64", "--width", width)
    assert all(row["params"] for row in rows)


def test_operations_grow_with_the_area_of_the_canvas(capsys: Capture) -> None:
    flops = [
        listed(capsys, "--fusion", "ir", "--size", "n", "--imgsz", side)[0]["flops"]
        for side in ("64", "128")
    ]
    assert flops[1] == pytest.approx(4 * float(str(flops[0])), rel=0.01)


def test_speed_is_measured_when_asked_for(capsys: Capture) -> None:
    tiny = ("--fusion", "ir", "--size", "n", "--imgsz", "32", "--width", "0.25")
    assert run(["models", *tiny, "--speed"]) == 0
    out = capsys.readouterr().out
    assert " ms " in out
    assert "32 px, 3 classes" in " ".join(out.split())


WRONG = {
    "--fusion": "med",
    "--size": "q",
    "--imgsz": "0",
    "--backbone": "vgg",
    "--width": "0",
    "--classes": "0",
}


@pytest.mark.parametrize(("flag", "value"), WRONG.items())
def test_impossible_values_exit_2(capsys: Capture, flag: str, value: str) -> None:
    assert run(["models", flag, value]) == 2
    assert "╭" in capsys.readouterr().err


def test_only_the_unknown_size_is_named(capsys: Capture) -> None:
    assert run(["models", "--size", "n", "--size", "q"]) == 2
    err = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "--size q expected: n, s, m, l, x" in err


@pytest.mark.parametrize(
    ("preset", "params_m", "gflops"), [("nano-half", 1.18, 3.2), ("nano-full", 3.62, 9.5)]
)
def test_preset_has_the_size_of_the_detector_it_is_compared_with(
    preset: str, params_m: float, gflops: float
) -> None:
    path = Path(__file__).parents[2] / "configs" / "presets" / "sizes" / f"{preset}.yaml"
    model = load_config(path, checks=[config_checks]).config.model
    for num_classes in (1, 6):  # LLVIP, M3FD
        spec = DetectorSpec(
            model.fusion, model.operator, model.backbone, model.size, model.width, num_classes
        )
        (entry,) = entries([spec], imgsz=640)
        assert entry.params / 1e6 == pytest.approx(params_m, rel=0.05)
        assert entry.flops / 1e9 == pytest.approx(gflops, rel=0.05)
