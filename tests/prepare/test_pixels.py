from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.data.storage import Storage
from fusetrain.prepare.pixels import Crop, Picture, Warp, warp


def matrix(x: float, y: float) -> tuple[float, ...]:
    return (1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
def test_a_whole_shift_moves_counts_without_changing_them(dtype: str) -> None:
    rng = np.random.default_rng(0)
    high = {"uint8": 255, "uint16": 65535, "int32": 2**22, "float32": 1e4}[dtype]
    counts = (rng.random((20, 30)) * high).astype(dtype)
    moved = warp(counts, Warp(matrix(3, -2), (20, 30)))
    assert moved.dtype == counts.dtype
    np.testing.assert_array_equal(moved[:18, 3:], counts[2:, :27])
    np.testing.assert_allclose(moved[5:15, 0].astype(float), np.median(counts), rtol=1e-3, atol=1)


def test_counts_of_16_bits_keep_their_depth_in_the_file(tmp_path: Path) -> None:
    counts = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    Image.fromarray(counts).save(tmp_path / "deep.png")
    data = Warp(matrix(0.0, 1.0), (20, 30)).apply(str(tmp_path / "deep.png"))
    read = np.asarray(Image.open(io.BytesIO(data)))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read[1:], counts[:-1])


def test_a_half_pixel_shift_takes_the_mean_of_neighbours() -> None:
    counts = np.tile(np.array([[0, 100, 200, 300]], np.uint16), (4, 1))
    moved = warp(counts, Warp(matrix(0.5, 0.0), (4, 4)))
    np.testing.assert_array_equal(moved[:, 1:], np.tile([[50, 150, 250]], (4, 1)))


def test_enlarging_keeps_edges_where_they_belong() -> None:
    counts = np.zeros((10, 10), np.uint8)
    counts[:, 5:] = 200
    moved = warp(counts, Warp((2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 1.0), (20, 20)))
    profile = moved[10].astype(float)
    assert np.interp(100.0, profile[8:12], np.arange(8, 12) + 0.5) == pytest.approx(10.0)


def test_a_frame_is_cut_off(tmp_path: Path) -> None:
    pixels = np.full((40, 50, 3), 255, np.uint8)
    pixels[10:30, 10:40] = (10, 90, 200)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    data = Picture("rgb", Storage(border_px=10)).apply(str(tmp_path / "a.png"))
    read = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(read, pixels[10:30, 10:40])


def test_a_common_file_becomes_two(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 4), np.uint8)
    path = str(tmp_path / "a.png")
    Image.fromarray(pixels, "RGBA").save(path)
    storage = Storage(channels="rgbt")
    rgb, ir = (
        np.asarray(Image.open(io.BytesIO(Picture(part, storage).apply(path))))
        for part in ("rgb", "ir")
    )
    np.testing.assert_array_equal(rgb, pixels[..., :3])
    np.testing.assert_array_equal(ir, pixels[..., 3])


def test_a_crop_of_a_jpeg_stays_a_good_jpeg(tmp_path: Path) -> None:
    yy, xx = np.mgrid[0:64, 0:96]
    pixels = np.stack([xx * 2, yy * 3, (xx + yy)], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    data = Crop((5, 7, 85, 60)).apply(str(tmp_path / "a.jpg"))
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("JPEG", (80, 53))
    difference = np.asarray(image).astype(int) - pixels[7:60, 5:85]
    assert np.abs(difference).max() <= 8
