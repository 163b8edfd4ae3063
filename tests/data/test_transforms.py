from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fusetrain.data.placement import GeometryRanges, Placement, Size, draw_mosaic, draw_single
from fusetrain.data.transforms import (
    PADDING,
    boxes_in_pixels,
    cut,
    letterbox,
    letterbox_size,
    move_boxes,
    paste,
    size_filling,
)

Rng = np.random.Generator
CANVAS = 320
STILL = GeometryRanges()
LIVELY = GeometryRanges(scale=0.5, translate=0.1, fliplr=0.5)


def one(rng: Rng, size_hw: Size, ranges: GeometryRanges, side: int = CANVAS) -> Placement:
    return draw_single(rng, size_hw, canvas_hw=(side, side), long_side=side, ranges=ranges)


def four(
    rng: Rng, sizes_hw: list[Size], ranges: GeometryRanges, side: int = CANVAS
) -> tuple[Placement, ...]:
    return draw_mosaic(rng, sizes_hw, canvas=side, long_side=side, ranges=ranges)


def painted(size_hw: Size, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    pixels = np.zeros((*size_hw, 4), np.uint8)
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = 255
    return pixels


def extent(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def laid_out(pixels: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    canvas = np.full((CANVAS, CANVAS, 4), PADDING, np.uint8)
    paste(canvas, cut(pixels, placement), placement, pixels.shape[:2])
    return canvas


def random_pair(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    height, width = (int(side) for side in rng.integers(60, 500, 2))
    left, top = int(rng.integers(0, width - 30)), int(rng.integers(0, height - 30))
    right = int(rng.integers(left + 20, width + 1))
    bottom = int(rng.integers(top + 20, height + 1))
    box = (left, top, right, bottom)
    return painted((height, width), box), np.array([box], np.float64)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_a_painted_box_still_fits_its_pixels_on_the_canvas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels, box = random_pair(rng)
    placement = one(rng, pixels.shape[:2], LIVELY)
    moved, kept = move_boxes(box, [placement])
    canvas = laid_out(pixels, placement)
    if kept[0]:
        np.testing.assert_allclose(moved[0], extent(canvas[..., 0] > 127), atol=1.0)
        np.testing.assert_allclose(moved[0], extent(canvas[..., 3] > 127), atol=1.0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_painted_boxes_still_fit_their_pixels_in_a_mosaic(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [random_pair(rng) for _ in range(4)]
    sizes = [pixels.shape[:2] for pixels, _ in pairs]
    placements = four(rng, sizes, LIVELY)
    canvas = np.full((CANVAS, CANVAS, 4), PADDING, np.uint8)
    for (pixels, _), placement in zip(pairs, placements, strict=True):
        paste(canvas, cut(pixels, placement), placement, pixels.shape[:2])
    for (_, box), placement in zip(pairs, placements, strict=True):
        moved, kept = move_boxes(box, [placement])
        left, top, right, bottom = placement.window_xyxy
        if kept[0]:
            inside = extent(canvas[top:bottom, left:right, 1] > 127)
            inside += np.array((left, top, left, top))
            np.testing.assert_allclose(moved[0], inside, atol=1.0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_a_turned_box_encloses_its_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels, box = random_pair(rng)
    ranges = GeometryRanges(scale=0.3, fliplr=0.5, degrees=15.0)
    placement = one(rng, pixels.shape[:2], ranges)
    moved, kept = move_boxes(box, [placement])
    mask = laid_out(pixels, placement)[..., 0] > 200
    if kept[0] and mask.any():
        found = extent(mask)
        assert (found[:2] >= moved[0, :2] - 1.0).all()
        assert (found[2:] <= moved[0, 2:] + 1.0).all()
        whole = (moved[0] != np.clip(moved[0], *_bounds(placement))).sum() == 0
        assert whole


def _bounds(placement: Placement) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, top, right, bottom = placement.window_xyxy
    return np.array([left, top, left, top], float), np.array([right, bottom, right, bottom], float)


def test_a_turned_square_touches_all_sides_of_its_box() -> None:
    pixels = painted((320, 320), (120, 120, 200, 200))
    placement = Placement((0, 0, 320, 320), (0, 0, 320, 320), degrees=30.0)
    moved, kept = move_boxes(np.array([[120.0, 120.0, 200.0, 200.0]]), [placement])
    assert kept.all()
    half = 40 * (np.cos(np.pi / 6) + np.sin(np.pi / 6))
    np.testing.assert_allclose(moved[0], [160 - half, 160 - half, 160 + half, 160 + half])
    np.testing.assert_allclose(
        moved[0], extent(laid_out(pixels, placement)[..., 0] > 120), atol=1.5
    )


def test_the_turn_of_pixels_and_boxes_goes_the_same_way() -> None:
    pixels = painted((320, 320), (20, 150, 60, 170))
    placement = Placement((0, 0, 320, 320), (0, 0, 320, 320), is_flipped=True, degrees=20.0)
    moved, _ = move_boxes(np.array([[20.0, 150.0, 60.0, 170.0]]), [placement])
    found = extent(laid_out(pixels, placement)[..., 2] > 120)
    np.testing.assert_allclose(moved[0], found, atol=1.5)
    assert moved[0, 0] > 160


def test_without_ranges_a_pair_lies_centred_and_fills_its_long_side() -> None:
    placement = one(np.random.default_rng(0), (180, 320), STILL)
    assert placement == Placement((0, 0, 320, 180), (0, 70, 320, 250))


def test_zooms_of_a_pair_cover_the_range_and_not_more() -> None:
    rng = np.random.default_rng(1)
    ranges = GeometryRanges(scale=0.5)
    placements = [one(rng, (200, 400), ranges) for _ in range(300)]
    zooms = np.array([placement.zoom_xy for placement in placements]) * 400 / CANVAS
    assert 0.49 < zooms.min() < 0.55
    assert 1.45 < zooms.max() < 1.51
    np.testing.assert_allclose(zooms[:, 0], zooms[:, 1], rtol=0.02)


def test_every_part_of_a_zoomed_pair_can_be_seen() -> None:
    rng = np.random.default_rng(2)
    seen = np.zeros((400, 400), np.int64)
    for _ in range(300):
        placement = one(rng, (400, 400), GeometryRanges(scale=0.5))
        left, top, right, bottom = placement.crop_xyxy
        seen[top:bottom, left:right] += 1
    assert seen.min() > 100


@pytest.mark.parametrize("size_hw", [(300, 530), (530, 300), (400, 400), (90, 640)])
def test_mosaic_tiles_never_overlap_and_leave_little_empty(size_hw: Size) -> None:
    rng = np.random.default_rng(3)
    filled = []
    for _ in range(100):
        count = np.zeros((CANVAS, CANVAS), np.int64)
        for placement in four(rng, [size_hw] * 4, LIVELY):
            left, top, right, bottom = placement.window_xyxy
            count[top:bottom, left:right] += 1
            x0, y0, x1, y1 = placement.crop_xyxy
            assert 0 <= x0 < x1 <= size_hw[1]
            assert 0 <= y0 < y1 <= size_hw[0]
        assert count.max() == 1
        filled.append(count.mean())
    assert np.mean(filled) > (0.85 if min(size_hw) > 100 else 0.25)


def test_extreme_shapes_and_ranges_give_windows_on_the_canvas() -> None:
    rng = np.random.default_rng(4)
    ranges = GeometryRanges(scale=0.99, translate=1.0, fliplr=1.0)
    for size_hw in ((1, 1), (1, 2000), (3000, 2), (7, 5)):
        for _ in range(50):
            single = one(rng, size_hw, ranges, 64)
            for placed in (single, *four(rng, [size_hw] * 4, ranges, 64)):
                left, top, right, bottom = placed.window_xyxy
                assert 0 <= left < right <= 64
                assert 0 <= top < bottom <= 64
                x0, y0, x1, y1 = placed.crop_xyxy
                assert 0 <= x0 < x1 <= size_hw[1]
                assert 0 <= y0 < y1 <= size_hw[0]


@pytest.mark.parametrize(
    ("box", "is_kept"),
    [
        ((10.0, 10.0, 30.0, 30.0), True),
        ((-60.0, 10.0, 20.0, 30.0), True),  # a quarter is left
        ((-285.0, 10.0, 15.0, 30.0), False),  # 5 % is left
        ((40.0, 10.0, 41.5, 30.0), False),  # narrower than 2 px
        ((-30.0, 10.0, -5.0, 30.0), False),  # outside
        ((-5.0, -5.0, 105.0, 105.0), True),  # larger than the window
    ],
)
def test_boxes_are_clipped_and_dropped_when_too_little_is_left(
    box: tuple[float, float, float, float], is_kept: bool
) -> None:
    placement = Placement((0, 0, 100, 100), (0, 0, 100, 100))
    moved, kept = move_boxes(np.array([box]), [placement])
    assert kept[0] == is_kept
    np.testing.assert_array_equal(moved[0], np.clip(box, 0.0, 100.0))


def test_no_boxes_stay_no_boxes() -> None:
    moved, kept = move_boxes(np.zeros((0, 4)), [Placement((0, 0, 9, 9), (0, 0, 9, 9), degrees=5.0)])
    assert moved.shape == (0, 4)
    assert kept.shape == (0,)


def test_boxes_of_several_sources_move_as_each_source_alone() -> None:
    rng = np.random.default_rng(5)
    ranges = GeometryRanges(scale=0.5, fliplr=0.5, degrees=20.0)
    pairs = [random_pair(rng) for _ in range(4)]
    sizes = [pixels.shape[:2] for pixels, _ in pairs]
    placements = four(rng, sizes, ranges)
    boxes = [np.repeat(box, number, axis=0) for number, (_, box) in enumerate(pairs)]
    together = move_boxes(np.concatenate(boxes), placements, counts=[0, 1, 2, 3])
    alone = [move_boxes(own, [placed]) for own, placed in zip(boxes, placements, strict=True)]
    for number in (0, 1):
        expected = np.concatenate([moved[number] for moved in alone])
        np.testing.assert_array_equal(together[number], expected)


@pytest.mark.parametrize(
    ("size_hw", "content_hw", "canvas_hw"),
    [
        ((512, 640), (256, 320), (256, 320)),
        ((300, 530), (181, 320), (192, 320)),
        ((530, 300), (320, 181), (320, 192)),
        ((100, 100), (320, 320), (320, 320)),
        ((2, 4000), (1, 320), (32, 320)),
    ],
)
def test_letterbox_keeps_the_aspect_ratio_and_pads_to_the_stride(
    size_hw: Size, content_hw: tuple[int, int], canvas_hw: tuple[int, int]
) -> None:
    assert size_filling(size_hw, 320) == content_hw
    assert letterbox_size(size_hw, 320) == canvas_hw


def test_letterbox_centres_and_pads_with_grey() -> None:
    canvas = np.zeros((32, 32, 4), np.uint8)
    offset_xy = letterbox(painted((10, 20), (0, 0, 20, 10)), canvas)
    assert offset_xy == (6, 11)
    np.testing.assert_array_equal(extent(canvas[..., 0] == 255), [6, 11, 26, 21])
    assert (canvas == PADDING).all(axis=-1).sum() == 32 * 32 - 200


def test_unit_boxes_become_pixel_corners_within_the_image() -> None:
    boxes = np.array([[0.5, 0.5, 0.5, 1.0], [0.0, 0.25, 0.5, 0.5]], np.float32)
    expected = [[50.0, 0.0, 150.0, 100.0], [0.0, 0.0, 50.0, 50.0]]
    np.testing.assert_allclose(boxes_in_pixels(boxes, (100, 200)), expected)
