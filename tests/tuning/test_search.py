"""A search trains real trials; one that was killed ends like one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fusetrain.cli.app import run

SPACE = "optim.lr0: {low: 1e-4, high: 1e-2, log: true}\nmodel.operator: [concat, add]\n"
TUNE = ("tune", "--config", "train.yaml", "--space", "space.yaml")


def needs_optuna() -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")


def found(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*TUNE, "--json", *words]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def essence(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("number", "state", "score", "epochs", "values")
    return [tuple(trial[name] for name in names) for trial in report["trials"]]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--trials", "0"], 2, "a whole number from 1"),
        (["--trials", "1", "--space", "none.yaml"], 3, "no such file"),
        (["--trials", "1", "--set", "optim.lr0=1e-3"], 3, "optim.lr0 is fixed by --set"),
        (["--trials", "1", "--study", "train.yaml"], 5, "is no study"),
    ],
)
def test_wrong_calls_are_told(
    home: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_optuna()
    (home / "space.yaml").write_text(SPACE, encoding="utf-8")
    assert run([*TUNE, *words]) == code
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_search_ends_like_one_that_was_not(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_optuna()
    (home / "space.yaml").write_text(SPACE, encoding="utf-8")
    command = [sys.executable, "-m", "fusetrain", *TUNE, "--trials", "3", "--study", "a/killed.db"]
    process = subprocess.Popen(
        [*command, "--set", "run.project=a"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    until = time.monotonic() + 240
    saved = home / "a" / "exp-trial1" / "weights" / "last.pt"
    while not saved.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    killed = found(capsys, "--trials", "3", "--study", "a/killed.db", "--set", "run.project=a")
    whole = found(capsys, "--trials", "3", "--study", "b/whole.db", "--set", "run.project=b")
    assert essence(killed) == essence(whole)
    assert sorted(path.name for path in (home / "a").glob("exp*")) == [
        "exp-trial0",
        "exp-trial1",
        "exp-trial2",
    ]
    assert killed["best"]["score"] == max(trial["score"] for trial in killed["trials"])
    assert (home / killed["picture"]).stat().st_size > 0
    assert (home / killed["best"]["run"] / "weights" / "best.safetensors").is_file()
    assert found(capsys, "--trials", "3", "--study", "a/killed.db")["trials"] == killed["trials"]


@pytest.mark.slow
def test_a_hopeless_trial_is_pruned_and_its_run_can_be_resumed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_optuna()
    from fusetrain.tuning.search import open_study
    from fusetrain.tuning.wishes import wish_of

    (home / "space.yaml").write_text(SPACE, encoding="utf-8")
    sets = ("train.epochs=3",)
    wish, loaded = wish_of(
        Path("train.yaml"), sets, data=None, space=Path("space.yaml"), note=lambda text: None
    )
    study = open_study(Path("tune.db"), wish, loaded)
    for _ in range(4):
        claim = study.claim(5)
        assert claim is not None
        assert not any(study.is_hopeless(claim, epoch, 0.99) for epoch in (1, 2, 3))
        study.complete(claim, 0.99)
    report = found(capsys, "--trials", "5", "--study", "tune.db", "--set", *sets)
    last = report["trials"][-1]
    assert (last["state"], last["epochs"]) == ("pruned", 2)
    assert len((Path(last["run"]) / "results.csv").read_text().splitlines()) == 3
    assert run(["resume", last["run"]]) == 0
