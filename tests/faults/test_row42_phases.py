"""Two ranks are stopped in each phase of an adapter and in a baseline; the end is the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Nursery
from short_run import CONFIG, Home

from fusetrain.errors import StoppedError
from fusetrain.results.run_dir import FUSION_GAIN

pytestmark = [pytest.mark.slow, pytest.mark.fault(42), pytest.mark.timeout(900)]
TRAIN = ("train", "--config", "train.yaml", "--with-baselines")
RUNS = ("exp", "exp-rgb", "exp-ir")


@pytest.fixture
def home(make_pairs: Callable[..., Path], tmp_path: Path) -> Home:
    """Four pairs, two steps an epoch; an epoch for the base and one for the adapters."""
    make_pairs()
    (tmp_path / "train.yaml").write_text(CONFIG.replace("fusion: ir", "fusion: adapter"))
    return Home(tmp_path)


def on_two_ranks(nursery: Nursery, home: Home, *words: str, steps: int = 0) -> int:
    """Run to the end, or until a signal comes in the last of some steps; return the exit code."""
    stop = {"FUSETRAIN_FAILPOINT": f"step of 1 pairs=SIGTERM@{steps}"} if steps else {}
    ended = [running.wait(400) for running in nursery.start_ranks(*words, cwd=home.path, **stop)]
    assert {one.code for one in ended} == {ended[0].code}, [one.text for one in ended]
    return ended[0].code


def phase_of(home: Home) -> str:
    return str(home.content()["context"]["weights"]["detector"]["kind"])


def baselines(home: Home) -> dict[str, str]:
    return dict(json.loads((home.run / FUSION_GAIN).read_text())["baselines"])


def test_row42_adapter_with_baselines_stopped_in_each_part_ends_like_one_never_stopped(
    nursery: Nursery, home: Home, tmp_path: Path
) -> None:
    whole = Home(tmp_path / "whole")
    whole.path.mkdir()
    shutil.copytree(home.path / "set", whole.path / "set")
    shutil.copy(home.path / "train.yaml", whole.path)
    assert on_two_ranks(nursery, whole, *TRAIN) == 0
    resume, stopped = ("resume", "runs/exp"), StoppedError.exit_code
    assert on_two_ranks(nursery, home, *TRAIN, steps=1) == stopped
    assert (phase_of(home), home.steps()) == ("decision", 1)
    assert on_two_ranks(nursery, home, *resume, steps=2) == stopped
    assert (phase_of(home), home.steps()) == ("adapter", 3)
    assert on_two_ranks(nursery, home, *resume, steps=2) == stopped
    assert (home.steps(), baselines(home)) == (4, {"rgb": "exp-rgb"})
    assert Home(home.path, "exp-rgb").steps() == 1
    assert on_two_ranks(nursery, home, *resume) == 0
    assert baselines(home) == {"rgb": "exp-rgb", "ir": "exp-ir"}
    for name in RUNS:
        Home(home.path, name).assert_ends_like(Home(whole.path, name))
    gains = [json.loads((one.run / FUSION_GAIN).read_text())["gain"] for one in (home, whole)]
    assert gains[0] == gains[1]
