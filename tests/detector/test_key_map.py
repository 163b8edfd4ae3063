"""Foreign weights by a key map: what is filled, and what is said of a map that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fusetrain.detector.key_map import Rule, mapped, read_key_map
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.detector.transfer import fill
from fusetrain.errors import ConfigError

SPEC = DetectorSpec("mid", "concat", "csp", "n", 0.25, 3)


def rules(tmp_path: Path, text: str) -> list[Rule]:
    path = tmp_path / "names.yaml"
    path.write_text(text)
    return read_key_map(path)


def test_map_fills_both_streams_with_a_stem_of_one_channel_for_infrared(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = build_detector(SPEC)
    foreign = {
        name.replace("backbone.steps.", "trunk.block").replace("neck.", "fpn/"): value
        for name, value in source.state_dict().items()
        if name.startswith(("backbone.", "neck."))
    }
    torch.manual_seed(2)
    target = build_detector(SPEC)
    read = rules(tmp_path, '"trunk.block*": "backbone.steps.*"\n"fpn/*.conv.*": neck.*.conv.*\n')
    found = mapped(read, foreign, known=target.state_dict())
    coverage = fill(target, found, source=source)
    assert coverage.share("backbone") == coverage.share("backbone_ir") == 1
    assert not coverage.is_partial
    assert 0.9 < coverage.share("neck") < 1
    assert coverage.share("head") == 0
    rgb = source.backbone.state_dict()
    for name, value in target.backbone_ir.state_dict().items():
        expected = rgb[name].sum(1, keepdim=True) if name == "steps.0.0.conv.weight" else rgb[name]
        assert torch.equal(value, expected), name


def test_first_rule_that_fits_counts_and_other_names_are_left_out(tmp_path: Path) -> None:
    read = rules(tmp_path, "a.b: x.first\na.*: x.*\n")
    values = {"a.b": torch.zeros(1), "a.c": torch.ones(1), "z": torch.ones(2)}
    found = mapped(read, values, known=["x.first", "x.c"])
    assert {name: float(value) for name, value in found.items()} == {"x.first": 0.0, "x.c": 1.0}


def test_all_that_does_not_fit_is_told_with_its_line(tmp_path: Path) -> None:
    read = rules(tmp_path, "a.*: x.*\nb: x.c\nnowhere.*: y\n")
    values = {name: torch.zeros(1) for name in ("a.c", "a.d", "b")}
    with pytest.raises(ConfigError) as caught:
        mapped(read, values, known=["x.c"])
    told = [str(problem) for problem in caught.value.problems]
    assert [line.partition("names.yaml")[2] for line in told] == [
        ":1:1: a.d becomes x.d, which is no name here",
        ":2:1: b becomes x.c, as another name does",
        ":3:1: nowhere.* fits no name of the weights",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("[a, b]", "is not a mapping"),
        ("a: 3\n", "maps no name to a name"),
        ("a: x.*\n", "more stars"),
        ("a: b\na: c\n", "a"),
    ],
)
def test_file_that_is_no_key_map_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(tmp_path, text)
    assert words in " ".join([caught.value.what, *map(str, caught.value.problems)])
