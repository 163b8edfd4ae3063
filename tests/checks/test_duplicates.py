"""D01 to D05 from facts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fusetrain.checks.duplicates import check_duplicates
from fusetrain.checks.flow.facts import FactsTable
from fusetrain.checks.images import ImageFacts, PairFacts
from fusetrain.checks.leakage import check_neighbours


def image(seed: int, **changes: Any) -> ImageFacts:
    """Return the facts of a picture of its own; equal seeds are equal files."""
    rng = np.random.Generator(np.random.PCG64(seed))
    facts = ImageFacts(
        (480, 640),
        8,
        int.from_bytes(rng.bytes(32)[:3], "little"),
        chroma=20.0,
        num_colours=500,
        spread=200.0,
        format="JPEG",
        picture=rng.bytes(16),
        phash=rng.bytes(8),
        dhash=rng.bytes(8),
        means=rng.bytes(64),
    )
    return replace(facts, **changes)


def pair(
    row: int, split: str = "train", *, name: str = "", **images: ImageFacts | None
) -> PairFacts:
    name = name or f"x{row:03d}y"
    facts = PairFacts(
        split,
        row,
        f"images/{split}/{name}.jpg",
        f"imagesIR/{split}/{name}.png",
        image(1000 + row + 500 * (split != "train")),
        image(2000 + row + 500 * (split != "train")),
    )
    return replace(facts, **images)


def told(facts: Sequence[PairFacts]) -> list[tuple[str, str, str, str]]:
    """Return code, level, split and path; columns must say the same as objects."""
    found = check_duplicates(facts)
    assert check_duplicates(FactsTable.pack(PairFacts, facts)) == found
    return [(entry.code, entry.level, entry.split, entry.path) for entry in found]


def test_pictures_of_their_own_are_no_duplicates() -> None:
    assert told([pair(row) for row in range(30)] + [pair(0, "val")]) == []
    assert told([]) == []


def test_same_bytes_same_picture_and_similar_picture_are_told_apart() -> None:
    same = image(1)
    facts = [
        pair(0, rgb=same),
        pair(1, rgb=same),
        pair(2, rgb=replace(same, checksum=ord("x"))),
        pair(3, rgb=replace(same, checksum=ord("y"), picture=b"y" * 16)),
        pair(4, rgb=replace(same, checksum=ord("z"), picture=b"z" * 16, format="PNG")),
    ]
    assert told(facts) == [
        ("D01", "warn", "train", "images/train/x001y.jpg"),
        ("D02", "warn", "train", "images/train/x002y.jpg"),
        ("D03", "info", "train", "images/train/x003y.jpg"),
        ("D02", "warn", "train", "images/train/x004y.jpg"),
    ]


@pytest.mark.fault(38)
def test_across_splits_the_copy_is_an_error_and_the_look_a_warning() -> None:
    first, second = image(1), image(2)
    facts = [
        pair(0, rgb=first),
        pair(1, ir=second),
        pair(0, "val", rgb=first),
        pair(1, "val", ir=replace(second, checksum=ord("x"))),
        pair(2, "val", rgb=replace(first, checksum=ord("y"), picture=b"y" * 16)),
        pair(3, "val", rgb=replace(first, checksum=ord("z"), picture=b"z" * 16, format="BMP")),
    ]
    assert told(facts) == [
        ("D04", "error", "val", "images/val/x000y.jpg"),
        ("D04", "error", "val", "imagesIR/val/x001y.png"),
        ("D04", "warn", "val", "images/val/x002y.jpg"),
        ("D04", "error", "val", "images/val/x003y.jpg"),
    ]


def test_a_near_picture_of_another_split_goes_before_one_of_its_own() -> None:
    same = image(1)
    near = [replace(same, checksum=n, picture=bytes([n]) * 16) for n in range(4)]
    facts = [pair(0, rgb=near[0]), pair(0, "val", rgb=near[1]), pair(1, "val", rgb=near[2])]
    found = check_duplicates(facts)
    assert [entry.code for entry in found] == ["D04", "D04"]
    assert all("images/train/x000y.jpg (train)" in entry.message for entry in found)


def test_blank_pictures_are_not_compared_and_infrared_stands_in_for_blank_visible() -> None:
    blank = image(5, spread=1.0, means=b"\x10" * 64)
    facts = [pair(row, rgb=blank) for row in range(3)]
    assert told(facts) == []
    warm = image(6)
    other = replace(warm, checksum=ord("o"), picture=b"o" * 16)
    facts = [pair(0, rgb=blank, ir=warm), pair(1, rgb=None, ir=other)]
    assert told(facts) == [("D03", "info", "train", "imagesIR/train/x001y.png")]


def test_a_stuck_camera_is_not_told_again_as_duplicates() -> None:
    frozen = image(7)
    assert told([pair(row, ir=frozen) for row in range(3)]) == []
    assert [entry[0] for entry in told([pair(row, ir=frozen) for row in range(2)])] == ["D01"]


def test_one_file_for_both_modalities_is_no_duplicate() -> None:
    both = image(1)
    assert told([replace(pair(0, rgb=both, ir=both), ir_path="images/train/x000y.jpg")]) == []


def walk(number: int) -> bytes:
    """Return hashes in which neighbours differ in few bits and strangers in half of them."""
    rng = np.random.Generator(np.random.PCG64(9))
    bits = rng.integers(0, 2, 64)
    for _ in range(number):
        bits[rng.choice(64, 3, replace=False)] ^= 1
    return np.packbits(bits).tobytes()


def run_frames(numbers: Sequence[int], split: str, *, alike: bool = True) -> list[PairFacts]:
    return [
        pair(
            row,
            split,
            name=f"drive/frame_{number * 10:06d}",
            rgb=image(number, **({"phash": walk(number)} if alike else {})),
        )
        for row, number in enumerate(numbers)
    ]


@pytest.mark.fault(38)
def test_a_recording_dealt_to_two_splits_is_told_once() -> None:
    train = [number for number in range(60) if number % 5]
    facts = run_frames(train, "train") + run_frames(range(0, 60, 5), "val")
    (found,) = check_neighbours(facts)
    assert (found.code, found.level, found.split) == ("D05", "warn", "val")
    assert found.path == "images/val/drive/frame_000000.jpg"
    assert found.numbers == {"close": 12, "frames": 12, "step": 10}
    assert "12 of 12 frames" in found.message
    assert check_neighbours(FactsTable.pack(PairFacts, facts)) == [found]


@pytest.mark.parametrize(
    ("train", "val", "alike"),
    [
        (range(40), range(40, 60), True),  # cut once
        (range(40), range(60, 80), True),  # with a gap
        ([n for n in range(60) if n % 5], range(0, 60, 5), False),  # numbered photographs
        (range(0), range(20), True),
    ],
)
def test_blocks_and_unrelated_pictures_are_no_leak(
    train: Sequence[int], val: Sequence[int], alike: bool
) -> None:
    facts = run_frames(train, "train", alike=alike) + run_frames(val, "val", alike=alike)
    assert check_neighbours(facts) == []


def test_recordings_of_their_own_names_do_not_meet() -> None:
    facts = run_frames(range(30), "train")
    other = [
        replace(fact, rgb_path=fact.rgb_path.replace("drive", "ride"))
        for fact in run_frames(range(30), "val")
    ]
    assert check_neighbours(facts + other) == []


def test_folder_that_is_listed_twice_is_told_by_its_files() -> None:
    once = [pair(row) for row in range(3)]
    again = [replace(fact, row=3 + fact.row) for fact in once]
    found = check_duplicates(once + again)
    assert {entry.code for entry in found} == {"D01"}
    assert len(found) == 6
    assert found[0].message == f"same file as {found[0].path} (train)"
