from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.checks.audit import AuditOptions, AuditReport, audit_path
from fusetrain.checks.flow.facts_file import FactsFile, read_facts, write_facts
from fusetrain.checks.flow.shards import Shard, merge_shards, write_shard
from fusetrain.checks.report import to_json
from fusetrain.data.demo import write_demo
from fusetrain.errors import DataError, ResourceError, UsageError

MakePairs = Callable[..., Path]


@pytest.fixture(scope="module")
def defects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set with one of each known defect."""
    folder = tmp_path_factory.mktemp("demo") / "set"
    write_demo(folder, num_pairs=80, with_defects=True)
    return folder / "data.yaml"


def write_all(path: Path, folder: Path, *, count: int, options: AuditOptions) -> None:
    for number in range(1, count + 1):
        shard = Shard(number, count)
        write_shard(path, shard, out=folder / shard.default_file, workers=1, options=options)


def as_text(report: AuditReport) -> str:
    return json.dumps(to_json(report))


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set in which the infrared images are not where they should be."""
    folder = tmp_path_factory.mktemp("shifted") / "set"
    write_demo(folder, num_pairs=14)
    for ir in (folder / "imagesIR").rglob("*.*"):
        with Image.open(ir) as image:
            pixels = np.asarray(image)
        Image.fromarray(np.roll(pixels, 9, axis=1)).save(ir)
    return folder / "data.yaml"


def assert_merged_equals_whole(
    path: Path, folder: Path, *, count: int, options: AuditOptions
) -> AuditReport:
    write_all(path, folder, count=count, options=options)
    whole = audit_path(path, options=options, workers=2)
    merged = merge_shards(path, folder, max_shift_px=options.max_shift_px, workers=1)
    assert merged.findings == whole.findings
    assert as_text(merged) == as_text(whole)
    assert repr(list(merged.facts)) == repr(list(whole.facts))  # NaN is equal to itself here
    assert list(merged.registration) == list(whole.registration)
    return whole


@pytest.mark.parametrize(
    ("count", "options"),
    [
        (1, AuditOptions("off")),
        (3, AuditOptions("off")),
        (4, AuditOptions("off", headers_only=True)),
    ],
    ids=["one", "three", "headers"],
)
def test_merged_shards_say_exactly_what_one_check_says(
    defects: Path, tmp_path: Path, count: int, options: AuditOptions
) -> None:
    whole = assert_merged_equals_whole(defects, tmp_path, count=count, options=options)
    assert len(whole.findings) > 10


def test_registration_is_the_same_from_shards(shifted: Path, tmp_path: Path) -> None:
    options = AuditOptions("sample", max_shift_px=7.0)
    whole = assert_merged_equals_whole(shifted, tmp_path, count=3, options=options)
    assert len(whole.registration) == 14
    assert whole.counts["P09"] >= 1


def test_shards_of_one_split_are_merged_to_that_split(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    path = make_pairs(train=5, val=4)
    write_shard(path, Shard(1, 1), out=tmp_path / "out/a.npz", only_splits=["val"])
    assert merge_shards(path, tmp_path / "out").num_pairs == {"val": 4}
    with pytest.raises(DataError, match="other splits"):
        merge_shards(path, tmp_path / "out", only_splits=["train"])


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "1/2/3", "-1/2", "1.5/2", ""])
def test_part_that_does_not_exist_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        Shard.parse(text)


def test_parts_cover_all_pairs_once(make_pairs: MakePairs, tmp_path: Path) -> None:
    path = make_pairs(train=5, val=2)
    counts = [
        write_shard(path, Shard(number, 4), out=tmp_path / f"{number}.npz", workers=1)
        for number in range(1, 5)
    ]
    assert counts == [1, 2, 2, 2]


def test_there_may_be_more_parts_than_pairs(make_pairs: MakePairs, tmp_path: Path) -> None:
    path = make_pairs(train=1, val=2)
    write_all(path, tmp_path / "out", count=5, options=AuditOptions())
    assert list(merge_shards(path, tmp_path / "out").facts) == list(audit_path(path).facts)


@pytest.fixture
def three(make_pairs: MakePairs, tmp_path: Path) -> tuple[Path, Path]:
    """Return a clean set and a folder with its three shards."""
    path, folder = make_pairs(train=5, val=2), tmp_path / "shards"
    write_all(path, folder, count=3, options=AuditOptions("off"))
    return path, folder


def reasons(path: Path, folder: Path) -> str:
    with pytest.raises(DataError) as raised:
        merge_shards(path, folder)
    assert raised.value.exit_code == 4
    return str(raised.value)


def file_of(number: int) -> str:
    return f"check-data.shard-{number}-of-3.npz"


def test_missing_and_repeated_shards_are_named_together(three: tuple[Path, Path]) -> None:
    path, folder = three
    (folder / file_of(2)).unlink()
    (folder / "copy.npz").write_bytes((folder / file_of(3)).read_bytes())
    text = reasons(path, folder)
    assert "shard 3 is there 2 times" in text
    assert "of 3 shards there are none of: 2" in text


def test_shards_of_different_checks_are_not_joined(three: tuple[Path, Path]) -> None:
    path, folder = three
    write_shard(path, Shard(2, 3), out=folder / file_of(2), options=AuditOptions("all"))
    write_shard(path, Shard(3, 4), out=folder / file_of(3), options=AuditOptions("off"))
    text = reasons(path, folder)
    assert "check-data.shard-2-of-3.npz: other --registration than" in text
    assert "check-data.shard-3-of-3.npz: other number of shards than" in text


def test_shard_of_another_version_is_refused(three: tuple[Path, Path]) -> None:
    path, folder = three
    for number in (1, 2, 3):
        content = read_facts(folder / file_of(number))
        header = {**content.header, "measured_by": "0" * 16}
        write_facts(FactsFile(header, content.arrays), folder / file_of(number))
    assert "other versions of fusetrain" in reasons(path, folder)


def test_data_set_that_changed_since_is_refused(three: tuple[Path, Path]) -> None:
    path, folder = three
    (path.parent / "imagesIR/train/train_003.png").unlink()
    assert "other pairs of the data set" in reasons(path, folder)


def test_damaged_shard_is_refused(three: tuple[Path, Path]) -> None:
    path, folder = three
    data = bytearray((folder / file_of(1)).read_bytes())
    data[data.index(b"images/train/train_000.jpg")] ^= 1
    (folder / file_of(1)).write_bytes(data)
    (folder / file_of(2)).write_bytes(b"")
    (folder / file_of(3)).write_bytes((folder / file_of(3)).read_bytes()[:-100])
    text = reasons(path, folder)
    assert text.count("damaged one:") == 3


def test_file_with_pickled_objects_is_never_opened(three: tuple[Path, Path]) -> None:
    path, folder = three
    np.savez(folder / file_of(1), header=np.array([{"a": 1}], object), allow_pickle=True)
    assert "damaged one:" in reasons(path, folder)


def test_folder_without_shards_is_refused(make_pairs: MakePairs, tmp_path: Path) -> None:
    path = make_pairs()
    for folder in (tmp_path / "nothing", path.parent, path):
        assert "no shard to merge" in reasons(path, folder)


def test_foreign_file_and_data_set_are_never_written_to(
    make_pairs: MakePairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_pairs()
    results = tmp_path / "results.npz"
    np.savez(results, numbers=np.arange(3))
    before = results.read_bytes()
    with pytest.raises(DataError, match="another kind"):
        write_shard(path, Shard(1, 2), out=results)
    assert results.read_bytes() == before
    with pytest.raises(DataError, match="ever written"):
        write_shard(path, Shard(1, 2), out=path.parent / "new" / "a.npz")
    monkeypatch.chdir(path.parent)
    with pytest.raises(DataError, match="ever written"):
        write_shard(path, Shard(1, 2), out=Shard(1, 2).default_file)
    assert not (path.parent / "new").exists()
    with pytest.raises(UsageError, match="part2"):  # --merge would not find it
        write_shard(path, Shard(1, 2), out=tmp_path / "part2")


def test_place_that_cannot_be_written_is_told_before_the_work(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "a.npz", tmp_path):
        with pytest.raises(ResourceError):
            write_shard(make_pairs(out.name), Shard(1, 2), out=out)


def test_shard_is_replaced_whole(three: tuple[Path, Path]) -> None:
    path, folder = three
    write_shard(path, Shard(1, 3), out=folder / file_of(1), options=AuditOptions("off"))
    assert sorted(os.listdir(folder)) == [file_of(number) for number in (1, 2, 3)]
    whole = audit_path(path, options=AuditOptions("off"))
    assert merge_shards(path, folder).findings == whole.findings
