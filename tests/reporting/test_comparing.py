"""Runs side by side: what differs, what came out, and the numbers for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.reporting.comparing import differing_settings, duration, json_of, labels_of, outcome
from fusetrain.reporting.records import read_run

MakeRun = Callable[..., Path]
BASE = "train: {epochs: 3}\n"


def test_only_settings_that_differ_are_shown(make_run: MakeRun) -> None:
    one = read_run(make_run("one", settings=f"{BASE}optim: {{lr0: 0.01}}\nrun: {{name: one}}\n"))
    two = read_run(make_run("two", settings=f"{BASE}optim: {{lr0: 0.02}}\nrun: {{name: two}}\n"))
    assert [(row.label, row.cells) for row in differing_settings([one, two])] == [
        ("optim.lr0", ["0.01", "0.02"])
    ]
    assert differing_settings([one, one]) == []


def test_the_best_of_a_row_and_the_distance_to_the_first_are_told(make_run: MakeRun) -> None:
    runs = [read_run(make_run(f"r{n}", scores=(0.1, score))) for n, score in enumerate((0.3, 0.5))]
    rows = {row.label: row for row in outcome(runs)}
    assert rows["mAP50-95"].cells == ["0.300", "0.500"]
    assert rows["mAP50-95"].best == [1]
    assert rows["mAP50-95 to the first"].cells == ["+0.000", "+0.200"]
    assert rows["epochs"].cells == ["2 of 2", "2 of 2"]
    assert "fusion gain mAP50" not in rows


def test_fusion_gain_is_told_where_it_is_known(make_run: MakeRun) -> None:
    path = make_run()
    gain = {"scores": {}, "gain": {"map50": 0.25, "map50_95": -0.125}}
    (path / "fusion_gain.json").write_text(json.dumps(gain), encoding="utf-8")
    runs = [read_run(path), read_run(make_run("other"))]
    rows = {row.label: row.cells for row in outcome(runs)}
    assert rows["fusion gain mAP50"] == ["+0.250", "-"]
    assert rows["fusion gain mAP50-95"] == ["-0.125", "-"]


def test_json_has_the_numbers_and_none_where_nothing_is_known(make_run: MakeRun) -> None:
    told = json_of([read_run(make_run("one")), read_run(make_run("two", scores=()))])
    first, second = told["runs"]
    assert set(first) == set(second)
    assert (first["name"], first["best_epoch"], first["metrics"]["map50_95"]) == ("one", 2, 0.3)
    assert (first["seconds"], first["parameters"]) == (7.5, 4_190_000)
    assert (second["best_epoch"], second["metrics"]["map50"]) == (None, None)
    assert told["settings"] == {"train.epochs": [3, 1]}


def test_runs_of_one_name_are_told_apart(make_run: MakeRun) -> None:
    runs = [read_run(make_run(name)) for name in ("a/exp", "b/exp")]
    assert labels_of(runs) == ["a/exp", "b/exp"]
    assert labels_of([runs[0], runs[0]]) == ["1: a/exp", "2: a/exp"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.25, "4.2 s"), (200, "3 min 20 s"), (18_120, "5 h 02 min"), (59.96, "1 min 00 s")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
