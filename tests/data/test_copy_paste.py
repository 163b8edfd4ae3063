from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fusetrain.data.copy_paste import MAX_COVERED, MAX_PASTED, Donor, paste_objects
from fusetrain.data.photometric import Look

PLAIN = Look(None, None, ir_noise=0.0, ir_shift_xy=(0, 0))
NO_BOXES: NDArray[np.float64] = np.zeros((0, 4))


def donor(*boxes: tuple[int, int, int, int], zoom: float = 1.0, fliplr: float = 0.5) -> Donor:
    """A dark image whose boxes are bright, in infrared by a level of their own."""
    pixels = np.full((160, 200, 4), 20, np.uint8)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = (240, 240, 240, 200)
    return Donor(pixels, np.array(boxes, np.float64), zoom, PLAIN, fliplr)


def canvas_of(level: int = 20) -> NDArray[np.uint8]:
    return np.full((256, 256, 4), level, np.uint8)


@pytest.mark.parametrize("zoom", [0.6, 1.0, 1.7])
def test_an_object_lies_in_its_box_in_both_modalities(zoom: float) -> None:
    for seed in range(20):
        canvas = canvas_of()
        rng = np.random.default_rng(seed)
        boxes, numbers = paste_objects(rng, canvas, NO_BOXES, donor((30, 40, 80, 70), zoom=zoom))
        assert numbers == [0]
        for channel, level in ((0, 130), (3, 110)):
            bright = canvas[..., channel] > level
            rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
            found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            np.testing.assert_allclose(boxes[0], found, atol=1.5)


def test_an_object_fades_into_what_lies_around_it() -> None:
    canvas = canvas_of(90)
    boxes, _ = paste_objects(np.random.default_rng(1), canvas, NO_BOXES, donor((40, 40, 90, 90)))
    left, top, right, _ = boxes[0].astype(int).tolist()
    row = canvas[top + 25, :, 3].astype(int)
    outside = np.abs(np.diff(row[: left - 1]))
    assert outside.max() < 20  # no border where the cut-out begins
    assert row[(left + right) // 2] == 200


def test_objects_cover_little_of_those_that_are_there() -> None:
    there = np.array([[x, y, x + 60.0, y + 60.0] for x in (0, 90, 180) for y in (0, 90, 180)])
    given = donor((10, 10, 60, 60), (80, 20, 120, 70), (20, 90, 50, 140))
    pasted = 0
    for seed in range(40):
        canvas = canvas_of()
        boxes, numbers = paste_objects(np.random.default_rng(seed), canvas, there, given)
        pasted += len(numbers)
        changed = (canvas != 20).any(axis=2)
        for left, top, right, bottom in there.astype(int).tolist():
            assert changed[top:bottom, left:right].mean() <= 3 * MAX_COVERED
        assert len(boxes) == len(numbers) == len(set(numbers))
    assert pasted > 10


def test_too_small_and_too_large_objects_stay_where_they_are() -> None:
    for given in (donor((10, 10, 13, 60)), donor((0, 0, 180, 150)), donor((5, 5, 60, 60), zoom=4)):
        canvas = canvas_of()
        boxes, numbers = paste_objects(np.random.default_rng(0), canvas, NO_BOXES, given)
        assert numbers == []
        assert boxes.shape == (0, 4)
        assert (canvas == 20).all()


def test_no_more_than_the_most_are_pasted_and_none_of_a_background() -> None:
    many = donor(*((x, y, x + 8, y + 8) for x in range(5, 190, 20) for y in range(5, 150, 20)))
    boxes, numbers = paste_objects(np.random.default_rng(0), canvas_of(), NO_BOXES, many)
    assert len(boxes) == len(numbers) == MAX_PASTED
    empty = Donor(many.pixels, NO_BOXES, 1.0, PLAIN, 0.5)
    assert paste_objects(np.random.default_rng(0), canvas_of(), NO_BOXES, empty)[1] == []


@pytest.mark.parametrize(("fliplr", "is_mirrored"), [(0.0, False), (1.0, True)])
def test_objects_are_mirrored_as_often_as_pictures(fliplr: float, is_mirrored: bool) -> None:
    given = donor((40, 40, 80, 80), fliplr=fliplr)
    given.pixels[40:80, 40:60] = 90  # the left half is darker
    for seed in range(10):
        canvas = canvas_of()
        ((left, top, right, bottom),), _ = paste_objects(
            np.random.default_rng(seed), canvas, NO_BOXES, given
        )
        inside = canvas[round(top) : round(bottom), round(left) : round(right), 0].astype(float)
        first, second = np.array_split(inside, 2, axis=1)
        assert bool(first.mean() > second.mean()) is is_mirrored


def test_an_object_at_the_border_keeps_its_box() -> None:
    canvas = canvas_of()
    boxes, numbers = paste_objects(
        np.random.default_rng(3), canvas, NO_BOXES, donor((0, 0, 40, 30))
    )
    assert numbers == [0]
    np.testing.assert_allclose(boxes[0, 2:] - boxes[0, :2], (40, 30))
