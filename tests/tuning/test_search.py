"""A search trains real trials; one that was killed ends like one that was not."""

import json
import os
import re
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


def started(*words: str) -> subprocess.Popen[str]:
    """Start a search as a process of its own, whose messages can be read."""
    return subprocess.Popen(
        [sys.executable, "-m", "fusetrain", *TUNE, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
    )


@pytest.mark.slow
def test_two_live_processes_share_a_study_and_one_inherits_from_the_other(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_optuna()
    (home / "space.yaml").write_text(SPACE, encoding="utf-8")
    words = ("--trials", "3", "--study", "both.db", "--set", "run.project=both")
    with started(*words) as dying, started(*words) as heir:
        assert dying.stderr is not None
        assert heir.stderr is not None
        claimed = ""
        while not claimed and (line := dying.stderr.readline()):
            claimed = line[6] if re.match(r"trial \d: optim", line) else ""
        saved = home / "both" / f"exp-trial{claimed}" / "weights" / "last.pt"
        until = time.monotonic() + 240
        while not saved.exists() and time.monotonic() < until:
            time.sleep(0.02)
        dying.send_signal(signal.SIGKILL)
        assert dying.wait() == -signal.SIGKILL
        told = heir.stderr.read()
        assert heir.wait() == 0, told
    capsys.readouterr()
    assert run([*TUNE, "--json", *words]) == 0  # what is left, should the heir have ended before
    out, err = capsys.readouterr()
    report, told = json.loads(out), told + err
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * 3
    numbers = [str(number) for number in range(3)]
    begun = [claimed, *re.findall(r"^trial (\d): optim", told, re.MULTILINE)]
    assert sorted(begun) == sorted([*numbers, claimed])
    assert re.findall(r"^trial (\d) goes on in ", told, re.MULTILINE) == [claimed]
    assert sorted(re.findall(r"^trial (\d): mAP", told, re.MULTILINE)) == numbers
    runs = [Path(trial["run"]) for trial in report["trials"]]
    assert sorted((home / "both").glob("exp*")) == sorted(home / run for run in runs)
    assert {len((run / "results.csv").read_text().splitlines()) for run in runs} == {3}


@pytest.mark.slow
def test_an_adapter_and_the_base_below_it_are_searched(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_optuna()
    (home / "space.yaml").write_text(SPACE.splitlines()[0], encoding="utf-8")
    words = ("--set", "model.fusion=adapter", "--set", "optim.weight_decay=0.003")
    report = found(capsys, "--trials", "2", *words)
    assert [(trial["state"], trial["epochs"]) for trial in report["trials"]] == [
        ("complete", 2)
    ] * 2
    for trial in report["trials"]:
        settings = (home / trial["run"] / "config.yaml").read_text(encoding="utf-8")
        assert "fusion: adapter" in settings
        assert "weight_decay: 0.003" in settings  # fixed, so that no trial changes it
        assert f"lr0: {trial['values']['optim.lr0']}" in settings


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
