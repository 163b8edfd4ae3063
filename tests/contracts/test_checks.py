"""Every code of the table fires on its planted defect and is silent on clean data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.audit import audit_path
from fusetrain.checks.findings import CODES, LEVELS

RGB = "images/train/train_001.jpg"
IR = "imagesIR/train/train_001.png"
LABEL = "labels/train/train_001.txt"


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, shape, np.uint8)


def save(path: Path, pixels: NDArray[np.generic]) -> None:
    Image.fromarray(pixels).save(path)


def relabel(root: Path, text: str, *, folder: str = "labels/train") -> None:
    for path in (root / folder).iterdir():
        path.write_text(text, encoding="ascii")


def add_line(root: Path, line: str) -> None:
    with (root / LABEL).open("a", encoding="ascii") as file:
        file.write(f"{line}\n")


def truncate(root: Path) -> None:
    data = (root / RGB).read_bytes()
    (root / RGB).write_bytes(data[: len(data) // 2])


def colour_map(root: Path) -> None:
    grey = np.asarray(Image.open(root / IR), np.int64)
    palette = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 40)], axis=1)
    save(root / IR, palette[grey].astype(np.uint8))


def swap(root: Path) -> None:
    for split in ("train", "val"):
        for number, path in enumerate(sorted((root / "images" / split).iterdir())):
            ir = root / "imagesIR" / split / f"{path.stem}.png"
            grey = np.asarray(Image.open(ir))
            save(ir, np.asarray(Image.open(path)))
            save(path, np.stack([grey] * 3, axis=2))
            assert number < 10


def deepen(root: Path) -> None:
    save(root / IR, noise(48, 64).astype(np.uint16) * 40)


def empty_val(root: Path) -> None:
    for part in ("images", "imagesIR"):
        for path in (root / part / "val").iterdir():
            path.unlink()


def many_small_boxes(root: Path) -> None:
    grid = [(x / 12, y / 12) for x in range(1, 12) for y in range(1, 12)]
    boxes = "".join(f"0 {x:.4f} {y:.4f} 0.05 0.05\n" for x, y in grid)
    for folder in ("labels/train", "labels/val"):
        relabel(root, boxes, folder=folder)
    for label in (LABEL, "labels/val/val_000.txt"):
        (root / label).write_text(f"{boxes}1 .5 .5 .5 .5\n", encoding="ascii")


def third_class(root: Path) -> None:
    path = root / "data.yaml"
    path.write_text(path.read_text().replace("car]", "car, animal]"), encoding="utf-8")


def wrong_yaml(root: Path) -> None:
    (root / "data.yaml").write_text("train: images/train\nnmaes: [a]\n", encoding="utf-8")


PLANTED: dict[str, Callable[[Path], object]] = {
    "P01": lambda root: (root / IR).unlink(),
    "P02": lambda root: (root / RGB).unlink(),
    "P03": lambda root: shutil.copy(root / RGB, root / "images/train/TRAIN_001.png"),
    "P04": lambda root: save(root / IR, noise(48, 66)),
    "P05": swap,
    "P06": lambda root: Image.open(root / RGB).convert("L").save(root / IR),
    "P10": colour_map,
    "P11": lambda root: save(root / IR, np.full((48, 64), 30, np.uint8)),
    "P14": deepen,
    "P15": empty_val,
    "I01": lambda root: (root / RGB).write_text("<html>not found</html>"),
    "I02": truncate,
    "I03": lambda root: Image.new("1", (8000, 6300)).save(root / IR),
    "I04": lambda root: (root / IR).rename((root / IR).with_suffix(".bmp")),
    "I05": lambda root: save(root / IR, noise(24, 32)),
    "L01": lambda root: add_line(root, "0 .5 .5 .1"),
    "L02": lambda root: add_line(root, "2 .5 .5 .1 .1"),
    "L03": lambda root: add_line(root, "0 nan .5 .1 .1"),
    "L04": lambda root: add_line(root, "0 1.3 .5 .1 .1"),
    "L05": lambda root: add_line(root, "0 .5 .5 0 .1"),
    "L06": lambda root: add_line(root, "0 .5 .5 .005 .1"),
    "L07": lambda root: add_line(root, "0 .5 .5 1 1"),
    "L08": lambda root: add_line(root, "0 0.251 0.5 0.25 0.5"),
    "L09": lambda root: (root / LABEL).unlink(),
    "L10": lambda root: relabel(root, ""),
    "D01": lambda root: shutil.copy(root / RGB, root / "images/train/train_002.jpg"),
    "D04": lambda root: shutil.copy(root / RGB, root / "images/val/val_000.jpg"),
    "S01": lambda root: relabel(root, "0 .5 .5 .5 .5\n", folder="labels/val"),
    "S02": many_small_boxes,
    "S03": third_class,
    "S04": wrong_yaml,
}


@pytest.mark.parametrize("code", CODES)
def test_code_fires_on_its_planted_defect(code: str, make_pairs: Callable[..., Path]) -> None:
    path = make_pairs()
    PLANTED[code](path.parent)
    report = audit_path(path, workers=1)
    found = [entry for entry in report.findings if entry.code == code]
    assert found, report.counts
    assert {entry.level for entry in found} == {CODES[code].level}
    for entry in found:
        assert entry.message
        assert entry.remedy == CODES[code].remedy
        assert not entry.path or (path.parent / entry.path).exists() or code == "L09"


def test_clean_data_gives_no_finding(make_pairs: Callable[..., Path]) -> None:
    report = audit_path(make_pairs(train=6, val=3), workers=1)
    assert report.findings == ()
    assert report.verdict == "ok"
    assert report.num_pairs == {"train": 6, "val": 3}


def test_every_code_has_a_planted_defect_and_is_described() -> None:
    assert set(PLANTED) == set(CODES)
    for code, entry in CODES.items():
        assert code[0] in "PILDS"
        assert entry.level in LEVELS
        assert entry.meaning
        assert len(entry.remedy) > 10
