from __future__ import annotations

import pytest

from fusetrain.prepare.names import (
    clean_stem,
    match_by_key,
    match_by_order,
    match_by_time,
    shared_key,
    time_in_name,
    unique_stems,
)


def test_words_of_a_modality_are_no_part_of_a_name() -> None:
    rgb = ["a/FLIR_0001_RGB.jpg", "a/FLIR_0002_RGB.jpg", "vis-7.png", "thermal lab visible.png"]
    ir = ["a/FLIR_0001_PreviewData.jpeg", "a/FLIR_0002_IR.jpg", "lwir-7.png", "ir lab thermal.tif"]
    found = match_by_key(rgb, ir)
    assert dict(found.pairs) == {
        "a/FLIR_0001_RGB.jpg": "a/FLIR_0001_PreviewData.jpeg",
        "a/FLIR_0002_RGB.jpg": "a/FLIR_0002_IR.jpg",
        "vis-7.png": "lwir-7.png",
        "thermal lab visible.png": "ir lab thermal.tif",
    }
    assert (found.rgb_left, found.ir_left) == ((), ())


def test_nothing_is_guessed_where_two_files_could_be_meant() -> None:
    found = match_by_key(["x_rgb.jpg", "x_vis.jpg"], ["x_ir.jpg"])
    assert found.pairs == ()
    assert found.rgb_left == ("x_rgb.jpg", "x_vis.jpg")
    assert found.ir_left == ("x_ir.jpg",)


def test_names_in_other_folders_or_with_other_numbers_do_not_match() -> None:
    found = match_by_key(["a/1_rgb.jpg", "2_rgb.jpg"], ["b/1_ir.jpg", "3_ir.jpg"])
    assert found.pairs == ()


def test_equal_names_go_before_names_that_only_agree_without_case() -> None:
    found = match_by_key(["A.jpg", "a.jpg", "b.jpg", "b.png"], ["a.jpg", "A.jpg", "b.png", "b.jpg"])
    assert all(one == other for one, other in found.pairs)
    assert len(found.pairs) == 4


def test_composed_and_decomposed_letters_are_one_name() -> None:
    found = match_by_key(["caf\u00e9.jpg"], ["cafe\u0301.png"])
    assert found.pairs == (("caf\u00e9.jpg", "cafe\u0301.png"),)


def test_a_name_of_modality_words_alone_keeps_them() -> None:
    assert shared_key("rgb.jpg") == "/rgb"


def test_order_counts_numbers_as_numbers() -> None:
    found = match_by_order(["f10.jpg", "f9.jpg", "f1.jpg"], ["t2.png", "t30.png", "t5.png"])
    assert found.pairs == (("f1.jpg", "t2.png"), ("f9.jpg", "t5.png"), ("f10.jpg", "t30.png"))


def test_order_needs_equally_many() -> None:
    with pytest.raises(ValueError, match="2 visible and 1 infrared"):
        match_by_order(["a", "b"], ["c"])


def test_time_pairs_mutual_nearest_within_the_gap() -> None:
    rgb = {"a": 0.0, "b": 1.0, "c": 2.0, "x": None}
    ir = {"p": 0.03, "q": 0.96, "r": 1.02, "s": 2.3, "y": None}
    found = match_by_time(rgb, ir, max_gap_s=0.05)
    assert found.pairs == (("a", "p"), ("b", "r"))
    assert found.rgb_left == ("c", "x")
    assert found.ir_left == ("q", "s", "y")


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        ("20240131_235959.jpg", "20240201_000001.jpg", 2.0),
        ("cam-2024-01-31T12-00-00.250.png", "cam_20240131120000_750.png", 0.5),
        ("1700000000123.png", "1700000001.623.png", 1.5),
        ("r_1700000000123456.tif", "r_1700000000123456789.tif", 0.000000789),
    ],
)
def test_moments_in_names_are_read(first: str, second: str, seconds: float) -> None:
    one, other = time_in_name(first), time_in_name(second)
    assert one is not None
    assert other is not None
    assert other - one == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("name", ["0001.jpg", "FLIR_00123.jpg", "20249931_995959.jpg", "a.png"])
def test_other_numbers_are_no_moments(name: str) -> None:
    assert time_in_name(name) is None


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("00001_visible.png", "00001"),
        ("RGB_00001.jpg", "00001"),
        ("Stra\u00dfe \u00e9t\u00e9 7.jpg", "Strae_ete_7"),
        ("\u56fe\u50cf.png", "pair"),
        ("set00/V000/I1.jpg", "set00/V000/I1"),
        ("visible.jpg", "visible"),
        ("a.b.c.jpg", "a.b.c"),
    ],
)
def test_new_names_are_plain(name: str, stem: str) -> None:
    assert clean_stem(name) == stem


def test_new_names_differ_even_without_case() -> None:
    assert unique_stems(["a", "A", "b", "a-v2", "a"]) == ["a", "A-v3", "b", "a-v2", "a-v4"]
