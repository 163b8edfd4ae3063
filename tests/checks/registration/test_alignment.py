"""Shift, turn and scale between the images of a pair, and whether "sure" can be trusted."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.registration.alignment import UNKNOWN, align, estimate_transform
from fusetrain.data.demo import demo_pair

Grey = NDArray[np.uint8]
MARGIN = 24


def greys(number: int) -> tuple[Grey, Grey]:
    scene = demo_pair(0, number)
    return np.asarray(Image.fromarray(scene.rgb).convert("L")), scene.ir


def cut(number: int, dx: int, dy: int) -> tuple[Grey, Grey]:
    """Return windows of a pair for which infrared must move by (dx, dy); no border shows."""
    rgb, ir = greys(number)
    height, width = rgb.shape
    window = slice(MARGIN, height - MARGIN), slice(MARGIN, width - MARGIN)
    moved = slice(MARGIN + dy, height - MARGIN + dy), slice(MARGIN + dx, width - MARGIN + dx)
    return rgb[window], ir[moved]


def turned(grey: Grey, *, degrees: float, scale: float) -> Grey:
    """Return an image turned clockwise and scaled about its centre."""
    height, width = grey.shape
    back = 1.0 / cmath.rect(scale, math.radians(degrees))
    centre = complex(width / 2, height / 2)
    offset = centre - back * centre
    matrix = (back.real, -back.imag, offset.real, back.imag, back.real, offset.imag)
    image = Image.fromarray(grey)
    kind = Image.Transform.AFFINE
    return np.asarray(image.transform(image.size, kind, matrix, Image.Resampling.BICUBIC))


def resized(grey: Grey, size: tuple[int, int]) -> Grey:
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))


def noise(*shape: int, seed: int = 0) -> Grey:
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (15, -9), (-20, 20), (1, 0)])
@pytest.mark.fault(34)
def test_planted_shift_is_found_to_half_a_pixel(dx: int, dy: int) -> None:
    for number in range(4):
        found = estimate_transform(*cut(number, dx, dy))
        assert found.is_sure
        assert (found.dx_px, found.dy_px) == pytest.approx((dx, dy), abs=0.5)
        assert found.rotation_deg == pytest.approx(0.0, abs=0.3)
        assert found.scale == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("degrees", "scale"), [(1.5, 1.0), (-3.0, 1.0), (0.0, 1.04), (0.0, 0.8), (4.0, 1.15)]
)
def test_planted_turn_and_scale_are_undone(degrees: float, scale: float) -> None:
    for number in range(3):
        rgb, ir = greys(number)
        infrared = turned(ir, degrees=degrees, scale=scale)[MARGIN:-MARGIN, MARGIN:-MARGIN]
        found = estimate_transform(rgb[MARGIN:-MARGIN, MARGIN:-MARGIN], infrared)
        assert found.is_sure
        assert found.rotation_deg == pytest.approx(-degrees, abs=0.4)
        assert found.scale == pytest.approx(1.0 / scale, rel=0.01)
        assert math.hypot(found.dx_px, found.dy_px) < 2.0


def framed(grey: Grey) -> Grey:
    framed = grey.copy()
    framed[:12] = framed[-12:] = 0
    framed[:, :16] = framed[:, -16:] = 255
    return framed


def written_on(grey: Grey) -> Grey:
    written = grey.copy()
    written[6:14, 8:100:4] = 255
    written[100:108, 128:130] = written[103:105, 120:140] = 255
    return written


def vignetted(grey: Grey) -> Grey:
    down, right = np.mgrid[-1 : 1 : grey.shape[0] * 1j, -1 : 1 : grey.shape[1] * 1j]
    return (grey * (1.0 - 0.45 * (down**2 + right**2))).astype(np.uint8)


def spotted(grey: Grey) -> Grey:
    return np.where(noise(*grey.shape) + noise(*grey.shape, seed=1) / 256 > 255.7, 255, grey)


def striped(grey: Grey) -> Grey:
    stripes = np.random.Generator(np.random.PCG64(5)).normal(0, 5, (1, grey.shape[1]))
    return np.clip(grey + stripes, 0, 255).astype(np.uint8)


def dark(grey: Grey) -> Grey:
    return grey // 6 + noise(*grey.shape) // 86


Change = Callable[[Grey], Grey]
DEGRADED: dict[str, tuple[Change, Change]] = {
    "inverted": (np.asarray, lambda ir: 255 - ir),
    "hot pixels": (np.asarray, spotted),
    "stripes": (np.asarray, striped),
    "frame": (framed, framed),
    "burnt-in text": (written_on, written_on),
    "vignette": (np.asarray, vignetted),
    "dark": (dark, np.asarray),
    "small infrared": (np.asarray, lambda ir: resized(ir, (ir.shape[1] // 3, ir.shape[0] // 3))),
}


@pytest.mark.parametrize("kind", DEGRADED)
def test_what_cameras_do_to_pictures_does_not_move_the_estimate(kind: str) -> None:
    for number in range(3):
        images = zip(DEGRADED[kind], cut(number, 11, -7), strict=True)
        found = estimate_transform(*(change(image) for change, image in images))
        assert found.is_sure
        assert (found.dx_px, found.dy_px) == pytest.approx((11, -7), abs=1.0)


def test_lengths_are_px_of_the_visible_image() -> None:
    rgb, ir = cut(1, 10, 4)
    large = resized(rgb, (3 * rgb.shape[1], 3 * rgb.shape[0]))
    found = estimate_transform(large, ir)
    assert (found.dx_px, found.dy_px) == pytest.approx((30, 12), abs=2.0)
    small = estimate_transform(rgb, resized(ir, (160, 120)))
    assert (small.dx_px, small.dy_px) == pytest.approx((10, 4), abs=1.0)


def test_upright_images_are_measured_too() -> None:
    rgb, ir = cut(2, 6, 13)
    found = estimate_transform(rgb.T, ir.T)
    assert found.is_sure
    assert (found.dx_px, found.dy_px) == pytest.approx((13, 6), abs=0.5)


def test_unrelated_pictures_are_not_sure() -> None:
    strangers = [align(greys(number)[0], greys(number + 4)[1]) for number in range(4)]
    assert [one.is_sure for one in strangers if one is not None] == [False] * 4
    found = estimate_transform(noise(120, 160), noise(120, 160, seed=1))
    assert not found.is_sure


def test_a_shift_beyond_reach_is_not_sure() -> None:
    rgb, ir = greys(0)
    found = estimate_transform(rgb[:, :200], ir[:, 60:260])
    assert not found.is_sure


@pytest.mark.parametrize(
    ("rgb", "ir"),
    [
        (np.full((120, 160), 90, np.uint8), noise(120, 160)),
        (noise(120, 160), np.zeros((120, 160), np.uint8)),
        (noise(20, 24), noise(20, 24)),
        (noise(1, 1), noise(1, 1)),
        (noise(120, 160), noise(40, 160)),
        (noise(64, 4000), noise(64, 4000)),
    ],
    ids=["blank visible", "black infrared", "tiny", "one pixel", "low infrared", "ribbon"],
)
def test_pictures_without_an_answer_are_unknown(rgb: Grey, ir: Grey) -> None:
    assert align(rgb, ir) is None
    assert estimate_transform(rgb, ir) == UNKNOWN


def test_the_least_size_is_measured() -> None:
    rgb, ir = (image[40:104, 60:140] for image in greys(0))
    assert align(rgb, ir) is not None
