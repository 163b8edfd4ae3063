"""Dead lines, stripes and sharpness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fusetrain.checks.lines import measure_lines, sharpness, spaced


def scene(*, seed: int = 1, size: tuple[int, int] = (320, 240)) -> NDArray[np.uint8]:
    rng = np.random.Generator(np.random.PCG64(seed))
    coarse = Image.fromarray(rng.integers(30, 220, (24, 32), np.uint8))
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float64)
    return np.clip(smooth + rng.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)


class LineNumbers(NamedTuple):
    dead_rows: int = 0
    dead_columns: int = 0
    row_pattern: float = 0.0
    column_pattern: float = 0.0


def measured(images: Sequence[NDArray[np.uint8]]) -> list[LineNumbers]:
    rows = [levels[spaced(len(levels))] for levels in images]
    columns = [levels[:, spaced(levels.shape[1])] for levels in images]
    found = measure_lines(rows, columns)
    parts = [found[name].tolist() for name in LineNumbers._fields]
    return [LineNumbers(*own) for own in zip(*parts, strict=True)]


def numbers(levels: NDArray[np.uint8]) -> LineNumbers:
    return measured([levels])[0]


def test_places_lie_evenly_and_centred() -> None:
    assert spaced(64).tolist() == [2 * line + 1 for line in range(32)]
    assert spaced(5).tolist() == [0, 1, 2, 3, 4]
    assert (spaced(41).min(), spaced(41).max()) == (0, 40 - 1)


@pytest.mark.parametrize("seed", range(5))
def test_clean_scenes_have_neither_dead_lines_nor_stripes(seed: int) -> None:
    assert numbers(scene(seed=seed)) == LineNumbers()


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_dead_lines_are_counted(level: int, number: int) -> None:
    levels = scene()
    levels[100 : 100 + number] = level
    assert (numbers(levels).dead_rows, numbers(levels).dead_columns) == (number, 0)
    assert (numbers(levels.T).dead_rows, numbers(levels.T).dead_columns) == (0, number)


def test_a_line_with_noise_that_stands_out_is_dead() -> None:
    levels = scene(seed=3) // 2
    levels[77] = 200 + np.random.Generator(np.random.PCG64(0)).integers(0, 40, 320)
    assert numbers(levels).dead_rows == 1


def test_borders_and_flat_parts_are_not_dead() -> None:
    letterbox = scene()
    letterbox[:30] = letterbox[-30:] = 0
    letterbox[:, :20] = 255
    assert numbers(letterbox) == LineNumbers()
    sky = scene()
    sky[40:140] = 0
    assert numbers(sky).dead_rows == 0


@pytest.mark.parametrize("levels_rms", [3.0, 6.0])
def test_stripes_are_measured_in_levels(levels_rms: float) -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    striped = np.clip(scene() + rng.normal(0, levels_rms, 320), 0, 255).astype(np.uint8)
    assert numbers(striped).column_pattern == pytest.approx(levels_rms, rel=0.2)
    assert numbers(striped).row_pattern == 0.0
    assert numbers(striped.T).row_pattern == pytest.approx(levels_rms, rel=0.2)


def test_some_edges_across_the_image_are_no_stripes() -> None:
    road = scene()
    for row in (60, 61, 120, 180):
        road[row] = np.minimum(road[row].astype(np.int64) + 30, 255)
    assert numbers(road).row_pattern < 1.0


def test_sharpness_falls_with_blur_and_ignores_contrast() -> None:
    image = Image.fromarray(scene())
    found = sharpness(
        [np.asarray(image.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 2, 5, 10)],
        apart=8,
    ).tolist()
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(1 / 8, abs=0.02)
    pale = np.asarray(image) // 2
    assert sharpness([pale], apart=8).tolist() == pytest.approx(found[:1], rel=0.02)


def test_small_and_constant_images_have_numbers_too() -> None:
    for shape in ((1, 1), (31, 200), (200, 31), (40, 40)):
        flat = np.full(shape, 7, np.uint8)
        assert numbers(flat) == LineNumbers()
        assert sharpness([flat], apart=8).tolist() == [1.0]


def test_images_of_many_sizes_are_measured_as_each_alone() -> None:
    striped = np.clip(scene() + np.random.default_rng(0).normal(0, 5, 320), 0, 255)
    dead = scene(seed=4, size=(200, 64))
    dead[40] = 255
    images = [
        np.full((3, 5), 9, np.uint8),
        scene(seed=2),
        striped.astype(np.uint8),
        np.eye(20, 7, dtype=np.uint8),
        dead,
        scene(seed=5, size=(33, 40)),
    ]
    assert measured(images) == [numbers(levels) for levels in images]
    assert measured(images)[4].dead_rows
    rows = [levels[spaced(len(levels))] for levels in images]
    alone = [sharpness([own], apart=8)[0] for own in rows]
    assert sharpness(rows, apart=8).tolist() == alone
    assert measured([]) == []


def test_dead_lines_are_told_by_their_place_in_their_own_image() -> None:
    """Flat lines at the border of one image never join with those of the next."""
    plain, bordered, dead, both, sky = (scene(seed=seed) for seed in range(5))
    bordered[:1] = bordered[-1:] = 0
    dead[1] = dead[-2] = 255
    both[:3] = 0
    both[100:103] = 0
    sky[: 240 // 2] = 7
    images = [bordered, plain, dead, bordered, both, sky, dead]
    expected = [0, 0, 2, 0, 3, 0, 2]
    assert [found.dead_rows for found in measured(images)] == expected
    assert [found.dead_columns for found in measured([one.T for one in images])] == expected


def test_stripes_beside_dead_lines_are_measured_without_them() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    striped = np.clip(scene() + rng.normal(0, 5, 320), 0, 255).astype(np.uint8)
    broken = striped.copy()
    broken[:, 150] = 255
    before, after = measured([striped, broken])
    assert (before.dead_columns, after.dead_columns) == (0, 1)
    assert after.column_pattern == pytest.approx(before.column_pattern, rel=0.05)
