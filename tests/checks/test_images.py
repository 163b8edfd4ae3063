from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.images import PairTask, crashed_pair, ends_early, measure_pair

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def jpeg(pixels: NDArray[np.uint8], **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def scene() -> NDArray[np.uint8]:
    rng = np.random.Generator(np.random.PCG64(1))
    small = Image.fromarray(rng.integers(0, 256, (20, 28, 3), np.uint8))
    return np.asarray(small.resize((224, 160), Image.Resampling.BICUBIC))


def bordered() -> NDArray[np.uint8]:
    pixels = np.full((200, 264, 3), 255, np.uint8)
    pixels[20:180, 20:244] = scene()
    return pixels


OPTIONS = ({}, {"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True})


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
@pytest.mark.parametrize("share", [0.35, 0.6, 0.9])
def test_half_a_jpeg_with_an_end_marker_is_noticed(
    options: dict[str, object], share: float
) -> None:
    data = jpeg(scene(), **options)
    header = data.rfind(b"\xff\xda") if "progressive" in options else data.find(b"\xff\xda")
    half = data[: header + 20 + int((len(data) - header - 20) * share)] + b"\xff\xd9"
    assert decoded(half).shape == (160, 224, 3)
    assert ends_early(half, decoded(half))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
def test_complete_jpeg_passes_also_with_flat_borders(options: dict[str, object]) -> None:
    for pixels in (scene(), bordered(), np.full((64, 64, 3), 9, np.uint8)):
        data = jpeg(pixels, **options)
        assert not ends_early(data, decoded(data))
        assert not ends_early(data + b"trailing bytes", decoded(data))


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared development data are not here")
def test_no_real_jpeg_is_taken_for_half_and_every_half_one_is_found() -> None:
    paths = sorted(DATA.glob("rgbt-unlabelled/images*/all/*.jpg"))[::10]
    assert len(paths) > 30
    for path in paths:
        data = path.read_bytes()
        assert not ends_early(data, decoded(data)), path
        half = data[: len(data) // 2] + b"\xff\xd9"
        assert ends_early(half, decoded(half)), path


def test_measures_of_a_pair(tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "rgb.png")
    grey = np.tile(np.arange(224, dtype=np.uint8), (160, 1))
    Image.fromarray(grey).save(tmp_path / "ir.png")
    facts = measure_pair(PairTask(str(tmp_path), "train", 3, "rgb.png", "ir.png"))
    assert facts.findings == ()
    assert facts.rgb is not None
    assert facts.ir is not None
    assert facts.rgb.size_hw == facts.ir.size_hw == (160, 224)
    assert facts.rgb.chroma > 30
    assert facts.rgb.num_colours > 500
    assert (facts.ir.chroma, facts.ir.bits) == (0.0, 8)
    assert facts.ir.spread == pytest.approx(221, abs=2)
    assert facts.luma_difference is not None
    assert facts.luma_difference > 10


def test_crash_is_reported_as_unreadable_with_both_names() -> None:
    facts = crashed_pair(PairTask("/root", "val", 0, "a.jpg", "b.png"))
    (found,) = facts.findings
    assert (found.code, found.level, found.split, found.path) == ("I01", "error", "val", "a.jpg")
    assert "b.png" in found.message
