from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.data.demo import write_demo
from fusetrain.engine.machine import choose_machine
from fusetrain.errors import DataError
from fusetrain.prepare.cache import make_caches, plan_cache
from fusetrain.runs.batches import BatchSource

MACHINE = {"device": "cpu", "amp": False, "memory_format": "auto", "threads": 1, "workers": 0}


def config_of(data: Path, cache: str = "none") -> Config:
    return Config.model_validate(
        {
            "data": str(data),
            "train": {"imgsz": 96, "batch": 4, "workers": 0, "cache": cache},
            "augment": {"scale": 0.3},
        }
    )


def source_of(config: Config) -> tuple[BatchSource, list[str]]:
    notes: list[str] = []
    machine = choose_machine(**MACHINE, deterministic=True)  # type: ignore[arg-type]
    return BatchSource(config, build.open_data(config), machine, note=notes.append), notes


def test_a_training_finds_what_was_prepared_for_it(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSETRAIN_CACHE", str(tmp_path))
    plan = plan_cache(config_of(demo))
    made = make_caches(plan)
    assert {split: len(built.cache) for split, built in made.items()} == {"train": 16, "val": 4}
    assert plan.num_bytes() == {split: built.cache.num_bytes for split, built in made.items()}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.pairs")}
    assert len(before) == 2
    source, notes = source_of(config_of(demo, "disk"))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.pairs")} == before
    assert [str(tmp_path) in note and "GB" in note for note in notes] == [True, True]
    plain, _ = source_of(config_of(demo))
    for one, other in zip(source.train(0, 0), plain.train(0, 0), strict=True):
        np.testing.assert_array_equal(one.pixels.numpy(), other.pixels.numpy())
    for one, other in zip(source.val(), plain.val(), strict=True):
        np.testing.assert_array_equal(one.pixels.numpy(), other.pixels.numpy())


def test_a_training_makes_what_was_not_prepared(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSETRAIN_CACHE", str(tmp_path / "new"))
    _, notes = source_of(config_of(demo, "disk"))
    assert len(list((tmp_path / "new").glob("*.pairs"))) == 2
    assert "decoding 16 pairs once into" in notes[0]


def test_pairs_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write_demo(tmp_path / "set", num_pairs=5)
    os.truncate(tmp_path / "set" / "imagesIR" / "train" / "0002.jpg", 5000)
    plan = plan_cache(config_of(tmp_path / "set"), folder=tmp_path / "cache")
    with pytest.raises(DataError, match="1 pairs cannot be read"):
        make_caches(plan)
