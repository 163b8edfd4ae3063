"""Strict YAML: the traps of YAML 1.1, the attacks, and writing what reads back."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusetrain.config.schema import DataSettings
from fusetrain.config.yaml import MAX_BYTES, dump_yaml, read_yaml, read_yaml_text, validate
from fusetrain.errors import ConfigError, DataError

SCALARS: dict[str, Any] = {
    "1e-4": 1e-4,
    "3E5": 3e5,
    "-.5": -0.5,
    "1.": 1.0,
    "+7": 7,
    "-0": 0,
    "0x1F": 31,
    "0o17": 15,
    "010": "010",
    "00.5": "00.5",
    "1_000": "1_000",
    "12:30": "12:30",
    "2026-01-31": "2026-01-31",
    "no": "no",
    "off": "off",
    "Yes": "Yes",
    "y": "y",
    "true": True,
    "FALSE": False,
    "tRue": "tRue",
    "null": None,
    "~": None,
    "": None,
    "'null'": "null",
    '"1"': "1",
    "<<": "<<",
    "=": "=",
    "1.2.3": "1.2.3",
    ".inf": math.inf,
    "-.INF": -math.inf,
    "1e999": math.inf,
}


@pytest.mark.parametrize("text", SCALARS, ids=repr)
@pytest.mark.fault(39)
def test_scalar_means_what_yaml_1_2_says(text: str) -> None:
    value = read_yaml_text(f"key: {text}", "f.yaml").value["key"]
    assert value == SCALARS[text]
    assert type(value) is type(SCALARS[text])


def test_nan_is_a_number() -> None:
    assert math.isnan(read_yaml_text("key: .nan", "f.yaml").value["key"])


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1", "duplicate key 'a'; it stands in line 1 already"),
        ("a:\n  b: {c: 1, c: 2}", "f.yaml:2:13", "duplicate key 'c'"),
        ("a:\n\tb: 1", "f.yaml:2:1", "a tab"),
        ("a: [1, 2", "f.yaml:1:9", "expected ',' or ']'"),
        ("a: b: c", "f.yaml:1:5", "mapping values are not allowed"),
        ("a: 'x", "f.yaml:1:6", "unexpected end"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1", "expected a single document"),
        ("a: !!python/object/apply:os.system [x]", "f.yaml:1:4", "is not allowed"),
        ("a: !!float 3", "f.yaml:1:4", "is not allowed"),
        ("a: !mine 3", "f.yaml:1:4", "is not allowed"),
        ("a: *there", "f.yaml:1:4", "undefined alias"),
        ("a: &x [*x]", "f.yaml:1:4", "contains itself"),
        ("? [a]\n: 1", "f.yaml:1:3", "a key must be text"),
        ("true: 1", "f.yaml:1:1", "a key must be text"),
        ("x: &a {b: 1}\ny: {<<: *a, c: 1}", "f.yaml:2:5", "merge keys (`<<`) are not read"),
        ("~: 1", "f.yaml:1:1", "a key must be text"),
        ("a: b\nc: \x07", "f.yaml:2:4", "U+0007"),
        ("[" * 2000, "f.yaml:1:65", "nested deeper"),
    ],
)
@pytest.mark.fault(39)
def test_fault_has_line_and_column(text: str, place: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml_text(text, "f.yaml")
    assert caught.value.where == place
    assert message in caught.value.what


@pytest.mark.fault(39)
def test_all_duplicates_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml_text("a: 1\na: 2\nb: {c: 1, c: 1}\n", "f.yaml")
    assert [problem.where for problem in caught.value.problems] == ["f.yaml:2:1", "f.yaml:3:11"]


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)),
        "a: &a x\n" + "b: [" + "*a, " * 101 + "]\n",
    ],
    ids=["bomb", "many"],
)
@pytest.mark.fault(39)
def test_alias_bomb_is_refused_at_once(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ConfigError, match="alias"):
        read_yaml_text(text, "f.yaml")
    assert time.perf_counter() - start < 5


def test_honest_aliases_are_expanded() -> None:
    assert read_yaml_text("a: &a {b: 1}\nc: *a", "f").value == {"a": {"b": 1}, "c": {"b": 1}}


def test_positions_name_keys_and_items() -> None:
    document = read_yaml_text("a:\n  b: 1\n  c: [x, y]\n3: z\n", "f.yaml")
    assert document.where(("a", "c", 1)) == "f.yaml:3:10"
    assert document.where((3,)) == "f.yaml:4:1"
    assert document.where(("a", "missing")) == "f.yaml:1:1"
    assert document.where(("missing",)) == "f.yaml"


def test_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: \xc3\xa9\r\n")
    assert read_yaml(path).value == {"name": "é"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: \xff\n", "not UTF-8"),
        ("a: 1".encode("utf-16"), "not UTF-8"),
        (b"a: " + b"x" * MAX_BYTES, "larger than 1 MiB"),
    ],
)
@pytest.mark.fault(39)
def test_unreadable_bytes_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_yaml(path)


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").touch()
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "trian.yaml", remedy="write one")
    assert caught.value.expected == f"a YAML file, such as {tmp_path / 'train.yaml'}"
    assert caught.value.remedy == "write one"


@pytest.mark.parametrize("name", ["folder", "fifo", "folder/train.yaml/x", "nul\0"])
@pytest.mark.fault(40)
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DataError):
        read_yaml(tmp_path / name, error=DataError)


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "---\n", "- a\n", "word", "3"], ids=repr
)
def test_validate_wants_a_mapping(text: str) -> None:
    with pytest.raises(DataError, match="data YAML is"):
        validate(DataSettings, read_yaml_text(text, "f"), what="data YAML", error=DataError)


def test_validate_returns_the_settings() -> None:
    document = read_yaml_text("names: {0: no, 1: off}\nthermal: {range: [0, 1.5e4]}", "f")
    settings = validate(DataSettings, document, what="data YAML")
    assert settings.class_names == ("no", "off")
    assert settings.thermal == {"range": [0.0, 15000.0]}


def test_validate_sorts_faults_by_place_with_the_class_asked_for() -> None:
    document = read_yaml_text("vall: x\ntrain: 3\n", "data.yaml")
    with pytest.raises(DataError) as caught:
        validate(DataSettings, document, what="data YAML", error=DataError)
    assert [str(problem) for problem in caught.value.problems] == [
        "data.yaml: `names` is missing",
        "data.yaml:1:1: unknown key `vall`; did you mean `val`?",
        "data.yaml:2:1: `train` is 3; expected text or a list; put it in quotes",
    ]


KEYS = st.one_of(st.integers(-999, 999), st.text(max_size=8))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from([key for key in SCALARS if key]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@pytest.mark.parametrize("text", ["\x85", "a\x85b", "\u2028", "x\u2029 y"])
def test_line_breaks_of_unicode_read_back(text: str) -> None:
    assert read_yaml_text(dump_yaml({text: text}), "f.yaml").value == {text: text}


@given(VALUES)
def test_what_is_written_reads_back_equal(value: Any) -> None:
    back = read_yaml_text(dump_yaml(value), "f.yaml").value
    assert back == value
    assert repr(back) == repr(value)
