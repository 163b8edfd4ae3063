"""Pictures of pairs: where boxes land, that both modalities show them, and how sheets are laid."""

import numpy as np
import pytest
from PIL import Image

from fusetrain.results.pictures import GAP_PX, PALETTE, DrawnBox, join_pair, side_by_side
from fusetrain.results.sheets import (
    MAX_PAIRS,
    SHEET_HEIGHT_PX,
    SHEET_WIDTH_PX,
    SheetPair,
    colour_key,
    has_colour_key,
    pair_sheet,
    short_names,
)

GREY = 90


def pair(height: int, width: int, *boxes: DrawnBox) -> SheetPair:
    return SheetPair(np.full((height, width, 4), GREY, np.uint8), boxes)


def extent(picture: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of exactly this colour; ends are one beyond."""
    rows, columns = np.nonzero((np.asarray(picture) == colour).all(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
def test_box_lies_at_the_same_place_in_rgb_and_ir(zoom: float) -> None:
    pixels = pair(200, 300).pixels
    box = DrawnBox((60.0, 40.0, 260.0, 180.0), 1, "")
    picture = join_pair(pixels[..., :3], pixels[..., 3], [box], zoom=zoom)
    width, height = round(300 * zoom), round(200 * zoom)
    assert picture.size == (2 * width + GAP_PX, height)
    ir_left = width + GAP_PX
    for left in (0, ir_left):
        panel = picture.crop((left, 0, left + width, height))
        wanted = np.array(box.box_xyxy_px) * zoom
        assert np.abs(np.array(extent(panel, PALETTE[1])) - wanted).max() <= 2


def test_ir_of_another_size_is_shown_in_the_size_of_the_rgb_image() -> None:
    rgb = np.full((400, 600, 3), GREY, np.uint8)
    ir = np.zeros((100, 150), np.uint8)
    ir[:, 75:] = 255
    picture = np.asarray(side_by_side(rgb, ir, []))
    assert picture.shape == (400, 1200 + GAP_PX, 3)
    assert picture[200, 600 + GAP_PX + 250].tolist() == [0, 0, 0]
    assert picture[200, 600 + GAP_PX + 350].tolist() == [255, 255, 255]


def test_small_box_keeps_its_content_visible() -> None:
    pixels = pair(400, 400).pixels
    box = DrawnBox((100.0, 100.0, 112.0, 112.0), 0, "")
    picture = join_pair(pixels[..., :3], pixels[..., 3], [box], zoom=1.0)
    assert picture.getpixel((106, 106)) == (GREY, GREY, GREY)
    assert extent(picture.crop((0, 0, 400, 400)), PALETTE[0]) == (101, 101, 112, 112)


def test_labels_of_a_sheet_stand_on_the_rgb_image_alone() -> None:
    box = DrawnBox((50.0, 100.0, 250.0, 200.0), 2, "0.87")
    bare = DrawnBox(box.box_xyxy_px, 2, "")
    named = pair_sheet([pair(480, 480, box)], title="t", class_names=["a", "b", "c"])
    plain = pair_sheet([pair(480, 480, bare)], title="t", class_names=["a", "b", "c"])
    differs = (np.asarray(named) != np.asarray(plain)).any(axis=2)
    assert differs.any()
    assert not differs[:, named.width // 2 :].any()


def test_label_at_the_upper_edge_moves_inside() -> None:
    box = DrawnBox((10.0, 0.0, 200.0, 100.0), 3, "person 0.50")
    pixels = pair(400, 400).pixels
    picture = join_pair(pixels[..., :3], pixels[..., 3], [box], zoom=1.0)
    band = np.asarray(picture)[2:14, 12:60]
    assert (band == PALETTE[3]).all(axis=2).mean() > 0.5


@pytest.mark.parametrize("count", [1, 2, 5, 12, 16, 40])
@pytest.mark.parametrize("size_hw", [(640, 640), (512, 640), (96, 640), (64, 64)])
def test_sheet_stays_within_its_limits(count: int, size_hw: tuple[int, int]) -> None:
    sheet = pair_sheet([pair(*size_hw)] * count, title="t", class_names=["a"])
    assert sheet.width <= SHEET_WIDTH_PX + 60
    assert sheet.height <= SHEET_HEIGHT_PX + 120
    grey = int((np.asarray(sheet) == GREY).all(axis=2).sum())
    assert grey > 0.3 * sheet.width * sheet.height
    largest = size_hw[0] * size_hw[1] * 2 * min(count, MAX_PAIRS)
    assert grey >= 0.2 * min(largest, SHEET_WIDTH_PX * SHEET_HEIGHT_PX)


def test_pairs_of_different_sizes_share_a_sheet() -> None:
    sheet = pair_sheet([pair(512, 640), pair(640, 512)], title="t", class_names=["a"])
    grey = int((np.asarray(sheet) == GREY).all(axis=2).sum())
    assert grey == pytest.approx(4 * 512 * 640, rel=0.01)


def test_every_class_with_a_colour_of_its_own_is_in_the_strip() -> None:
    names = [f"class {number}" for number in range(len(PALETTE))]
    strip = np.asarray(pair_sheet([pair(480, 480)], title="t", class_names=names))[:60]
    for colour in PALETTE:
        assert (strip == colour).all(axis=2).sum() > 100
    assert has_colour_key(names)
    assert not has_colour_key([*names, "one more"])
    strip = np.asarray(pair_sheet([pair(480, 480)], title="t", class_names=[*names, "x"]))[:60]
    assert not (strip == PALETTE[0]).all(axis=2).any()


def test_boxes_tell_their_class_without_colour() -> None:
    assert short_names(["person", "car"]) == ["0", "1"]
    assert short_names(["person"]) == [""]
    many = [f"class {number}" for number in range(len(PALETTE) + 1)]
    assert short_names(many) == many


def test_strip_says_number_and_name_and_neither_twice() -> None:
    assert colour_key(["person", "car"]) == [("0 person", 0), ("1 car", 1)]
    assert colour_key(["person"]) == [("person", 0)]
    assert colour_key(["0", "1", "car"]) == [("0", 0), ("1", 1), ("2 car", 2)]
    assert colour_key([f"kind {number}" for number in range(99)]) == []


def test_names_of_any_length_and_shape_fit_the_strip() -> None:
    names = ["two\nlines", "x" * 500, "行人"]
    sheet = pair_sheet([pair(480, 480)], title="t", class_names=names)
    assert sheet.width < 1100
