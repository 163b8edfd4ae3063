"""P09: what is measured on files, and what sequences and pairs are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from fusetrain.checks.images import PairTask
from fusetrain.checks.registration.greys import read_greys, taken_at
from fusetrain.checks.registration.shifts import (
    RegistrationFacts,
    check_registration,
    measure_registration,
    sequences_of,
)
from fusetrain.data.demo import demo_pair
from fusetrain.data.storage import AS_FILES


def fact(number: int, dx: float, dy: float, **others: object) -> RegistrationFacts:
    name = f"{number:04d}"
    known = RegistrationFacts("train", number, f"images/{name}.jpg", f"imagesIR/{name}.png", dx, dy)
    return replace(known, **{"is_sure": True, "score": 0.9, **others})


def write(folder: Path, number: int = 0, *, dx: int = 0, dy: int = 0) -> PairTask:
    """Write a pair whose infrared image must move by (dx, dy) of its 320 px."""
    scene = demo_pair(0, number)
    Image.fromarray(scene.rgb[24:-24, 30:-30]).save(folder / "rgb.png")
    infrared = scene.ir[24 + dy : 232 + dy, 30 + dx : 290 + dx]
    Image.fromarray(infrared).save(folder / "ir.png")
    return PairTask(str(folder), "train", 7, "rgb.png", "ir.png")


def test_shift_is_told_at_640_px(tmp_path: Path) -> None:
    facts = measure_registration(write(tmp_path, dx=12, dy=-5))
    assert (facts.split, facts.row, facts.is_sure) == ("train", 7, True)
    assert facts.dx_px == pytest.approx(12 * 640 / 260, abs=1.0)
    assert facts.dy_px == pytest.approx(-5 * 640 / 260, abs=1.0)
    assert facts.apart_px == pytest.approx(32.0, abs=2.0)


def test_radiometric_infrared_is_measured(tmp_path: Path) -> None:
    task = write(tmp_path, dx=8)
    counts = np.asarray(Image.open(tmp_path / "ir.png")).astype(np.uint16) * 3 + 29_000
    Image.fromarray(counts).save(tmp_path / "ir.png")
    assert measure_registration(task).dx_px == pytest.approx(8 * 640 / 260, abs=1.0)


def test_counts_that_are_not_finite_are_no_hindrance(tmp_path: Path) -> None:
    task = replace(write(tmp_path, dx=8), ir_path="ir.tif")
    degrees = np.asarray(Image.open(tmp_path / "ir.png")).astype(np.float32) / 10.0
    degrees[:3] = np.nan
    degrees[50, 50] = np.inf
    Image.fromarray(degrees).save(tmp_path / "ir.tif")
    assert measure_registration(task).dx_px == pytest.approx(8 * 640 / 260, abs=1.0)
    Image.fromarray(np.full((208, 260), np.nan, np.float32)).save(tmp_path / "ir.tif")
    assert measure_registration(task).dx_px is None


@pytest.mark.parametrize("name", ["rgb.png", "ir.png"])
def test_unreadable_images_are_unknown_not_an_error(tmp_path: Path, name: str) -> None:
    task = write(tmp_path)
    (tmp_path / name).write_bytes(b"no image")
    facts = measure_registration(task)
    assert facts == RegistrationFacts("train", 7, "rgb.png", "ir.png")
    assert read_greys(str(tmp_path), "rgb.png", "ir.png", storage=AS_FILES) is None
    (tmp_path / name).unlink()
    assert measure_registration(task).dx_px is None


def test_time_comes_from_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {
            ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09",
            ExifTags.Base.SubsecTimeOriginal: "25",
        }
    )
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 64)).save(path, exif=exif)
    assert taken_at(str(path)) == datetime(2024, 5, 6, 7, 8, 9, 250_000)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "yesterday"
    Image.new("RGB", (64, 64)).save(path, exif=exif)
    assert taken_at(str(path)) is None
    assert taken_at(str(tmp_path / "none.jpg")) is None


@pytest.mark.parametrize(
    ("dx", "count", "levels"),
    [
        (0.0, 12, []),
        (4.9, 12, []),
        (7.0, 12, ["warn"]),
        (14.0, 12, ["error"]),
        (14.0, 9, ["warn"] * 9),
        (7.0, 9, []),
    ],
)
def test_level_follows_shift_and_length_of_the_sequence(
    dx: float, count: int, levels: list[str]
) -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    facts = [fact(number, dx + rng.normal(0, 0.4), 0.5) for number in range(count)]
    assert [entry.level for entry in check_registration(facts)] == levels


def test_the_limit_can_be_set() -> None:
    facts = [fact(number, 14.0, 0.0) for number in range(12)]
    assert [entry.level for entry in check_registration(facts, max_shift_px=20.0)] == ["warn"]
    assert [entry.level for entry in check_registration(facts, max_shift_px=3.0)] == ["error"]


def test_a_sequence_is_told_once_with_its_numbers() -> None:
    facts = [fact(number, 14.0, -3.0) for number in range(12)]
    facts[5] = fact(5, 40.0, 0.0)
    whole, single = check_registration(facts)
    assert (whole.level, whole.path) == ("error", "")
    assert "imagesIR/#: infrared lies 14.3 px from visible (dx +14.0, dy -3.0" in whole.message
    assert whole.numbers["sure_pairs"] == 12
    assert whole.numbers["mad_px"] == 0.0
    assert (single.level, single.path) == ("warn", "imagesIR/0005.png")


def test_pairs_that_are_not_sure_say_nothing() -> None:
    doubtful = [fact(number, 50.0, 0.0, is_sure=False) for number in range(60)]
    assert check_registration(doubtful) == []
    few = [*doubtful, *(fact(100 + number, 8.0, 0.0) for number in range(10))]
    assert check_registration(few) == []


def test_turn_and_scale_count_as_far_as_they_move_the_picture() -> None:
    facts = [fact(n, 1.0, 0.0, rotation_deg=0.1, scale=1.08) for n in range(12)]
    (entry,) = check_registration(facts)
    assert entry.level == "error"
    assert "scale 1.080" in entry.message
    assert "turned" not in entry.message
    assert entry.numbers["shift_px"] == pytest.approx(0.08 * 236.6, abs=0.2)


def test_short_runs_are_put_together_by_folder() -> None:
    facts = [
        replace(fact(number, 0.0, 0.0), ir_path=f"imagesIR/{place}/take{number % 4}_{number}.png")
        for place in "ab"
        for number in range(12)
    ]
    names = {name for _, name in sequences_of(facts)}
    assert names == {"imagesIR/a", "imagesIR/b"}
    assert sum(map(len, sequences_of(facts).values())) == 24
