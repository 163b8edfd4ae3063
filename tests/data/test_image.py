from __future__ import annotations

import errno
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusetrain.data import files
from fusetrain.data.decode import ImageError
from fusetrain.data.image import (
    Header,
    ThermalWindow,
    read_counts,
    read_header,
    read_ir,
    read_rgb,
)

ORIENTATION = 0x0112
SUFFIXES = ("jpg", "png", "bmp", "tif", "webp")


def quarters() -> NDArray[np.uint8]:
    """Return (32, 48, 3): red above green on the left, blue above white on the right."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24, 0] = pixels[16:, :24, 1] = pixels[:16, 24:, 2] = 255
    pixels[16:, 24:] = 255
    return pixels


def save(path: Path, pixels: NDArray[np.generic], *, orientation: int = 1) -> Path:
    options: dict[str, object] = {"quality": 95} if path.suffix in (".jpg", ".webp") else {}
    if orientation > 1:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_its_pixels_and_header(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", quarters())
    pixels = read_rgb(path)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (32, 48, 3))
    np.testing.assert_allclose(pixels[4, 4], [255, 0, 0], atol=8)
    np.testing.assert_allclose(pixels[28, 4], [0, 255, 0], atol=8)
    assert read_header(path).size_hw == (32, 48)
    assert (read_header(path).bits, read_header(path).channels) == (8, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.fault(35)
def test_exif_orientation_is_applied_to_pixels_and_header(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    path = save(tmp_path / f"a.{suffix}", quarters(), orientation=orientation)
    turned = {
        2: quarters()[:, ::-1],
        3: quarters()[::-1, ::-1],
        6: np.rot90(quarters(), -1),
        8: np.rot90(quarters()),
    }[orientation]
    np.testing.assert_allclose(read_rgb(path)[4::24, 4::24], turned[4::24, 4::24], atol=8)
    assert read_header(path).size_hw == turned.shape[:2] == read_rgb(path).shape[:2]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_pixel_type_becomes_three_visible_channels(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((32, 40), 65535, np.uint16))
    else:
        image = Image.new("RGB", (40, 32), "white").convert("RGBA" if mode == "LA" else "RGB")
        image = image.convert(mode)
    image.save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"))
    (path,) = tmp_path.iterdir()
    assert read_rgb(path).shape == (32, 40, 3)
    assert read_rgb(path).min() == 255


def test_grey_and_three_equal_channels_give_the_same_infrared(tmp_path: Path) -> None:
    grey = np.arange(40 * 48, dtype=np.uint8).reshape(40, 48)
    Image.fromarray(grey).save(tmp_path / "one.png")
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "three.png")
    np.testing.assert_array_equal(read_ir(tmp_path / "one.png"), grey)
    np.testing.assert_array_equal(read_ir(tmp_path / "three.png"), grey)


@pytest.mark.fault(35)
def test_pseudo_colour_infrared_becomes_its_luma(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", quarters())
    np.testing.assert_array_equal(read_ir(path), Image.fromarray(quarters()).convert("L"))


COUNTS = np.linspace(7000, 9000, 40 * 50).reshape(40, 50)


@pytest.mark.parametrize(
    ("suffix", "dtype", "bits"),
    [
        ("png", np.uint16, 16),
        ("tif", np.uint16, 16),
        ("tif", np.float32, 32),
        ("tif", np.int32, 32),
    ],
)
@pytest.mark.fault(35)
def test_counts_pass_linearly_through_the_window(
    tmp_path: Path, suffix: str, dtype: type[np.generic], bits: int
) -> None:
    counts = COUNTS.astype(dtype)
    Image.fromarray(counts).save(tmp_path / f"a.{suffix}")
    path = tmp_path / f"a.{suffix}"
    np.testing.assert_array_equal(read_counts(path), counts)
    assert read_header(path) == Header((40, 50), bits, 1, suffix.upper().replace("TIF", "TIFF"))
    pixels = read_ir(path, ThermalWindow("range", 7500.0, 8500.0, deep_only=False))
    expected = np.clip((counts.astype(np.float64) - 7500) / 1000 * 255, 0, 255)
    np.testing.assert_allclose(pixels, expected, atol=0.51)
    assert len(np.unique(pixels)) == 256


@pytest.mark.fault(35)
def test_raw_sixteen_bit_is_scaled_from_its_full_range_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert read_ir(tmp_path / "a.png").tolist() == [[0, 128, 255]]


def test_float_counts_that_are_not_finite_stay_in_range(tmp_path: Path) -> None:
    counts = np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32)
    Image.fromarray(counts).save(tmp_path / "a.tif")
    assert read_ir(tmp_path / "a.tif").tolist() == [[0, 255, 0, 128]]


def test_large_jpeg_is_reduced_but_never_below_the_target(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.zeros((300, 400, 3), np.uint8))
    assert read_rgb(path, target_size=201).shape == (300, 400, 3)
    assert read_rgb(path, target_size=200).shape == (150, 200, 3)
    assert read_rgb(path, target_size=90).shape == (75, 100, 3)
    assert read_ir(path, target_size=100).shape == (75, 100)


def test_jpeg_is_not_reduced_where_the_decoder_would_round_its_sides(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.zeros((300, 404, 3), np.uint8))
    assert read_rgb(path, target_size=50).shape == (75, 101, 3)  # an eighth would not be whole
    path = save(tmp_path / "b.jpg", np.zeros((301, 400, 3), np.uint8))
    assert read_rgb(path, target_size=50).shape == (301, 400, 3)


def test_camera_jpeg_with_several_pictures_is_read_as_its_first(tmp_path: Path) -> None:
    first, second = Image.fromarray(quarters()), Image.new("RGB", (16, 16))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert read_header(tmp_path / "a.jpg") == Header((32, 48), 8, 3, "JPEG")
    assert read_rgb(tmp_path / "a.jpg").shape == (32, 48, 3)


def damaged(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.Generator(np.random.PCG64(0))
    noise = rng.integers(0, 256, (64, 64, 3), np.uint8)
    jpeg = save(tmp_path / "whole.jpg", noise).read_bytes()
    png = save(tmp_path / "whole.png", noise).read_bytes()
    contents = {
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.png": png[: len(png) // 2],
        "empty.jpg": b"",
        "page.jpg": b"<!DOCTYPE html><html></html>",
        "other.gif.png": b"GIF89a" + bytes(40),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "broken link.jpg").symlink_to(tmp_path / "nothing")
    return {path.name: path for path in tmp_path.iterdir() if not path.stem.startswith("whole")}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("cut.jpg", "truncated"),
        ("cut.png", "truncated"),
        ("empty.jpg", "unreadable"),
        ("page.jpg", "unreadable"),
        ("other.gif.png", "unreadable"),
        ("folder.jpg", "unreadable"),
        ("fifo.jpg", "unreadable"),
        ("broken link.jpg", "unreadable"),
    ],
)
@pytest.mark.fault(32)
def test_damaged_file_is_an_error_that_names_it(tmp_path: Path, name: str, fault: str) -> None:
    path = damaged(tmp_path)[name]
    for read in (read_rgb, read_ir):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert caught.value.where == str(path)
        assert caught.value.fault == fault
        assert caught.value.exit_code == 4


@pytest.mark.fault(32)
def test_image_over_the_pixel_limit_is_refused_before_decoding(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("1", (8000, 6300)).save(buffer, "PNG")
    (tmp_path / "bomb.png").write_bytes(buffer.getvalue())
    for read in (read_header, read_rgb):
        with pytest.raises(ImageError, match="8000 x 6300 px") as caught:
            read(tmp_path / "bomb.png")
        assert caught.value.fault == "too large"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])
@pytest.mark.fault(32)
def test_header_that_promises_gigapixels_is_refused(tmp_path: Path, side: int) -> None:
    data = bytearray(save(tmp_path / "a.bmp", quarters()).read_bytes())
    data[18:26] = side.to_bytes(4, "little") * 2
    (tmp_path / "a.bmp").write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_rgb(tmp_path / "a.bmp")
    assert caught.value.fault == "too large"


def test_error_survives_the_way_out_of_a_worker(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        read_rgb(tmp_path / "missing.jpg")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.fault, copy.path) == (
        str(caught.value),
        caught.value.fault,
        caught.value.path,
    )


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_transient_read_error_is_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = save(tmp_path / "a.png", quarters())
    failures = iter([OSError(number, "transient")] * 3)
    real_open = os.open

    def failing_open(*args: object) -> int:
        for failure in failures:
            raise failure
        return real_open(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "RETRY_PAUSES_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(os, "open", failing_open)
    np.testing.assert_array_equal(read_rgb(path), quarters())
    failures = iter([OSError(number, "for good")] * 4)
    with pytest.raises(ImageError, match="for good"):
        read_rgb(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_mutated_file_gives_pixels_or_an_image_error(tmp_path: Path, suffix: str) -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    noise = rng.integers(0, 256, (24, 24, 3), np.uint8)
    original = save(tmp_path / f"whole.{suffix}", noise).read_bytes()
    path = tmp_path / f"mutated.{suffix}"
    outcomes = {"pixels": 0, "error": 0}
    for _ in range(60):
        data = bytearray(original)
        for position in rng.integers(0, min(len(data), 400), 4):
            data[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            assert read_rgb(path).ndim == 3
            outcomes["pixels"] += 1
        except ImageError:
            outcomes["error"] += 1
    assert outcomes["error"] > 0
