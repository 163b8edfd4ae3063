"""P07 and P08: wrong partners and cameras out of step, on pictures that were planted so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.findings import Finding
from fusetrain.checks.images import PairTask
from fusetrain.checks.registration.out_of_step import best_step, check_clocks
from fusetrain.checks.registration.partners import (
    PartnerTask,
    check_partners,
    crashed_partners,
    measure_partners,
    partner_tasks,
)
from fusetrain.checks.registration.shifts import RegistrationFacts, measure_registration
from fusetrain.checks.registration.strangers import check_unrelated, standard_scores
from fusetrain.data.demo import demo_pair

Images = Sequence[NDArray[np.uint8]]


def write(folder: Path, rgb: Images, ir: Images, *, name: str = "frame_{:03d}") -> list[PairTask]:
    tasks = []
    for row, (visible, infrared) in enumerate(zip(rgb, ir, strict=True)):
        stem = name.format(row)
        Image.fromarray(visible).save(folder / f"{stem}_rgb.png")
        Image.fromarray(infrared).save(folder / f"{stem}_ir.png")
        tasks.append(PairTask(str(folder), "train", row, f"{stem}_rgb.png", f"{stem}_ir.png"))
    return tasks


def found_in(tasks: Sequence[PairTask]) -> list[Finding]:
    facts = [measure_registration(task) for task in tasks]
    blocks = partner_tasks(facts, tasks[0].root)
    return check_partners(facts, [measure_partners(block) for block in blocks])


def scenes(count: int) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    drawn = [demo_pair(0, number) for number in range(count)]
    return [scene.rgb for scene in drawn], [scene.ir for scene in drawn]


def test_true_partners_are_left_alone(tmp_path: Path) -> None:
    assert found_in(write(tmp_path, *scenes(20))) == []


@pytest.mark.fault(34)
def test_swapped_partners_are_named_and_a_stranger_is_told(tmp_path: Path) -> None:
    rgb, ir = scenes(20)
    ir[3], ir[9] = ir[9], ir[3]
    ir[14] = demo_pair(0, 50).ir
    found = {entry.path: entry.message for entry in found_in(write(tmp_path, rgb, ir))}
    assert found.keys() == {"frame_003_ir.png", "frame_009_ir.png", "frame_014_ir.png"}
    assert "fits frame_009_rgb.png, not its partner frame_003_rgb.png" in found["frame_003_ir.png"]
    assert "no better than with others" in found["frame_014_ir.png"]


def test_names_that_slipped_are_found_though_no_pair_is_right(tmp_path: Path) -> None:
    rgb, ir = scenes(25)
    found = found_in(write(tmp_path, rgb[1:], ir[:-1]))
    codes = [entry.code for entry in found]
    assert codes.count("P08") == 1
    assert codes.count("P07") >= 15
    (slip,) = [entry for entry in found if "names slipped" in entry.message]
    assert slip.numbers["pairs"] >= 14
    assert slip.numbers["places"] == -1
    assert "each fit the visible one 1 place earlier" in slip.message
    assert "only 0 of 24 pairs show the same scene" in found[0].message
    (late,) = [entry for entry in found if entry.code == "P08"]
    assert late.numbers["frames"] == 1


def pan(count: int, *, delay: int = 0) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Return a camera that drives along a wall of scenes, infrared ``delay`` frames behind."""
    wall = [np.concatenate(part, axis=1) for part in scenes(8)]
    places = [20 * number for number in range(count + abs(delay))]
    rgb = [wall[0][:, place : place + 320] for place in places]
    ir = [wall[1][:, place : place + 320] for place in places]
    late = max(0, delay)
    early = max(0, -delay)
    return rgb[late : late + count], ir[early : early + count]


def still(count: int, *, delay: int = 0) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Return a fixed camera before which a person walks to and fro."""
    backdrop = demo_pair(0, 4)
    frames: list[list[NDArray[np.uint8]]] = [[], []]
    for number in range(count):
        for camera, picture in enumerate((backdrop.rgb, backdrop.ir)):
            time = number - (delay if camera else 0)
            x, y = int(140 + 110 * math.sin(0.55 * time)), int(110 + 60 * math.cos(0.4 * time))
            frame = picture.copy()
            frame[y : y + 60, x : x + 24] = 40 if camera == 0 else 230
            frames[camera].append(frame)
    return frames[0], frames[1]


@pytest.mark.parametrize("delay", [0, 2, -1])
@pytest.mark.fault(34)
def test_delay_of_a_driving_camera_is_counted_in_frames(tmp_path: Path, delay: int) -> None:
    found = found_in(write(tmp_path, *pan(24, delay=delay)))
    assert [entry.numbers["frames"] for entry in found if entry.code == "P08"] == [delay][
        : delay**2
    ]


@pytest.mark.parametrize("delay", [0, 3])
def test_before_a_fixed_camera_only_what_moves_counts(tmp_path: Path, delay: int) -> None:
    found = found_in(write(tmp_path, *still(30, delay=delay)))
    assert [entry.code for entry in found] == ["P08"] * (delay != 0)
    assert [entry.numbers["frames"] for entry in found] == [delay] * (delay != 0)


def test_frames_of_which_nothing_moves_tell_no_delay(tmp_path: Path) -> None:
    scene = demo_pair(0, 1)
    assert found_in(write(tmp_path, [scene.rgb] * 20, [scene.ir] * 20)) == []


def test_unreadable_images_leave_the_others_judged(tmp_path: Path) -> None:
    rgb, ir = scenes(20)
    ir[3], ir[9] = ir[9], ir[3]
    tasks = write(tmp_path, rgb, ir)
    facts = [measure_registration(task) for task in tasks]
    (tmp_path / "frame_003_ir.png").write_bytes(b"gone")
    blocks = [block for block in partner_tasks(facts, str(tmp_path)) if block.purpose == "P07"]
    found = check_partners(facts, [measure_partners(block) for block in blocks])
    assert [entry.path for entry in found] == ["frame_009_ir.png"]
    assert check_partners(facts, [crashed_partners(block) for block in blocks]) == []


def test_a_block_without_a_readable_image_says_nothing(tmp_path: Path) -> None:
    names = tuple(f"{number}.png" for number in range(10))
    task = PartnerTask(str(tmp_path), "train", tuple(range(10)), names, names, "P08")
    facts = measure_partners(task)
    assert np.isnan(facts.scores).all()
    assert check_partners([], [facts]) == []


def test_unknown_images_have_no_standard_score() -> None:
    scores = np.random.Generator(np.random.PCG64(0)).normal(0.1, 0.01, (12, 12))
    np.fill_diagonal(scores, 0.4)
    scores[4] = scores[:, 4] = np.nan
    block = standard_scores(scores)
    assert np.isnan(block.own[4])
    assert (np.delete(block.own, 4) > 5.0).all()
    assert np.delete(block.best, 4).tolist() == [place for place in range(12) if place != 4]


def test_a_step_needs_nearly_all_frames() -> None:
    scores = np.full((20, 20), 0.1)
    np.fill_diagonal(scores, 0.3)
    assert best_step(scores) == 0
    scores[np.arange(18), np.arange(2, 20)] = 0.5
    assert best_step(scores) == 2
    scores[np.arange(6), np.arange(2, 8)] = 0.2
    assert best_step(scores) == 0
    assert best_step(np.full((20, 20), np.nan)) == 0


def test_clocks_that_differ_alike_are_fine() -> None:
    plain = RegistrationFacts("train", 0, "a.jpg", "b.jpg")
    facts = [replace(plain, row=row, seconds_apart=3600.0) for row in range(8)]
    assert check_clocks(facts) == []
    facts[2] = replace(facts[2], seconds_apart=3605.5)
    (entry,) = check_clocks(facts)
    assert (entry.code, entry.level, entry.path) == ("P08", "warn", "b.jpg")
    assert "5.5 s after" in entry.message


def test_few_pairs_are_never_called_unrelated() -> None:
    plain = RegistrationFacts("train", 0, "a.jpg", "b.jpg", 1.0, 1.0)
    assert check_unrelated([replace(plain, row=row) for row in range(19)]) == []
    assert len(check_unrelated([replace(plain, row=row) for row in range(20)])) == 1
    mixed = [replace(plain, row=row, is_sure=row % 5 == 0) for row in range(40)]
    assert check_unrelated(mixed) == []
