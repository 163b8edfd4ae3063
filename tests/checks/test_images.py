"""What is measured on a pair."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fusetrain.checks.images import (
    ImageFacts,
    PairFacts,
    PairTask,
    crashed_pair,
    decode_pair,
    measure_pair,
    measure_pixels,
)
from fusetrain.checks.quality import VISIBLE
from fusetrain.data.storage import Storage


def scene(*, seed: int = 1, size: tuple[int, int] = (224, 160)) -> NDArray[np.uint8]:
    rng = np.random.Generator(np.random.PCG64(seed))
    small = Image.fromarray(rng.integers(0, 256, (20, 28, 3), np.uint8))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC))


def ramp() -> NDArray[np.uint8]:
    return np.tile(np.arange(224, dtype=np.uint8), (160, 1))


def measured(
    folder: Path,
    rgb: NDArray[np.generic],
    ir: NDArray[np.generic],
    *,
    suffix: str = "png",
    **options: object,
) -> PairFacts:
    for name, pixels in (("rgb", rgb), ("ir", ir)):
        Image.fromarray(pixels).save(folder / f"{name}.{suffix}", **options)
    return measure_pair(PairTask(str(folder), "train", 3, f"rgb.{suffix}", f"ir.{suffix}"))


def deep_png(path: Path, counts: NDArray[np.uint16]) -> None:
    """Write (H, W, C) counts as a PNG of 16 bits a sample, which Pillow itself does not write."""
    height, width, channels = counts.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in counts)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", struct.pack(">2I5B", width, height, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(content)


@pytest.mark.parametrize(("channels", "is_cut"), [(1, False), (2, True), (3, True), (4, True)])
def test_deep_counts_in_several_channels_are_told_as_cut(
    tmp_path: Path, channels: int, is_cut: bool
) -> None:
    counts = 7000 + 10 * ramp().astype(np.uint16)
    deep_png(tmp_path / "ir.png", np.repeat(counts[:, :, None], channels, axis=2))
    Image.fromarray(scene()).save(tmp_path / "rgb.png")
    facts = measure_pair(PairTask(str(tmp_path), "train", 3, "rgb.png", "ir.png"))
    found = [(entry.code, entry.level, entry.path, entry.numbers) for entry in facts.findings]
    assert found == ([("P14", "warn", "ir.png", {"bits": 16})] if is_cut else [])
    assert both(facts)[1].bits == (8 if is_cut else 16)


def test_deep_visible_images_and_small_bitmaps_are_no_matter(tmp_path: Path) -> None:
    deep_png(tmp_path / "rgb.png", scene().astype(np.uint16) * 257)
    Image.fromarray(ramp()).convert("RGB").save(tmp_path / "ir.bmp")
    assert measure_pair(PairTask(str(tmp_path), "train", 3, "rgb.png", "ir.bmp")).findings == ()


def both(facts: PairFacts) -> tuple[ImageFacts, ImageFacts]:
    assert facts.rgb is not None
    assert facts.ir is not None
    return facts.rgb, facts.ir


def test_measures_of_a_pair(tmp_path: Path) -> None:
    facts = measured(tmp_path, scene(), ramp())
    rgb, ir = both(facts)
    assert facts.findings == ()
    assert rgb.size_hw == ir.size_hw == (160, 224)
    assert rgb.chroma > 30
    assert rgb.coloured > 0.3
    assert (rgb.format, rgb.bits, rgb.num_levels) == ("PNG", 8, 0)
    assert (ir.chroma, ir.bits, ir.coloured) == (0.0, 8, 0.0)
    assert ir.spread == pytest.approx(221, abs=2)
    assert (ir.low, ir.median, ir.high) == pytest.approx((11, 112, 212), abs=3)
    assert ir.num_levels > 200
    assert (ir.clipped_low, ir.clipped_high) == pytest.approx((0.0, 0.0), abs=0.02)
    assert (ir.dead_rows, ir.dead_columns, ir.row_pattern) == (0, 0, 0.0)
    assert ir.sharpness == pytest.approx(1 / 8, abs=0.001)
    assert (len(ir.picture), len(ir.phash), len(ir.dhash)) == (8, 8, 8)
    assert np.frombuffer(ir.means, np.uint8)[:8] == pytest.approx(np.arange(8) * 28 + 14, abs=1)
    assert facts.luma_difference is not None
    assert facts.luma_difference > 10
    assert facts.luma_correlation is not None
    assert abs(facts.luma_correlation) < 0.5


@pytest.mark.parametrize("size", [(500, 400), (640, 480), (1280, 1024), (333, 217), (2000, 40)])
def test_reduced_decoding_measures_the_same_picture(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = scene(size=size)
    grey = pixels[:, :, 1].copy()
    jpeg = both(measured(tmp_path, pixels, grey, suffix="jpg", quality=97))
    whole = both(measured(tmp_path, pixels, grey))
    for reduced, full in zip(jpeg, whole, strict=True):
        assert reduced.size_hw == full.size_hw == size[::-1]
        first, second = (np.frombuffer(image.means, np.uint8) for image in (reduced, full))
        assert np.abs(first.astype(int) - second).max() <= 2
        assert _distance(reduced.phash, full.phash) <= 4
        assert reduced.chroma == pytest.approx(full.chroma, rel=0.25)
        assert reduced.median == pytest.approx(full.median, abs=3)
        assert reduced.entropy == pytest.approx(full.entropy, abs=0.3)


def _distance(first: bytes, second: bytes) -> int:
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count()


def test_picture_does_not_depend_on_the_file_around_it(tmp_path: Path) -> None:
    one = both(measured(tmp_path, scene(), ramp(), compress_level=1))
    other = both(measured(tmp_path, scene(), ramp(), compress_level=9))
    assert [image.picture for image in one] == [image.picture for image in other]
    assert one[0].checksum != other[0].checksum
    changed = scene().copy()
    changed[40:60, 40:60] = 0
    assert both(measured(tmp_path, changed, ramp()))[0].picture != one[0].picture


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deep_infrared_is_measured_in_its_counts(tmp_path: Path, dtype: type[np.generic]) -> None:
    counts = (scene()[:, :, 0].astype(np.float64) * 10 + 7000).astype(dtype)
    Image.fromarray(scene(seed=2)).save(tmp_path / "rgb.png")
    Image.fromarray(counts).save(tmp_path / "ir.tif")
    facts = measure_pair(PairTask(str(tmp_path), "train", 0, "rgb.png", "ir.tif"))
    ir = both(facts)[1]
    assert ir.bits in (16, 32)
    assert ir.spread == pytest.approx(float(np.ptp(np.percentile(counts, (0.5, 99.5)))), rel=0.05)
    assert ir.clipped_low < 0.1
    assert facts.luma_difference is None
    assert facts.luma_correlation is not None


def test_counts_that_are_not_finite_do_no_harm(tmp_path: Path) -> None:
    counts = scene()[:, :, 0].astype(np.float32)
    counts[:50] = np.nan
    counts[50:60] = np.inf
    Image.fromarray(scene(seed=2)).save(tmp_path / "rgb.png")
    for number, image in enumerate((counts, np.full_like(counts, np.nan))):
        Image.fromarray(image).save(tmp_path / f"{number}.tif")
        ir = both(measure_pair(PairTask(str(tmp_path), "t", 0, "rgb.png", f"{number}.tif")))[1]
        assert np.isfinite([ir.spread, ir.entropy, ir.sharpness, ir.clipped_low]).all()


def test_rotation_by_exif_counts_in_sizes_and_looks(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.fromarray(scene())
    upright.save(tmp_path / "ir.jpg", quality=97)
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "rgb.jpg", quality=97, exif=exif)
    facts = measure_pair(PairTask(str(tmp_path), "t", 0, "rgb.jpg", "ir.jpg"))
    rgb, ir = both(facts)
    assert rgb.size_hw == ir.size_hw == (160, 224)
    assert facts.luma_correlation is not None
    assert facts.luma_correlation > 0.97


def test_border_and_four_channels_are_obeyed(tmp_path: Path) -> None:
    framed = np.full((200, 264, 3), 255, np.uint8)
    framed[20:180, 20:244] = scene()
    for name in ("rgb", "ir"):
        Image.fromarray(framed).save(tmp_path / f"{name}.jpg", quality=97)
    task = PairTask(str(tmp_path), "t", 0, "rgb.jpg", "ir.jpg", Storage(border_px=20))
    rgb, _ = both(measure_pair(task))
    assert rgb.size_hw == (160, 224)
    assert rgb.clipped_high < 0.1
    Image.fromarray(np.dstack([scene(), ramp()])).save(tmp_path / "four.png")
    task = PairTask(str(tmp_path), "t", 0, "four.png", "four.png", Storage(channels="rgbt"))
    rgb, ir = both(measure_pair(task))
    assert rgb.chroma > 30
    assert (ir.chroma, ir.spread) == (0.0, pytest.approx(221, abs=2))
    task = PairTask(str(tmp_path), "t", 0, "rgb.jpg", "rgb.jpg", Storage(channels="rgbt"))
    facts = measure_pair(task)
    assert (facts.rgb, facts.ir) == (None, None)
    assert [entry.code for entry in facts.findings] == ["I01"]


def test_crash_is_reported_as_unreadable_with_both_names() -> None:
    facts = crashed_pair(PairTask("/root", "val", 0, "a.jpg", "b.png"))
    (found,) = facts.findings
    assert (found.code, found.level, found.split, found.path) == ("I01", "error", "val", "a.jpg")
    assert "b.png" in found.message


def test_pairs_measure_the_same_together_as_alone(tmp_path: Path) -> None:
    tasks = []
    for number, size in enumerate([(224, 160), (40, 33), (20, 18), (7, 5), (90, 300)]):
        rgb = scene(seed=number, size=size)
        Image.fromarray(rgb).save(tmp_path / f"{number}.png")
        Image.fromarray(rgb[:, :, number % 3]).save(tmp_path / f"{number}.tif")
        tasks.append(PairTask(str(tmp_path), "t", number, f"{number}.png", f"{number}.tif"))
    Image.fromarray(scene()[:, :, 0].astype(np.uint16) * 30).save(tmp_path / "1.tif")
    (tmp_path / "2.png").write_bytes(b"no image")
    together = measure_pixels([decode_pair(task) for task in tasks])
    assert list(together) == [measure_pair(task) for task in tasks]
    assert [facts.rgb is None for facts in together] == [False, False, True, False, False]
    assert measure_pixels([decode_pair(tasks[2])])[0].ir is not None


def test_strong_blur_is_remarked_and_scenes_are_not(tmp_path: Path) -> None:
    """A blur of 2 % of the long side, in files that are reduced while decoded and in others."""
    rng = np.random.default_rng(0)
    for number, suffix in enumerate(("jpg", "png") * 3):
        noise = rng.normal(size=(400, 500, 3))
        # As in scenes, power falls with the square of the frequency.
        rows, columns = np.fft.fftfreq(400)[:, None], np.fft.fftfreq(500)[None]
        fall = 1.0 / np.maximum(np.hypot(rows, columns), 1e-3)[:, :, None]
        scene = np.fft.ifft2(np.fft.fft2(noise, axes=(0, 1)) * fall, axes=(0, 1)).real
        low, high = np.percentile(scene, (1, 99))
        levels = np.clip((scene - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        sharp = Image.fromarray(levels)
        found = []
        for word, image in (("a", sharp), ("b", sharp.filter(ImageFilter.GaussianBlur(10)))):
            path = tmp_path / f"{word}{number}.{suffix}"
            image.save(path)
            task = PairTask(str(tmp_path), "train", 0, path.name, path.name)
            rgb = measure_pair(task).rgb
            assert rgb is not None
            found.append(rgb.sharpness < VISIBLE.sharpness)
        assert found == [False, True]


def test_a_faint_pattern_does_not_grow_with_the_stretch_of_few_counts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = np.linspace(60, 120, 256)[:, None] + rng.normal(0, 2, (256, 320))
    levels = np.rint(scene + rng.normal(0, 1.2, 320)).astype(np.uint16)
    Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "plain.png")
    Image.fromarray(levels * np.uint16(20) + np.uint16(7000)).save(tmp_path / "deep.png")
    patterns = []
    for name in ("plain.png", "deep.png"):
        ir = measure_pair(PairTask(str(tmp_path), "train", 0, name, name)).ir
        assert ir is not None
        patterns.append(ir.column_pattern)
    assert patterns[1] == pytest.approx(patterns[0], rel=0.1)
    assert patterns[0] == pytest.approx(1.2, rel=0.2)
