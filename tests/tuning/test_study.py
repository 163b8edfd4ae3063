"""A study shares its trials between processes, and loses none of those that die."""

import sqlite3
from pathlib import Path

import pytest

from fusetrain.errors import ConfigError, RunError
from fusetrain.tuning.space import Dimension

pytest.importorskip("optuna", reason="optuna is not installed")

from fusetrain.tuning.study import HOLDER, Study

SPACE = (
    Dimension("optim.lr0", 1e-4, 1e-2, log=True),
    Dimension("model.operator", choices=("concat", "add")),
)
DEAD = "nobody"


def open_study(path: Path, *, seed: int = 0, **settings: object) -> Study:
    first = {"optim.lr0": 1e-3, "model.operator": "concat"}
    return Study(path, SPACE, settings=settings, seed=seed, epochs=5, first=first)


@pytest.mark.slow
def test_processes_share_trials_and_take_over_those_of_the_dead(tmp_path: Path) -> None:
    ours, theirs = open_study(tmp_path / "a.db"), open_study(tmp_path / "a.db")
    claims = [study.claim(3) for study in (ours, theirs, ours, theirs)]
    first, second, third = filter(None, claims)
    assert claims[3] is None
    assert [claim.number for claim in (first, second, third)] == [0, 1, 2]
    assert dict(first.values) == {"optim.lr0": 1e-3, "model.operator": "concat"}

    ours.note_run(second, tmp_path / "runs" / "exp-trial1")
    assert not ours.is_hopeless(second, 1, 0.25)
    second.trial.set_user_attr(HOLDER, DEAD)
    again = theirs.claim(3)
    assert again is not None
    assert (again.number, again.values, again.reported) == (1, second.values, frozenset({1}))
    assert again.run == tmp_path / "runs" / "exp-trial1"
    ours.release(third)
    left = theirs.claim(3)
    assert left is not None
    assert left.number == 2

    theirs.complete(again, 0.5)
    theirs.fail(left, "diverged")
    theirs.prune(first)
    assert [(row.state, row.score, row.error) for row in ours.rows()] == [
        ("pruned", None, ""),
        ("complete", 0.5, ""),
        ("fail", None, "diverged"),
    ]
    assert ours.claim(3) is None


@pytest.mark.slow
def test_draws_follow_from_seed_and_number(tmp_path: Path) -> None:
    drawn = []
    for name, seed in (("a.db", 0), ("b.db", 0), ("c.db", 1)):
        study = open_study(tmp_path / name, seed=seed)
        study.claim(1)
        claim = study.claim(2)
        assert claim is not None
        drawn.append(claim.values["optim.lr0"])
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.slow
def test_a_trial_worse_than_most_is_hopeless_and_scores_have_shares(tmp_path: Path) -> None:
    study = open_study(tmp_path / "a.db")
    for score in (0.5, 0.6, 0.7, 0.8):
        claim = study.claim(5)
        assert claim is not None
        assert not any(study.is_hopeless(claim, epoch, score) for epoch in (1, 2, 3))
        study.complete(claim, score)
    claim = study.claim(5)
    assert claim is not None
    assert [study.is_hopeless(claim, epoch, 0.1) for epoch in (1, 2)] == [False, True]
    shares = study.importances()
    assert set(shares) == {"optim.lr0", "model.operator"}
    assert sum(shares.values()) == pytest.approx(1.0)


def test_a_study_of_another_search_or_another_file_is_refused(tmp_path: Path) -> None:
    open_study(tmp_path / "a.db", imgsz=64)
    with pytest.raises(ConfigError, match="another search") as caught:
        open_study(tmp_path / "a.db", imgsz=32)
    assert "imgsz: 64 -> 32" in str(caught.value)
    (tmp_path / "b.db").write_text("no database at all, but long enough to look at" * 9)
    with pytest.raises(RunError, match="is no study"):
        open_study(tmp_path / "b.db")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        assert connection.execute("select study_name from studies").fetchall() == [("fusetrain",)]
    connection.close()
