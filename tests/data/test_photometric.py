from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fusetrain.data.photometric import (
    Look,
    PhotometricRanges,
    apply_look,
    blend,
    draw_looks,
    drop_modality,
)
from fusetrain.data.transforms import PADDING


def colourful(height: int = 40, width: int = 50) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(60, 180, (height, width, 4), dtype=np.uint8)


def look_of(seed: int, **ranges: float) -> Look:
    rng = np.random.default_rng(seed)
    return draw_looks(rng, PhotometricRanges(**ranges), canvas=100, count=1)[0]


def changed_by(pixels: NDArray[np.uint8], look: Look) -> NDArray[np.float64]:
    return apply_look(np.random.default_rng(0), pixels, look).astype(float) - pixels


def test_no_ranges_leave_pixels_as_they_are() -> None:
    pixels = colourful()
    result = apply_look(np.random.default_rng(0), pixels, look_of(1))
    np.testing.assert_array_equal(result, pixels)


@pytest.mark.parametrize("name", ["hsv_h", "hsv_s", "hsv_v"])
def test_colour_draws_change_rgb_alone(name: str) -> None:
    difference = changed_by(colourful(), look_of(2, **{name: 0.4}))
    assert np.abs(difference[..., :3]).mean() > 3
    assert not difference[..., 3].any()


@pytest.mark.parametrize("name", ["ir_gain", "ir_noise", "ir_shift", "ir_stripes"])
def test_infrared_draws_change_ir_alone(name: str) -> None:
    difference = changed_by(colourful(), look_of(2, **{name: 0.2}))
    assert np.abs(difference[..., 3]).mean() > 1
    assert not difference[..., :3].any()


def test_brightness_is_a_gain_within_its_range() -> None:
    grey = np.full((4, 4, 4), 100, np.uint8)
    looks = [look_of(seed, hsv_v=0.4) for seed in range(200)]
    levels = np.array([apply_look(np.random.default_rng(0), grey, look)[0, 0] for look in looks])
    assert (levels[:, 0] == levels[:, 1]).all()
    assert 60 <= levels[:, 0].min() < 65
    assert 135 < levels[:, 0].max() <= 140


def test_saturation_and_hue_leave_grey_and_luma_alone() -> None:
    grey = np.full((4, 4, 4), 100, np.uint8)
    assert np.abs(changed_by(grey, look_of(3, hsv_s=0.7, hsv_h=0.5))).max() <= 1
    weights = np.array([0.299, 0.587, 0.114])
    pixels = 100 + colourful() // 12
    luma_change = changed_by(pixels, look_of(3, hsv_s=0.7, hsv_h=0.5))[..., :3] @ weights
    assert np.abs(luma_change).max() <= 1.5


def test_infrared_gain_keeps_the_grey_of_missing_pixels_near_its_offset() -> None:
    levels = np.full((2, 2, 4), PADDING, np.uint8)
    offsets = [changed_by(levels, look_of(seed, ir_gain=0.2))[0, 0, 3] for seed in range(200)]
    assert -26 <= min(offsets) < -22
    assert 22 < max(offsets) <= 26


def test_infrared_shift_moves_pixels_by_whole_steps_and_repeats_the_border() -> None:
    pixels = colourful()
    look = Look(None, None, ir_noise=0.0, ir_shift_xy=(3, -2))
    shifted = apply_look(np.random.default_rng(0), pixels, look)[..., 3]
    np.testing.assert_array_equal(shifted[:-2, 3:], pixels[2:, :-3, 3])
    np.testing.assert_array_equal(shifted[-1, 3:], pixels[-1, :-3, 3])


def test_inverted_infrared_is_the_negative_and_as_frequent_as_asked() -> None:
    pixels = colourful()
    looks = [look_of(seed, ir_invert=0.3) for seed in range(200)]
    results = [apply_look(np.random.default_rng(0), pixels, look) for look in looks]
    inverted = [result for result in results if (result[..., 3] == 255 - pixels[..., 3]).all()]
    assert len(inverted) == pytest.approx(60, abs=20)
    assert all((result == pixels).all() for result in results if (result == pixels)[..., 3].all())
    assert all((result[..., :3] == pixels[..., :3]).all() for result in inverted)


def test_gain_and_offset_work_on_inverted_infrared_as_on_any_other() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pixels = np.repeat(levels[..., None], 4, axis=2)
    plain = look_of(4, ir_gain=0.2)
    inverted = look_of(4, ir_gain=0.2, ir_invert=1.0)
    expected = apply_look(np.random.default_rng(0), 255 - pixels, plain)[..., 3]
    found = apply_look(np.random.default_rng(0), pixels, inverted)[..., 3]
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_stripes_are_one_offset_a_column() -> None:
    look = Look(None, None, ir_noise=0.0, ir_shift_xy=(0, 0), ir_stripes=8.0)
    difference = changed_by(np.full((60, 900, 4), 128, np.uint8), look)[..., 3]
    assert not np.ptp(difference, axis=0).any()
    assert difference[0].std() == pytest.approx(8.0, rel=0.1)


def test_noise_has_the_deviation_of_the_look() -> None:
    look = Look(None, None, ir_noise=8.0, ir_shift_xy=(0, 0))
    difference = changed_by(np.full((200, 200, 4), 128, np.uint8), look)[..., 3]
    assert difference.std() == pytest.approx(8.0, rel=0.05)
    assert difference.mean() == pytest.approx(0.0, abs=0.2)


def test_dropping_takes_one_modality_at_most_and_as_often_as_asked() -> None:
    rng = np.random.default_rng(6)
    counts = {"rgb": 0, "ir": 0, "none": 0}
    for _ in range(400):
        pixels = np.zeros((2, 2, 4), np.uint8)
        drop_modality(rng, pixels, drop_rgb=0.25, drop_ir=0.5)
        rgb, ir = (pixels[..., :3] == PADDING).all(), (pixels[..., 3] == PADDING).all()
        assert not (rgb and ir)
        counts["rgb" if rgb else "ir" if ir else "none"] += 1
    assert counts["rgb"] == pytest.approx(100, abs=30)
    assert counts["ir"] == pytest.approx(200, abs=35)


def test_blend_weighs_both_canvases() -> None:
    first, second = np.full((2, 2, 4), 200, np.uint8), np.full((2, 2, 4), 100, np.uint8)
    blend(first, second, 0.25, out=first)
    assert (first == 125).all()


def test_colours_are_those_of_the_matrix_rounded_and_clipped() -> None:
    # One size that is a multiple of what is mapped at once, and ones that are not.
    for height, width in ((4, 8), (5, 7), (1, 1), (3, 3)):
        pixels = np.random.default_rng(1).integers(0, 256, (height, width, 4), np.uint8)
        look = look_of(7, hsv_h=0.1, hsv_s=0.7, hsv_v=0.4, ir_gain=0.3)
        assert look.mixing is not None
        assert look.offset is not None
        exact = pixels.astype(np.float64) @ look.mixing[:4, :4] + look.offset[:4]
        expected = np.floor(np.clip(exact + 0.5, 0, 255))
        before = pixels.copy()
        np.testing.assert_array_equal(apply_look(np.random.default_rng(0), pixels, look), expected)
        np.testing.assert_array_equal(pixels, before)


def test_looks_of_a_sample_differ_and_are_drawn_as_each_alone_would_be() -> None:
    ranges = PhotometricRanges(0.1, 0.7, 0.4, 0.2, 0.1, 0.3)
    looks = draw_looks(np.random.default_rng(3), ranges, canvas=100, count=4)
    assert len({look.ir_noise for look in looks}) == 4
    assert len({look.ir_shift_xy for look in looks}) == 4
    assert all(0 <= look.ir_noise <= 25.5 for look in looks)
    mixings = [look.mixing for look in looks if look.mixing is not None]
    assert len({mixing.tobytes() for mixing in mixings}) == 4
    for mixing in mixings:  # four pixels side by side, none of which touches another
        np.testing.assert_array_equal(mixing, np.kron(np.eye(4), mixing[:4, :4]))
