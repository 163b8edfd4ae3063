"""A new set is there in full or not at all, and says what it was made from."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fusetrain.data.demo import write_demo
from fusetrain.data.index import scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError, ResourceError
from fusetrain.prepare import writing
from fusetrain.prepare.convert import plan_convert
from fusetrain.prepare.plans import Plan
from fusetrain.prepare.writing import LINKS, Link, check_target, write_plan


@pytest.fixture
def plan(demo: Path) -> Plan:
    return plan_convert(demo, "fusetrain")


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".partial-" in path.name]


@pytest.mark.parametrize("link", LINKS)
def test_files_are_copied_or_linked_bit_by_bit(
    plan: Plan, demo: Path, tmp_path: Path, link: Link
) -> None:
    written = write_plan(plan, tmp_path / "new", link=link)
    assert written.num_files == sum(path.is_file() for path in (tmp_path / "new").rglob("*"))
    for split in ("train", "val"):
        old, new = (scan_split(load_spec(path), split).index for path in (demo, tmp_path / "new"))
        assert new.fingerprint() == old.fingerprint()
        for row in range(len(old)):
            assert new.rgb_path(row).read_bytes() == old.rgb_path(row).read_bytes()
            assert new.rgb_path(row).is_symlink() == (link == "symbolic")
            assert new.rgb_path(row).samefile(old.rgb_path(row)) == (link != "none")


def test_the_manifest_says_where_every_file_came_from(
    plan: Plan, demo: Path, tmp_path: Path
) -> None:
    new = write_plan(plan, tmp_path / "new").folder
    with (new / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    files = {str(path.relative_to(new)) for path in new.rglob("*") if path.is_file()}
    assert {row["target"] for row in rows} == files - {"manifest.csv", "manifest.json"}
    for row in rows:
        assert int(row["bytes"]) == (new / row["target"]).stat().st_size
        if row["source"]:
            digest = hashlib.sha256((demo / row["source"]).read_bytes()).hexdigest()
            assert row["sha256"] == digest
    document = json.loads((new / "manifest.json").read_text())
    assert document["command"] == "prepare convert"
    assert document["source"] == str(demo)
    assert document["pairs"] == {"train": 16, "val": 4}


def test_two_runs_give_the_same_bytes(plan: Plan, tmp_path: Path) -> None:
    first, second = (write_plan(plan, tmp_path / name).folder for name in ("one", "two"))
    for path in first.rglob("*"):
        if path.is_file():
            assert (second / path.relative_to(first)).read_bytes() == path.read_bytes()


def test_an_empty_folder_is_taken_and_a_full_one_is_not(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert write_plan(plan, tmp_path / "empty").folder == tmp_path / "empty"
    for taken in ("empty", "file"):
        (tmp_path / "file").touch()
        with pytest.raises(DataError, match=r"not empty|a file of this name"):
            write_plan(plan, tmp_path / taken)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("place", ["", "below", "images/train/new", "../demo/x"])
def test_the_source_is_no_place_for_it(demo: Path, place: str) -> None:
    with pytest.raises(DataError, match="inside the old one"):
        check_target(demo / place, demo)


def test_a_link_into_the_source_is_seen_through(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(demo)
    with pytest.raises(DataError, match="inside the old one"):
        check_target(tmp_path / "link" / "new", demo)


def test_a_full_disk_leaves_nothing(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fail_at_last(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", fail_at_last)
    with pytest.raises(ResourceError, match="the disk is full") as caught:
        write_plan(plan, tmp_path / "new")
    assert caught.value.exit_code == 6
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_told_before_anything_is_written(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ResourceError, match="GB are free"):
        write_plan(plan, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_vanished_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    write_demo(tmp_path / "own", num_pairs=4)
    plan = plan_convert(tmp_path / "own", "fusetrain")
    (tmp_path / "own" / "imagesIR" / "train" / "0001.jpg").unlink()
    with pytest.raises(DataError, match="cannot be read") as caught:
        write_plan(plan, tmp_path / "new")
    assert caught.value.where.endswith("imagesIR/train/0001.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_two_files_with_one_name_are_refused(plan: Plan, tmp_path: Path) -> None:
    doubled = replace(plan, files=(*plan.files, plan.files[0]))
    with pytest.raises(DataError, match="two files get one name"):
        write_plan(doubled, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_progress_ends_at_the_number_of_files(plan: Plan, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_plan(plan, tmp_path / "new", progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (len(plan.files), len(plan.files))


KILLED = """\
import sys, time
from pathlib import Path
from fusetrain.prepare import align, convert, rename, split
from fusetrain.prepare.writing import write_plan
source, target = Path(sys.argv[2]), Path(sys.argv[3])
plan = {
    "rename": lambda: rename.plan_rename(source),
    "split": lambda: split.plan_split(
        source, split.Wish(block=4, keeps_splits=False, looks_at_pixels=False)
    ),
    "align": lambda: align.plan_align(source, transform=Path(sys.argv[4])),
    "convert": lambda: convert.plan_convert(source, "coco"),
}[sys.argv[1]]()
def progress(done, total):
    print(done, total, flush=True)
    time.sleep(60)
write_plan(plan, target, progress=progress)
"""


@pytest.mark.parametrize("command", ["rename", "split", "align", "convert"])
def test_a_killed_process_leaves_nothing_that_looks_finished(
    demo: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "move.json").write_text('{"H": [[1, 0, 5], [0, 1, 0], [0, 0, 1]]}')
    target = tmp_path / "new"
    words = [command, str(demo), str(target), str(tmp_path / "move.json")]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *words], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        done, total = map(int, process.stdout.readline().split())
        assert 0 < done < total
        with pytest.raises(DataError, match="another process is writing"):
            write_plan(plan_convert(demo, "fusetrain"), target)
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    assert len(leftovers(tmp_path)) == 1
    write_plan(plan_convert(demo, "fusetrain"), target)
    assert leftovers(tmp_path) == []
    assert (target / "data.yaml").is_file()


def test_an_interrupt_leaves_nothing(plan: Plan, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_plan(plan, tmp_path / "new", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(ResourceError, match="cannot be written"):
        write_plan(plan, tmp_path / "closed" / "new")
