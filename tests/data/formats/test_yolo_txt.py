from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.data.formats import FORMATS
from fusetrain.data.formats.yolo_txt import YoloTxt
from fusetrain.errors import DataError

MakePairs = Callable[..., Path]


def test_table_knows_the_format() -> None:
    assert FORMATS.get("yolo_txt") is YoloTxt


def test_writing_and_reading_gives_the_same_index(make_pairs: MakePairs, tmp_path: Path) -> None:
    path = make_pairs(train=3)
    root = path.parent
    (root / "labels/train/train_000.txt").write_text(
        "1 0.1234567 0.3 0.2469134 0.1\n0 .9 .9 .4 .4\n"
    )
    (root / "labels/train/train_001.txt").unlink()
    reader = YoloTxt()
    indexes = [reader.read(path, split) for split in ("train", "val")]
    written = reader.write(indexes, tmp_path / "new" / "set")
    for index in indexes:
        again = reader.read(written, index.split)
        assert again.fingerprint() == index.fingerprint()
        assert again.has_labels.tolist() == index.has_labels.tolist()
        for row in range(len(index)):
            digests = [
                hashlib.sha256(file.read_bytes()).hexdigest()
                for one in (again, index)
                for file in (one.rgb_path(row), one.ir_path(row))
            ]
            assert digests[:2] == digests[2:]


def test_existing_folder_is_refused(make_pairs: MakePairs, tmp_path: Path) -> None:
    index = YoloTxt().read(make_pairs(), "train")
    with pytest.raises(DataError, match="exists already"):
        YoloTxt().write([index], tmp_path)
