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


def spelt_twice(root: Path) -> None:
    path = root / "data.yaml"
    path.write_text(path.read_text().replace("car]", "Person]"), encoding="utf-8")


def wrong_yaml(root: Path) -> None:
    (root / "data.yaml").write_text("train: images/train\nnmaes: [a]\n", encoding="utf-8")


def stuck(root: Path) -> None:
    for number in (2, 3):
        shutil.copy(root / IR, root / f"imagesIR/train/train_{number:03d}.png")


def dead_row(root: Path) -> None:
    levels = np.array(Image.open(root / IR))
    levels[21] = 0
    save(root / IR, levels)


def change(root: Path, name: str, map_levels: Callable[[NDArray[np.float64]], object]) -> None:
    levels = np.asarray(map_levels(np.asarray(Image.open(root / name), np.float64)))
    Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).save(root / name, quality=95)


def blur(root: Path) -> None:
    with Image.open(root / RGB) as image:
        size = (2 * image.width, 2 * image.height)  # small images are not judged
        blurred = image.resize((5, 4)).resize(size, Image.Resampling.BICUBIC)
    blurred.save(root / RGB, quality=95)


def recoded(root: Path) -> None:
    with Image.open(root / RGB) as image:
        image.save(root / "images/train/train_002.png")
    (root / "images/train/train_002.jpg").unlink()


def nearly_same(root: Path) -> None:
    shutil.copy(root / RGB, root / "images/train/train_002.jpg")
    change(root, "images/train/train_002.jpg", lambda levels: levels * 0.97 + 5)


def cut_recording(root: Path) -> None:
    """Deal the frames of a slow pan to both splits in turn."""
    canvas = Image.fromarray(noise(3, 7, 3, seed=5)).resize((210, 48), Image.Resampling.BICUBIC)
    for number in range(24):
        split = ("train", "val")[number % 2]
        frame = canvas.crop((number * 6, 0, number * 6 + 64, 48))
        frame.save(root / f"images/{split}/pan_{number:02d}.jpg", quality=95)
        save(root / f"imagesIR/{split}/pan_{number:02d}.png", noise(48, 64, seed=100 + number))
        (root / f"labels/{split}/pan_{number:02d}.txt").write_text("0 .5 .5 .2 .2\n1 .3 .3 .2 .2\n")


def corners(root: Path) -> None:
    """Write the upper left corner of boxes that lie all over the image, some cut off by an edge."""
    places = [(x, y) for x in (0.0, 0.1, 0.35, 0.6, 0.8) for y in (0.0, 0.2, 0.5, 0.8)]
    relabel(root, "".join(f"{n % 2} {x} {y} 0.2 0.2\n" for n, (x, y) in enumerate(places)))


def second_labels(root: Path) -> None:
    path = root / "data.yaml"
    path.write_text(f"{path.read_text()}ir_labels: {{imagesIR: labelsIR}}\n", encoding="utf-8")
    for split in ("train", "val"):
        shutil.copytree(root / "labels" / split, root / "labelsIR" / split)
    relabel(root, "0 0.3 0.5 0.25 0.5\n", folder="labelsIR/train")


def textured(width: int, *, seed: int) -> NDArray[np.uint8]:
    """Return (240, width) levels with detail of three sizes, as scenes have it."""
    levels = np.zeros((240, width))
    for size, weight in ((40, 0.5), (12, 0.3), (5, 0.2)):
        grid = Image.fromarray(noise(240 // size + 2, width // size + 2, seed=seed + size))
        levels += weight * np.asarray(grid.resize((width, 240), Image.Resampling.BICUBIC))
    return levels.astype(np.uint8)


def film(root: Path, name: str, views: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> None:
    """Write pairs of 320 x 240 px; infrared is dark where visible is bright."""
    for number, (visible, infrared) in enumerate(views):
        colours = np.stack([visible, visible // 2 + 60, 255 - visible // 3], axis=2)
        for part, levels in (("images", colours), ("imagesIR", 255 - infrared)):
            path = root / f"{part}/train/{name.format(number)}.jpg"
            Image.fromarray(levels).save(path, quality=92)
        (root / f"labels/train/{name.format(number)}.txt").write_text("0 .5 .5 .2 .2\n")


def exchanged(root: Path) -> None:
    scenes = [textured(320, seed=1000 * number) for number in range(20)]
    order = [7, *range(1, 7), 0, *range(8, 20)]
    film(root, "scene_{}0x", [(scenes[n], scenes[order[n]]) for n in range(20)])


def delayed(root: Path) -> None:
    canvas = textured(640, seed=3)
    starts = range(0, 240, 8)
    views = [(canvas[:, at : at + 320], canvas[:, at + 16 : at + 336]) for at in starts]
    film(root, "pan_{:04d}", views)


def misaligned(root: Path) -> None:
    scenes = [textured(340, seed=1000 * number) for number in range(14)]
    film(root, "scene_{:04d}", [(scene[:, :320], scene[:, 4:324]) for scene in scenes])


def nearly_empty(root: Path) -> None:
    relabel(root, "")
    add_line(root, "0 .5 .5 .1 .1")


def narrow_window(root: Path) -> None:
    path = root / "data.yaml"
    path.write_text(f"{path.read_text()}thermal: {{range: [7000, 9000]}}\n")


def shared_labels(root: Path) -> None:
    """Number the images of every split from 0, and keep one folder of labels."""
    for part in ("images", "imagesIR", "labels"):
        for path in sorted((root / part).glob("*/*")):
            path.rename(path.with_name(path.name.partition("_")[2]))
    shutil.rmtree(root / "labels/val")
    for path in (root / "labels/train").iterdir():
        path.rename(root / "labels" / path.name)
    (root / "labels/train").rmdir()
    path = root / "data.yaml"
    path.write_text(f"{path.read_text()}annotations: labels\n")


PLANTED: dict[str, Callable[[Path], object]] = {
    "P01": lambda root: (root / IR).unlink(),
    "P02": lambda root: (root / RGB).unlink(),
    "P03": lambda root: shutil.copy(root / RGB, root / "images/train/TRAIN_001.png"),
    "P04": lambda root: save(root / IR, noise(48, 66)),
    "P05": swap,
    "P06": lambda root: Image.open(root / RGB).convert("L").save(root / IR),
    "P07": exchanged,
    "P08": delayed,
    "P09": misaligned,
    "P10": colour_map,
    "P11": lambda root: save(root / IR, np.full((48, 64), 30, np.uint8)),
    "P12": stuck,
    "P13": dead_row,
    "P14": deepen,
    "P15": empty_val,
    "P16": narrow_window,
    "I01": lambda root: (root / RGB).write_text("<html>not found</html>"),
    "I02": truncate,
    "I03": lambda root: Image.new("1", (8000, 6300)).save(root / IR),
    "I04": lambda root: (root / IR).rename((root / IR).with_suffix(".bmp")),
    "I05": lambda root: save(root / IR, noise(24, 32)),
    "I06": lambda root: change(root, RGB, lambda levels: levels / 12),
    "I07": lambda root: change(root, RGB, lambda levels: levels / 8 + 240),
    "I08": blur,
    "I09": lambda root: change(root, RGB, lambda levels: levels / 64 + 100),
    "I10": lambda root: (root / IR).with_suffix(".npy").write_bytes(b"counts"),
    "L01": lambda root: add_line(root, "0 .5 .5 .1"),
    "L02": lambda root: add_line(root, "2 .5 .5 .1 .1"),
    "L03": lambda root: add_line(root, "0 nan .5 .1 .1"),
    "L04": lambda root: add_line(root, "0 1.3 .5 .1 .1"),
    "L05": lambda root: add_line(root, "0 .5 .5 0 .1"),
    "L06": lambda root: add_line(root, "0 .5 .5 .005 .1"),
    "L07": lambda root: add_line(root, "0 .5 .5 1 1"),
    "L08": lambda root: add_line(root, "0 0.251 0.5 0.25 0.5"),
    "L09": lambda root: (root / LABEL).unlink(),
    "L10": nearly_empty,
    "L11": second_labels,
    "L12": corners,
    "L13": lambda root: shutil.copy(root / LABEL, root / "labels/train/lost.txt"),
    "L14": shared_labels,
    "D01": lambda root: shutil.copy(root / RGB, root / "images/train/train_002.jpg"),
    "D02": recoded,
    "D03": nearly_same,
    "D04": lambda root: shutil.copy(root / RGB, root / "images/val/val_000.jpg"),
    "D05": cut_recording,
    "S01": lambda root: relabel(root, "0 .5 .5 .5 .5\n", folder="labels/val"),
    "S02": many_small_boxes,
    "S03": third_class,
    "S04": wrong_yaml,
    "S05": spelt_twice,
}


# Rows of the fault matrix: codes up to the one that is named.
FAULTS = {"D": 38, "I": 32, "L": 36, "P06": 33, "P09": 34, "P16": 35}


def with_row(code: str) -> object:
    """Return a code as a parameter that is marked with its row of the fault matrix."""
    row = FAULTS.get(code[0]) or next((row for end, row in FAULTS.items() if code <= end), None)
    known = code[0] in "DILP" and row is not None
    return pytest.param(code, marks=pytest.mark.fault(row)) if known else code


@pytest.mark.parametrize("code", [with_row(code) for code in CODES])
def test_code_fires_on_its_planted_defect(code: str, make_pairs: Callable[..., Path]) -> None:
    path = make_pairs()
    PLANTED[code](path.parent)
    report = audit_path(path, workers=1)
    found = [entry for entry in report.findings if entry.code == code]
    assert found, report.counts
    assert CODES[code].level in {entry.level for entry in found}
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
