"""Whether files that a decoder accepts are whole."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.completeness import ends_early, lacks_end, lacks_scans

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def jpeg(pixels: NDArray[np.uint8], **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def decoded(data: bytes, *, scale: int = 1) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.draft(image.mode, (image.width // scale, image.height // scale))
    image.load()
    return image


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
@pytest.mark.fault(32)
def test_half_a_jpeg_with_an_end_marker_is_noticed(
    options: dict[str, object], share: float
) -> None:
    data = jpeg(scene(), **options)
    header = data.rfind(b"\xff\xda") if "progressive" in options else data.find(b"\xff\xda")
    half = data[: header + 20 + int((len(data) - header - 20) * share)] + b"\xff\xd9"
    assert decoded(half).size == (224, 160)
    for scale in (1, 2, 4, 8):
        assert ends_early(half, decoded(half, scale=scale))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
def test_complete_jpeg_passes_also_with_flat_borders(options: dict[str, object]) -> None:
    # 128 is the grey that stands for missing data.
    flat = [np.full((64, 64, 3), level, np.uint8) for level in (9, 128)]
    for pixels in (scene(), bordered(), *flat):
        data = jpeg(pixels, **options)
        for scale in (1, 4):
            assert not ends_early(data, decoded(data, scale=scale))
            assert not ends_early(data + b"trailing bytes", decoded(data, scale=scale))


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared development data are not here")
def test_no_real_jpeg_is_taken_for_half_and_every_half_one_is_found() -> None:
    paths = sorted(DATA.glob("rgbt-unlabelled/images*/all/*.jpg"))[::10]
    assert len(paths) > 30
    for path in paths:
        data = path.read_bytes()
        assert not ends_early(data, decoded(data)), path
        half = data[: len(data) // 2] + b"\xff\xd9"
        assert ends_early(half, decoded(half)), path


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}], ids=str)
def test_progressive_jpeg_cut_between_two_scans_is_noticed(options: dict[str, object]) -> None:
    data = jpeg(scene(), progressive=True, **options)
    assert not lacks_scans(data)
    scans = [found.start() for found in re.finditer(b"\xff\xda", data)]
    assert len(scans) > 5
    for start in scans[1:]:
        cut = data[: data.rindex(b"\xff\xc4", 0, start)] + b"\xff\xd9"
        assert ends_early(cut, decoded(cut))


def test_png_without_its_closing_chunk_is_noticed() -> None:
    buffer = io.BytesIO()
    Image.fromarray(scene()).save(buffer, "PNG")
    whole = buffer.getvalue()
    assert not lacks_end(whole, Image.fromarray(scene()), file_format="PNG")
    assert not lacks_end(whole + b"x" * 5000, Image.fromarray(scene()), file_format="PNG")
    assert lacks_end(whole[:-6], Image.fromarray(scene()), file_format="PNG")
