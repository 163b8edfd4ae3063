from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from fusetrain.data.index import DatasetIndex, PackedPaths, scan_split
from fusetrain.data.index_store import (
    MappedIndex,
    StoredIndexError,
    load_index,
    save_index,
    stored_index,
)
from fusetrain.data.spec import load_spec
from fusetrain.data.storage import Storage

MakePairs = Callable[..., Path]


@pytest.fixture
def index(make_pairs: MakePairs) -> DatasetIndex:
    scanned = scan_split(load_spec(make_pairs(train=7)), "train").index
    return replace(scanned, storage=Storage(border_px=3))


def assert_equal(one: DatasetIndex, other: DatasetIndex) -> None:
    for entry in fields(DatasetIndex):
        first, second = getattr(one, entry.name), getattr(other, entry.name)
        if isinstance(first, PackedPaths):
            assert list(first) == list(second)
        elif isinstance(first, np.ndarray):
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)
        else:
            assert first == second


def test_what_is_loaded_equals_what_was_saved(index: DatasetIndex, tmp_path: Path) -> None:
    save_index(index, tmp_path / "kept/train.index")
    loaded = load_index(tmp_path / "kept/train.index")
    assert_equal(index, loaded)
    assert loaded.fingerprint() == index.fingerprint()
    assert not loaded.boxes.flags.writeable
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["train.index"]


def test_split_without_pairs_can_be_stored(index: DatasetIndex, tmp_path: Path) -> None:
    empty = replace(
        index,
        keys=PackedPaths.pack([]),
        rgb_paths=PackedPaths.pack([]),
        ir_paths=PackedPaths.pack([]),
        boxes=index.boxes[:0],
    )
    save_index(empty, tmp_path / "index")
    assert len(load_index(tmp_path / "index")) == 0


def _digest_in_child(index: DatasetIndex, answers: multiprocessing.Queue[tuple[str, str]]) -> None:
    answers.put((type(index).__name__, DatasetIndex.fingerprint(index)))


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_other_processes_map_the_same_file(
    index: DatasetIndex, tmp_path: Path, method: str
) -> None:
    save_index(index, tmp_path / "index")
    loaded = load_index(tmp_path / "index")
    assert len(pickle.dumps(loaded)) < 500
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    child = context.Process(target=_digest_in_child, args=(loaded, answers))
    child.start()
    assert answers.get(timeout=60) == ("MappedIndex", index.fingerprint())
    child.join(60)
    assert child.exitcode == 0


def test_changed_copy_travels_by_value(index: DatasetIndex, tmp_path: Path) -> None:
    save_index(index, tmp_path / "index")
    changed = replace(load_index(tmp_path / "index"), class_names=("one", "two"))
    assert changed.fingerprint() != index.fingerprint()
    sent = pickle.loads(pickle.dumps(changed))
    assert sent.class_names == ("one", "two")
    assert not isinstance(sent, MappedIndex)
    assert list(sent.keys) == list(index.keys)


def test_moved_data_set_gets_its_new_root(index: DatasetIndex, tmp_path: Path) -> None:
    save_index(index, tmp_path / "index")
    loaded = load_index(tmp_path / "index", root="/elsewhere")
    assert loaded.rgb_path(0) == Path("/elsewhere/images/train/train_000.jpg")
    assert pickle.loads(pickle.dumps(loaded)).root == "/elsewhere"


@pytest.mark.parametrize("damage", ["cut", "longer", "header", "column", "other", "empty", "gone"])
def test_damaged_file_is_refused(index: DatasetIndex, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "index"
    save_index(index, path)
    data = bytearray(path.read_bytes())
    column = data.index(b"train_000")
    header = data.index(b"person")
    changed = {
        "cut": bytes(data[:-64]),
        "longer": bytes(data) + bytes(64),
        "header": bytes(data[:header] + b"P" + data[header + 1 :]),
        "column": bytes(data[:column] + b"T" + data[column + 1 :]),
        "other": b"PK\x03\x04" + bytes(100),
        "empty": b"",
    }
    path.unlink()
    if damage != "gone":
        path.write_bytes(changed[damage])
    with pytest.raises(StoredIndexError) as raised:
        load_index(path)
    assert raised.value.where == str(path)


def test_stored_index_is_made_once_and_again_when_it_is_no_longer_true(
    index: DatasetIndex, tmp_path: Path
) -> None:
    made: list[DatasetIndex] = []

    def make(of: DatasetIndex) -> DatasetIndex:
        made.append(of)
        return of

    path = tmp_path / "index"
    for _ in range(2):
        assert_equal(
            stored_index(path, lambda: make(index), fingerprint=index.fingerprint()), index
        )
    assert len(made) == 1
    other = replace(index, class_names=("one", "two"))
    mapped = stored_index(path, lambda: make(other), fingerprint=other.fingerprint())
    assert mapped.class_names == ("one", "two")
    path.write_bytes(b"")
    assert_equal(stored_index(path, lambda: make(other), fingerprint=other.fingerprint()), other)
    assert len(made) == 3


def test_file_that_was_replaced_is_not_taken_for_the_old_one(
    index: DatasetIndex, tmp_path: Path
) -> None:
    save_index(index, tmp_path / "index")
    sent = pickle.dumps(load_index(tmp_path / "index"))
    save_index(replace(index, class_names=("one", "two")), tmp_path / "index")
    with pytest.raises(StoredIndexError, match="took the place"):
        pickle.loads(sent)
