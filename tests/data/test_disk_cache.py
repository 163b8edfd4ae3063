from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.data.dataset import (
    Augmentation,
    SampleKey,
    TrainDataset,
)
from fusetrain.data.disk_build import BuiltCache, cache_bytes, default_folder, open_or_build
from fusetrain.data.disk_cache import DiskCache, cache_key
from fusetrain.data.image import ThermalWindow
from fusetrain.data.index import scan_split
from fusetrain.data.letterboxed import ValDataset
from fusetrain.data.placement import GeometryRanges
from fusetrain.data.reader import PairReader, train_reader, val_reader
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError, ResourceError

from .conftest import PaintedSet

SIZES = ((64, 96), (96, 64), (50, 70), (64, 96))


@pytest.fixture
def reader(painted_set: PaintedSet) -> PairReader:
    return val_reader(painted_set(*SIZES), imgsz=96)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def build(reader: PairReader, folder: Path) -> BuiltCache:
    built = open_or_build(reader, folder)
    assert built is not None
    return built


def assert_same_pixels(reader: PairReader, cache: DiskCache) -> None:
    for row in range(len(reader.index)):
        entry = cache.get(row)
        assert entry is not None
        pixels, original_hw = reader.read(row)
        np.testing.assert_array_equal(entry[0], pixels)
        assert entry[1] == original_hw


def test_it_holds_what_reading_the_images_gives(reader: PairReader, folder: Path) -> None:
    built = build(reader, folder)
    assert not built.was_there
    assert (len(built.cache), built.num_unreadable) == (4, 0)
    assert built.cache.num_bytes == cache_bytes(reader) == built.cache.path.stat().st_size
    assert_same_pixels(reader, built.cache)
    assert built.cache.get(4) is None
    assert not built.cache.put(0, np.zeros((2, 2, 4), np.uint8), (2, 2))


@pytest.mark.parametrize("imgsz", [64, 160])
def test_training_and_validation_see_the_same_pixels_with_it(
    painted_set: PaintedSet, folder: Path, imgsz: int
) -> None:
    index = painted_set(*SIZES)
    augmentation = Augmentation(
        mosaic=0.5, mixup=0.3, drop_rgb=0.2, geometry=GeometryRanges(scale=0.4, degrees=10.0)
    )
    plain = TrainDataset(index, imgsz=imgsz, augmentation=augmentation)
    cached = TrainDataset(index, imgsz=imgsz, augmentation=augmentation)
    cached.reader = replace(cached.reader, cache=build(cached.reader, folder).cache)
    for key in (SampleKey(epoch, row, True) for epoch in range(3) for row in range(4)):
        np.testing.assert_array_equal(cached[key].pixels, plain[key].pixels)
    val, val_cached = ValDataset(index, imgsz=imgsz), ValDataset(index, imgsz=imgsz)
    val_cached.reader = replace(val.reader, cache=build(val.reader, folder).cache)
    for row in range(4):
        np.testing.assert_array_equal(val_cached[row].pixels, val[row].pixels)
    assert len(list(folder.glob("*.pairs"))) == 2


def test_augmentation_does_not_reach_the_file(reader: PairReader, folder: Path) -> None:
    cache = build(reader, folder).cache
    before = cache.path.read_bytes()
    entry = cache.get(0)
    assert entry is not None
    entry[0][:] = 7
    assert cache.path.read_bytes() == before


def test_it_is_made_once(reader: PairReader, folder: Path) -> None:
    first = build(reader, folder).cache.path
    stamp = first.stat().st_mtime_ns
    again = build(reader, folder)
    assert again.was_there
    assert (again.cache.path, again.cache.path.stat().st_mtime_ns) == (first, stamp)


def test_several_threads_fill_it_alike(painted_set: PaintedSet, folder: Path) -> None:
    reader = val_reader(painted_set(*[(48, 64)] * 40), imgsz=64)
    done: list[tuple[int, ...]] = []

    def progress(*step: int) -> None:
        done.append(step)

    built = open_or_build(reader, folder, workers=2, progress=progress)
    assert built is not None
    assert done == [(number, 40) for number in range(1, 41)]
    assert_same_pixels(reader, built.cache)


def _repaint(path: Path) -> None:
    """Write other pixels of the same file size, and put the modification time back."""
    status = path.stat()
    pixels = np.asarray(Image.open(path))
    for level in range(256):
        Image.fromarray(np.full_like(pixels, level)).save(path)
        if path.stat().st_size <= status.st_size:
            break
    with path.open("ab") as file:
        file.write(b"\0" * (status.st_size - path.stat().st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


@pytest.mark.parametrize("part", ["rgb", "ir"])
def test_a_rewritten_image_asks_for_another_file_whatever_its_time_says(
    reader: PairReader, folder: Path, part: str
) -> None:
    old = build(reader, folder).cache.path
    path = reader.index.rgb_path(1) if part == "rgb" else reader.index.ir_path(1)
    _repaint(path)
    built = build(reader, folder)
    assert not built.was_there
    assert built.cache.path != old
    assert_same_pixels(reader, built.cache)


def test_settings_that_change_pixels_are_part_of_the_key(painted_set: PaintedSet) -> None:
    index = painted_set(*SIZES)
    readers = [
        val_reader(index, imgsz=96),
        val_reader(index, imgsz=128),
        val_reader(index, imgsz=96, window=ThermalWindow("range", 0.0, 200.0, deep_only=False)),
        train_reader(index, imgsz=96, scale=0.0),
        train_reader(index, imgsz=96, scale=0.5),
    ]
    keys = [cache_key(reader) for reader in readers]
    assert len(set(keys)) == len(keys)
    assert keys == [cache_key(reader) for reader in readers]


def test_labels_are_no_part_of_the_key(reader: PairReader, folder: Path) -> None:
    path = Path(reader.index.root, "labels/train/000.txt")
    path.write_text("0 0.5 0.5 0.2 0.2\n")
    spec = load_spec(Path(reader.index.root, "data.yaml"))
    assert cache_key(replace(reader, index=scan_split(spec, "train").index)) == cache_key(reader)


def test_a_set_that_was_moved_keeps_its_file(reader: PairReader, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    before = cache_key(reader)
    moved.mkdir()
    for part in ("images", "imagesIR", "labels", "data.yaml"):
        (tmp_path / part).rename(moved / part)
    index = scan_split(load_spec(moved / "data.yaml"), "train").index
    assert cache_key(replace(reader, index=index)) == before


@pytest.mark.parametrize(
    ("place", "words"),
    [(0, "does not begin"), (60, "header is damaged"), (8192, "table of contents is damaged")],
)
def test_a_damaged_head_is_made_anew(
    reader: PairReader, folder: Path, place: int, words: str
) -> None:
    path = build(reader, folder).cache.path
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 0x40]))
    with pytest.warns(RuntimeWarning, match=words):
        built = open_or_build(reader, folder)
    assert built is not None
    assert not built.was_there
    assert_same_pixels(reader, built.cache)


@pytest.mark.parametrize("size", [0, 10, 5000, -1])
def test_a_cut_file_is_made_anew(reader: PairReader, folder: Path, size: int) -> None:
    path = build(reader, folder).cache.path
    os.truncate(path, size if size >= 0 else path.stat().st_size - 1)
    with pytest.warns(RuntimeWarning, match="is made anew"):
        built = open_or_build(reader, folder)
    assert built is not None
    assert_same_pixels(reader, built.cache)


def test_damaged_pixels_are_read_from_the_images(reader: PairReader, folder: Path) -> None:
    path = build(reader, folder).cache.path
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 4096)  # the last pair begins before and ends after
        file.write(b"\xff" * 64)
    cached = replace(reader, cache=DiskCache(path))
    with pytest.warns(RuntimeWarning, match="damaged at pair 3"):
        pixels, _ = cached.read(3)
    np.testing.assert_array_equal(pixels, reader.read(3)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        cached.read(3)


def test_a_pickled_copy_opens_the_file_again(reader: PairReader, folder: Path) -> None:
    cache = build(reader, folder).cache
    assert_same_pixels(reader, pickle.loads(pickle.dumps(cache)))


def test_a_pair_that_cannot_be_read_is_left_out(reader: PairReader, folder: Path) -> None:
    reader.index.ir_path(2).write_bytes(b"no image")
    built = build(reader, folder)
    assert (len(built.cache), built.num_unreadable) == (3, 1)
    assert built.cache.get(2) is None


def test_no_pairs_give_an_empty_file(reader: PairReader, folder: Path) -> None:
    index = replace(reader.index, rgb_paths=type(reader.index.rgb_paths).pack([]))
    index = replace(index, ir_paths=index.rgb_paths)
    assert len(build(replace(reader, index=index), folder).cache) == 0


def _build_into(reader: PairReader, folder: Path) -> None:
    built = open_or_build(reader, folder)
    os._exit(10 if built is not None and built.was_there else 11)


def test_two_processes_build_it_once(painted_set: PaintedSet, folder: Path) -> None:
    reader = val_reader(painted_set(*[(96, 128)] * 30), imgsz=320)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_build_into, args=(reader, folder)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert sorted(child.exitcode or 0 for child in children) == [10, 11]


def test_interrupted_it_leaves_nothing(reader: PairReader, folder: Path) -> None:
    assert open_or_build(reader, folder, interrupted=lambda: True) is None
    calls = iter([False, False, True])
    assert open_or_build(reader, folder, interrupted=lambda: next(calls)) is None
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == []


BUILDER = """\
import sys, time
from pathlib import Path
from fusetrain.data.reader import val_reader
from fusetrain.data.disk_build import open_or_build
from fusetrain.data.index import scan_split
from fusetrain.data.spec import load_spec
index = scan_split(load_spec(Path(sys.argv[1])), "train").index
def progress(done, total):
    print(done, flush=True)
    time.sleep(60 if done == 2 else 0)
open_or_build(val_reader(index, imgsz=96), Path(sys.argv[2]), progress=progress)
"""


def test_killed_it_leaves_no_file_that_looks_finished_and_no_lock(
    reader: PairReader, folder: Path
) -> None:
    command = [sys.executable, "-c", BUILDER, str(Path(reader.index.root, "data.yaml")), folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["1\n", "2\n"]
        process.send_signal(signal.SIGKILL)
    assert list(folder.glob("*.pairs")) == []
    assert len(list(folder.glob("*.partial-*"))) == 1
    started = time.monotonic()
    built = build(reader, folder)
    assert time.monotonic() - started < 10
    assert_same_pixels(reader, built.cache)
    assert list(folder.glob("*.partial-*")) == []


def test_it_may_not_lie_in_the_data_set(reader: PairReader) -> None:
    root = Path(reader.index.root)
    for place in (root, root / "images" / "cache"):
        with pytest.raises(DataError, match="inside the data set"):
            open_or_build(reader, place)
    assert not (root / "images" / "cache").exists()


def test_a_place_that_cannot_be_written_is_a_resource_error(
    reader: PairReader, folder: Path
) -> None:
    (folder / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        open_or_build(reader, folder / "file" / "below")


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    reader: PairReader, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("fusetrain.data.disk_build.shutil.disk_usage", lambda path: free)
    with pytest.raises(ResourceError, match="GB are free"):
        open_or_build(reader, folder)
    assert list(folder.glob("*.p*")) == []


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FUSETRAIN_CACHE", str(tmp_path / "here"))
    assert default_folder() == tmp_path / "here"
    monkeypatch.delenv("FUSETRAIN_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "fusetrain"
