from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.page.pictures import (
    EDGE_COLOUR,
    FLAG_COLOUR,
    DrawTask,
    Shift,
    Thumbnail,
    ThumbnailBox,
    crashed_drawing,
    draw_pair,
)
from fusetrain.data.storage import Storage


def scene(height: int = 256, width: int = 320) -> NDArray[np.uint8]:
    """Return grey with sharp structure in both directions."""
    grey = np.full((height, width), 60, np.uint8)
    grey[60:140, 90:200] = 220
    grey[170:220, 40:90] = 150
    return grey


def save(root: Path, name: str, pixels: NDArray[np.generic]) -> None:
    Image.fromarray(pixels).save(root / name)


def decoded(thumbnail: Thumbnail) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(thumbnail.jpeg), formats=("JPEG",)) as image:
        return np.asarray(image.convert("RGB"))


def near(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((np.abs(pixels.astype(int) - colour) < 60).all(axis=2))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save(tmp_path, "rgb.png", np.stack([scene()] * 3, axis=2))
    save(tmp_path, "ir.png", 255 - scene())
    return tmp_path


def task(root: Path, ir: str = "ir.png", **settings: object) -> DrawTask:
    return DrawTask(str(root), "rgb.png", ir, **settings)  # type: ignore[arg-type]


def test_both_images_are_small_jpegs(root: Path) -> None:
    save(root, "rgb.png", np.zeros((1200, 1600, 3), np.uint8))
    visible, infrared = draw_pair(task(root))
    assert (visible.caption, infrared.caption) == ("visible", "infrared")
    assert visible.size == (320, 240)
    assert infrared.size == (320, 256)
    assert decoded(visible).shape == (240, 320, 3)
    assert max(len(visible.jpeg), len(infrared.jpeg)) < 30_000


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n broken"],
    ids=["empty", "text", "cut"],
)
def test_unreadable_image_becomes_its_reason(root: Path, content: bytes) -> None:
    (root / "bad.png").write_bytes(content)
    visible, infrared = draw_pair(task(root, "bad.png", shift=Shift(3.0, 4.0)))
    assert visible.jpeg
    assert not infrared.jpeg
    assert infrared.reason


def test_missing_file_and_crash_are_said(root: Path) -> None:
    visible, infrared = draw_pair(task(root, ""))
    assert visible.jpeg
    assert infrared.reason == "no such file"
    assert all(not part.jpeg and part.reason for part in crashed_drawing(task(root)))


def test_flagged_box_stands_out_where_it_lies(root: Path) -> None:
    boxes = (
        ThumbnailBox((0.3, 0.6, 0.2, 0.2), 0, "L08"),
        ThumbnailBox((0.8, 0.3, 0.2, 0.2), 1),
    )
    visible, infrared = draw_pair(task(root, rgb_boxes=boxes))
    flagged = near(decoded(visible), FLAG_COLOUR)
    rows, columns = np.nonzero(flagged)
    assert columns.min() == pytest.approx(0.2 * 320, abs=4)
    assert columns.max() == pytest.approx(0.4 * 320, abs=4)
    assert rows.max() == pytest.approx(0.7 * 256, abs=4)
    assert not near(decoded(infrared), FLAG_COLOUR).any()


@pytest.mark.parametrize(
    "shift",
    [Shift(24.0, -16.0), Shift(20.0, 12.0, rotation_deg=4.0, scale=1.05)],
    ids=["shift", "similarity"],
)
def test_overlay_fits_after_the_shift_only(root: Path, shift: Shift) -> None:
    unit = 320 / 640
    angle = np.deg2rad(shift.rotation_deg)
    # Where infrared p is seen in visible: scale * R p + shift, about the centre.
    turn = shift.scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([159.5, 127.5])
    offset = centre + unit * np.array([shift.dx_px, shift.dy_px]) - turn @ centre
    matrix = (*turn[0], offset[0], *turn[1], offset[1])
    moved = Image.fromarray(scene()).transform(
        (320, 256), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
    )
    moved.save(root / "moved.png")
    _, _, before, after = draw_pair(task(root, "moved.png", shift=shift))

    def contrast(thumbnail: Thumbnail) -> float:
        """Return how different infrared is on the two sides of the left edge."""
        pixels = decoded(thumbnail).astype(float).mean(axis=2)
        return float(abs(pixels[90:110, 96].mean() - pixels[90:110, 85].mean()))

    assert near(decoded(after), EDGE_COLOUR).sum() > 100
    assert contrast(after) > 140
    assert contrast(before) < 60


def test_deep_infrared_is_shown_in_its_own_range(root: Path) -> None:
    counts = (7000 + scene().astype(np.uint16)).astype(np.uint16)
    save(root, "deep.png", counts)
    _, infrared = draw_pair(task(root, "deep.png"))
    pixels = decoded(infrared)
    assert pixels.min() < 20
    assert pixels.max() > 235


def test_border_is_cut_and_one_file_may_hold_both(root: Path) -> None:
    framed = np.full((456, 520), 255, np.uint8)
    framed[100:356, 100:420] = scene()
    rgbt = np.stack([scene(), scene(), scene(), 255 - scene()], axis=2)
    save(root, "rgb.png", np.stack([framed] * 3, axis=2))
    save(root, "ir.png", framed)
    save(root, "four.png", rgbt)
    visible, infrared = draw_pair(task(root, storage=Storage(border_px=100)))
    assert visible.size == infrared.size == (320, 256)
    both = DrawTask(str(root), "four.png", "four.png", storage=Storage(channels="rgbt"))
    visible, infrared = draw_pair(both)
    assert decoded(visible)[100, 150].mean() > 200
    assert decoded(infrared)[100, 150].mean() < 60


def test_flat_and_tiny_images_are_drawn(root: Path) -> None:
    save(root, "rgb.png", np.zeros((1, 2, 3), np.uint8))
    save(root, "ir.png", np.zeros((300, 1), np.uint8))
    assert all(part.jpeg for part in draw_pair(task(root, shift=Shift(400.0, -400.0))))
