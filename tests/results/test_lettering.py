from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import ImageFont

from fusetrain.results.figure_style import plain, save_figure
from fusetrain.results.lettering import font_file, lettered, with_codes
from fusetrain.results.pictures import DrawnBox, side_by_side

CJK = "行人"


def test_latin_keeps_the_small_font() -> None:
    text, font = lettered("person 0.93", 14)
    assert text == "person 0.93"
    assert font.getname() == ImageFont.load_default(size=14).getname()  # type: ignore[union-attr]


def test_other_scripts_take_a_font_that_has_them() -> None:
    text, font = lettered("Пешеход", 14)
    assert text == "Пешеход"
    assert with_codes(text, font) == text
    assert font_file(frozenset("Пеш")) is not None


def test_font_of_placeholders_is_no_font_of_letters() -> None:
    # matplotlib brings one that draws a box with a sign of its script for every letter there is.
    found = font_file(frozenset("行"))
    assert found is None or "LastResort" not in found


def test_letters_that_no_font_has_are_written_as_their_code() -> None:
    nowhere = "\ue83a"  # for private use: fonts of text have no picture of it
    assert with_codes(nowhere, ImageFont.load_default(size=14)) == "\\ue83a"


@pytest.mark.parametrize("label", [CJK, "日本", "안전", "a\ue83ab", "Пешеход", ""])
def test_any_name_is_drawn_without_a_crash_or_an_empty_box(label: str) -> None:
    text, font = lettered(label, 14)
    assert with_codes(text, font) == text
    grey = np.full((80, 120), 90, np.uint8)
    picture = side_by_side(np.dstack([grey] * 3), grey, [DrawnBox((9, 30, 70, 70), 1, label)])
    assert picture.size[0] > 2 * picture.size[1]


def test_figures_have_no_empty_boxes(tmp_path: Path) -> None:
    assert plain(CJK) == "\\u884c\\u4eba"
    assert plain("Пешеход") == "Пешеход"
    path = tmp_path / "figure.svg"
    save_figure(path, lambda figure: figure.subplots().set_title(plain(CJK)), size_inches=(3, 2))  # type: ignore[arg-type,return-value]
    assert ElementTree.parse(path).getroot() is not None
