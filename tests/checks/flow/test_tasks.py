from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fusetrain.checks.flow.label_pool import MIN_ROWS, parallel_reader
from fusetrain.checks.flow.tasks import (
    PairTasks,
    all_tasks,
    list_pairs,
    listing_digest,
    registration_tasks,
)
from fusetrain.checks.images import PairTask
from fusetrain.data.index import DatasetIndex, PackedPaths, scan_split
from fusetrain.data.label_rows import LabelReader, LabelRow, read_rows
from fusetrain.data.sources import LabelSet
from fusetrain.data.spec import load_spec
from fusetrain.data.storage import Storage

MakePairs = Callable[..., Path]


def index_of(count: int, split: str = "train") -> DatasetIndex:
    names = [f"{number:06d}" for number in range(count)]
    zeros = np.zeros(count, np.int64)
    return DatasetIndex(
        split,
        "/set",
        ("person",),
        PackedPaths.pack(names),
        PackedPaths.pack([f"images/{split}/{name}.jpg" for name in names]),
        PackedPaths.pack([f"imagesIR/{split}/{name}.png" for name in names]),
        zeros,
        zeros,
        zeros > 0,
        zeros,
        np.zeros((0, 4), np.float32),
        zeros[:0],
        storage=Storage(border_px=2),
    )


def places(tasks: PairTasks) -> list[tuple[str, int]]:
    return [(task.split, task.row) for task in tasks]


def test_tasks_go_through_the_splits_in_order() -> None:
    tasks = all_tasks([index_of(3), index_of(0, "val"), index_of(2, "test")])
    assert places(tasks) == [("train", 0), ("train", 1), ("train", 2), ("test", 0), ("test", 1)]
    assert tasks[4] == PairTask(
        "/set",
        "test",
        1,
        "images/test/000001.jpg",
        "imagesIR/test/000001.png",
        storage=Storage(border_px=2),
    )
    assert places(tasks[1:4][1:]) == [("train", 2), ("test", 0)]
    assert places(tasks.picked(np.array([4, 0]))) == [("test", 1), ("train", 0)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_shards_are_the_whole_in_order_and_of_nearly_one_size(count: int) -> None:
    tasks = all_tasks([index_of(20), index_of(11, "val")])
    shards = [tasks.shard(number, count) for number in range(1, count + 1)]
    assert [place for shard in shards for place in places(shard)] == places(tasks)
    lengths = list(map(len, shards))
    assert max(lengths) - min(lengths) <= 1


def test_sample_has_runs_of_neighbours_from_the_first_pair_to_the_last() -> None:
    tasks = registration_tasks([index_of(10_000), index_of(150, "val")], "sample")
    rows = np.array([row for split, row in places(tasks) if split == "train"])
    assert len(rows) == 200
    assert rows[0] == 0
    assert rows[-1] == 9_999
    runs = rows.reshape(10, 20)
    np.testing.assert_array_equal(np.diff(runs, axis=1), 1)
    assert np.ptp(np.diff(runs[:, 0])) <= 1
    assert [row for split, row in places(tasks) if split == "val"] == list(range(150))


@pytest.mark.parametrize("count", [200, 201, 219, 399, 401])
def test_sample_of_a_small_split_takes_no_pair_twice_where_it_need_not(count: int) -> None:
    rows = [row for _, row in places(registration_tasks([index_of(count)], "sample"))]
    assert rows == sorted(set(rows))
    assert 200 >= len(rows) >= 100
    assert (rows[0], rows[-1]) == (0, count - 1)


def test_all_and_off_mean_what_they_say() -> None:
    indexes = [index_of(300), index_of(2, "val")]
    assert len(registration_tasks(indexes, "all")) == 302
    assert len(registration_tasks(indexes, "off")) == 0


def test_pairs_are_listed_without_their_labels(make_pairs: MakePairs) -> None:
    path = make_pairs()
    spec = load_spec(path)
    listed, scanned = list_pairs(spec, "train"), scan_split(spec, "train").index
    assert list(listed.rgb_paths) == list(scanned.rgb_paths)
    assert len(listed.boxes) == 0
    assert listing_digest([listed]) == listing_digest([scanned])


def test_digest_of_a_listing_tells_names_sizes_and_splits() -> None:
    index = index_of(3)
    others = [
        [index_of(4)],
        [index_of(3, "val")],
        [index, index_of(0, "val")],
        [replace(index, rgb_bytes=np.array([0, 0, 1]))],
        [replace(index, ir_paths=PackedPaths.pack(["a", "b", "c"]))],
    ]
    digests = {listing_digest(indexes) for indexes in [[index], *others]}
    assert len(digests) == 6
    assert listing_digest([replace(index, root="/elsewhere")]) == listing_digest([index])


def test_labels_read_in_processes_are_those_read_here(tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        (tmp_path / f"{number}.txt").write_text(f"0 .5 .5 .{number + 1} .1\n0 2 2 .1 .1\n")
        rows.append(LabelRow("" if number % 7 == 0 else f"{number}.txt", ""))
    rows *= -(-MIN_ROWS // len(rows))
    reader = LabelReader(str(tmp_path), LabelSet(""), ("person",))
    here = list(read_rows(reader, rows))
    there = list(parallel_reader(2)(reader, rows))
    assert len(here) == len(there) >= MIN_ROWS
    for one, other in zip(here, there, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_array_equal(one.boxes_cxcywh_unit, other.boxes_cxcywh_unit)
            np.testing.assert_array_equal(one.lines, other.lines)
            assert one.problems == other.problems
