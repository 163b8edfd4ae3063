from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fusetrain.checks.audit import AuditOptions, AuditReport, audit_path
from fusetrain.checks.flow import kept
from fusetrain.checks.flow.kept import MISSING, KeptFacts, open_state, stamped_keys
from fusetrain.checks.flow.measuring import PIXELS, Effort, measure
from fusetrain.checks.flow.shards import Shard, merge_shards, write_shard
from fusetrain.checks.flow.tasks import all_tasks
from fusetrain.checks.images import PairFacts
from fusetrain.data.index import scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError

MakePairs = Callable[..., Path]


def check(path: Path, state: Path) -> AuditReport:
    return audit_path(path, workers=1, options=AuditOptions("off", state=state))


def segments(state: Path) -> list[str]:
    return sorted(entry for entry in os.listdir(state) if entry.endswith(".npz"))


def known_rows(path: Path, state: Path) -> list[int]:
    tasks = all_tasks([scan_split(load_spec(path), "train").index])
    known = KeptFacts.load(state, PairFacts, name="pairs")
    return np.flatnonzero(known.find(stamped_keys(tasks)) != MISSING).tolist()


def test_second_check_measures_nothing_again_and_says_the_same(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    path = make_pairs(train=6, val=3)
    (path.parent / "images/train/train_002.jpg").write_bytes(b"no picture")
    first = check(path, tmp_path / "state")
    written = segments(tmp_path / "state")
    second = check(path, tmp_path / "state")
    assert first.counts["I01"] == 1
    assert second.findings == first.findings
    assert list(second.facts) == list(first.facts)
    assert segments(tmp_path / "state") == written


def test_changed_file_is_measured_again_and_new_rows_are_told_apart(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    path, state = make_pairs(train=6, val=1), tmp_path / "state"
    check(path, state)
    root = path.parent
    (root / "images/train/train_001.jpg").write_bytes(b"no picture")
    os.utime(root / "imagesIR/train/train_003.png", ns=(1, 1))
    for folder in ("images", "imagesIR"):
        source = next((root / folder / "train").glob("train_000.*"))
        (source.parent / f"a_first{source.suffix}").write_bytes(source.read_bytes())
    assert known_rows(path, state) == [1, 3, 5, 6]  # a_first, 000, 001 ... 005
    again = check(path, state)
    assert [fact.row for fact in again.facts] == [0, 1, 2, 3, 4, 5, 6, 0]
    assert again.findings == audit_path(path, options=AuditOptions("off")).findings
    assert known_rows(path, state) == list(range(7))


def test_interrupted_measurement_keeps_what_it_had(make_pairs: MakePairs, tmp_path: Path) -> None:
    path = make_pairs(train=40, val=1)
    state = open_state(tmp_path / "state", root=path.parent)
    tasks = all_tasks([scan_split(load_spec(path), "train").index])

    def stop(done: int, total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(PIXELS, tasks, effort=Effort(workers=1, state=state, progress=stop))
    rows = known_rows(path, state)
    assert 20 <= len(rows) < 40
    assert rows == list(range(len(rows)))
    check(path, state)
    assert known_rows(path, state) == list(range(40))


def test_kill_loses_the_last_segment_alone(
    make_pairs: MakePairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_pairs(train=11, val=1)
    state = open_state(tmp_path / "state", root=path.parent)
    index = scan_split(load_spec(path), "train").index
    facts = list(measure(PIXELS, all_tasks([index]), effort=Effort(workers=1)))
    monkeypatch.setattr(kept, "SEGMENT_PAIRS", 4)
    keys = stamped_keys(all_tasks([index]))
    passed = KeptFacts.load(state, PairFacts, name="pairs").keeping(
        ([fact] for fact in facts), keys
    )
    assert [next(passed) for _ in range(9)] == [[fact] for fact in facts[:9]]
    assert known_rows(path, state) == list(range(8))  # what a kill at this moment leaves
    passed.close()
    assert known_rows(path, state) == list(range(9))


def test_damaged_and_foreign_files_of_facts_are_passed_over(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    path, state = make_pairs(), tmp_path / "state"
    check(path, state)
    [name] = segments(state)
    data = (state / name).read_bytes()
    (state / name).write_bytes(data[: len(data) // 2])
    np.savez(state / "other.npz", numbers=np.arange(3))
    assert known_rows(path, state) == []
    assert len(check(path, state).facts) == 6
    assert known_rows(path, state) == [0, 1, 2, 3]


def test_shards_share_a_state_and_a_whole_check_uses_it(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    path, state = make_pairs(train=6, val=2), tmp_path / "state"
    options = AuditOptions("all", state=state)
    for number in (1, 2):
        out = tmp_path / "shards" / f"{number}.npz"
        write_shard(path, Shard(number, 2), out=out, workers=1, options=options)
    before = segments(state)
    whole = audit_path(path, options=options)
    assert segments(state) == before
    assert merge_shards(path, tmp_path / "shards").findings == whole.findings


def test_state_lies_outside_the_data_set_and_in_a_folder_of_its_own(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    path = make_pairs()
    with pytest.raises(DataError, match="ever written"):
        check(path, path.parent / "images" / "state")
    (tmp_path / "link").symlink_to(path.parent)
    with pytest.raises(DataError, match="ever written"):
        check(path, tmp_path / "link" / "state")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(DataError, match="other things"):
        check(path, tmp_path / "full")
    assert os.listdir(tmp_path / "full") == ["thesis.tex"]
