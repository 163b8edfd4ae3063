"""Every format that data sets are written in: what was written reads back the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.config.yaml import dump_yaml
from fusetrain.data.formats import FORMATS
from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.spec import load_spec
from fusetrain.data.storage import Storage
from fusetrain.errors import DataError

# Sorting the names changes their order, one is never used, and some need escaping.
NAMES = ("person", "car & <trailer>", "Fußgänger, alt", "bus", "0")
SIZES_HW = ((97, 131), (480, 640), (64, 64), (1024, 1280), (33, 333), (50, 40))
KEYS = ("a", "seq 1/b", "seq 1/c.d", "größe", "e", "f")
every_format = pytest.mark.parametrize("name", FORMATS.names())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return the data YAML of a native set: odd names and sizes, a pair without labels."""
    rng = np.random.default_rng(11)
    root = tmp_path / "source"
    for split in ("train", "val"):
        for number, (key, size_hw) in enumerate(zip(KEYS, SIZES_HW, strict=True)):
            _write_images(root, f"{split}/{key}", size_hw=size_hw, rng=rng)
            if number == 4:
                continue
            label = root / "labels" / split / f"{key}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            count = 0 if number == 5 else 25
            label.write_text("".join(_random_line(rng) for _ in range(count)), encoding="ascii")
    document = {"train": "images/train", "val": "images/val", "names": list(NAMES)}
    (root / "data.yaml").write_text(dump_yaml(document), encoding="utf-8")
    return root / "data.yaml"


def _write_images(
    root: Path, name: str, *, size_hw: tuple[int, int], rng: np.random.Generator
) -> None:
    height, width = size_hw
    for folder, shape, suffix in (
        ("images", (height, width, 3), "jpg"),
        ("imagesIR", size_hw, "png"),
    ):
        path = root / folder / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)


def _random_line(rng: np.random.Generator) -> str:
    """Return a box anywhere in the image, down to a thousandth of it and up to all of it."""
    size = rng.uniform(0.001, 1.0, 2) ** 2
    centre = rng.uniform(size / 2, 1 - size / 2)
    numbers = " ".join(f"{value:.9g}" for value in (*centre, *size))
    return f"{rng.choice([0, 1, 2, 4])} {numbers}\n"


def indexes_of(path: Path) -> list[DatasetIndex]:
    spec = load_spec(path)
    scans = [scan_split(spec, split) for split in spec.splits]
    assert [problem for scan in scans for problem in scan.label_problems] == []
    return [scan.index for scan in scans]


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@every_format
def test_what_was_written_reads_back_the_same(name: str, source: Path, tmp_path: Path) -> None:
    before = digests(source.parent)
    indexes = indexes_of(source)
    written = FORMATS.get(name)().write(indexes, tmp_path / "new" / "set")
    assert digests(source.parent) == before
    for path in (written, written.parent):
        for old, new in zip(indexes, indexes_of(path), strict=True):
            assert new.split == old.split
            assert new.class_names == NAMES
            assert list(new.keys) == list(old.keys)
            assert new.has_labels.tolist() == old.has_labels.tolist()
            assert new.box_ends.tolist() == old.box_ends.tolist()
            assert new.box_classes.tolist() == old.box_classes.tolist()
            assert np.abs(new.boxes - old.boxes).max() <= 1e-6
            for row in range(len(old)):
                assert new.rgb_path(row).read_bytes() == old.rgb_path(row).read_bytes()
                assert new.ir_path(row).read_bytes() == old.ir_path(row).read_bytes()


@every_format
def test_reading_and_writing_again_changes_no_label_file(
    name: str, source: Path, tmp_path: Path
) -> None:
    layout = FORMATS.get(name)()
    first = layout.write(indexes_of(source), tmp_path / "first")
    again = [layout.read(first, split) for split in ("train", "val")]
    second = layout.write(again, tmp_path / "second")
    assert list(digests(first.parent).values()) == list(digests(second.parent).values())


@every_format
def test_existing_folder_is_refused(name: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exists already"):
        FORMATS.get(name)().write(indexes_of(source), tmp_path)


@every_format
def test_images_that_cannot_be_copied_as_they_are_are_refused(
    name: str, source: Path, tmp_path: Path
) -> None:
    (index, _) = indexes_of(source)
    framed = replace(index, storage=Storage(border_px=10))
    with pytest.raises(DataError, match="border"):
        FORMATS.get(name)().write([framed], tmp_path / "new")
    assert not (tmp_path / "new").exists()
