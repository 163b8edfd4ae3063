"""P04 to P06 and P10 to P14, I06 to I09, from measured facts alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from fusetrain.checks.findings import Finding
from fusetrain.checks.images import ImageFacts, PairFacts
from fusetrain.checks.infrared import (
    check_bit_depth,
    check_blank,
    check_levels,
    check_lines,
    check_pseudo_colour,
    check_stretched,
    check_stuck,
)
from fusetrain.checks.pairs import check_aspect, check_copy, check_swapped
from fusetrain.checks.quality import check_quality

RGB = ImageFacts(
    (480, 640),
    8,
    7,
    chroma=18.0,
    num_colours=1,
    spread=200.0,
    coloured=0.05,
    low=20.0,
    median=110.0,
    high=220.0,
    entropy=7.0,
    sharpness=0.65,
)
IR = replace(RGB, chroma=0.0, coloured=0.0, num_levels=200, sharpness=0.3, picture=b"i" * 16)


def pair(row: int = 0, *, rgb: dict[str, Any] | None = None, ir: dict[str, Any] | None = None,
         **changes: Any) -> PairFacts:  # fmt: skip
    facts = PairFacts(
        "train",
        row,
        f"images/{row}.jpg",
        f"imagesIR/{row}.png",
        replace(RGB, **(rgb or {})),
        replace(IR, **{"picture": bytes([row]) * 16, **(ir or {})}),
        luma_difference=50.0,
        luma_correlation=0.3,
    )
    return replace(facts, **changes)


def codes(found: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(entry.code, entry.level) for entry in found]


PHOTO = {"chroma": 18.0, "num_colours": 900, "coloured": 0.1}
GREY = {"chroma": 0.2, "coloured": 0.0}


@pytest.mark.fault(33)
def test_swapped_folders_are_told_once_and_single_pairs_by_name() -> None:
    swapped = [pair(row, rgb=GREY, ir=PHOTO) for row in range(10)]
    (found,) = check_swapped(swapped)
    assert (found.code, found.path, found.numbers) == ("P05", "", {"share": 1.0})
    mostly = [*swapped[:9], pair(9)]
    assert codes(check_swapped(mostly)) == [("P05", "error")]
    single = [pair(row) for row in range(9)] + [pair(9, rgb=GREY, ir=PHOTO)]
    (found,) = check_swapped(single)
    assert found.path == "imagesIR/9.png"
    assert check_swapped([pair(row) for row in range(9)]) == []


def test_grey_visible_with_a_colour_map_in_infrared_is_not_swapped() -> None:
    painted = {"chroma": 120.0, "num_colours": 90, "coloured": 0.8}
    assert check_swapped([pair(row, rgb=GREY, ir=painted) for row in range(5)]) == []


def test_deep_visible_beside_infrared_in_colour_is_swapped() -> None:
    assert codes(check_swapped([pair(rgb={"bits": 16, "chroma": 0.0}, ir=PHOTO)])) == [
        ("P05", "error")
    ]


@pytest.mark.parametrize(
    ("difference", "correlation", "is_copy"),
    [(0.4, 1.0, True), (40.0, 0.98, True), (None, 0.99, True), (40.0, 0.85, False),
     (40.0, -0.99, False), (None, None, False)],
)  # fmt: skip
def test_copy_is_told_by_difference_or_correlation(
    difference: float | None, correlation: float | None, is_copy: bool
) -> None:
    facts = pair(luma_difference=difference, luma_correlation=correlation)
    assert codes(check_copy(facts)) == [("P06", "error")] * is_copy


@pytest.mark.fault(33)
def test_aspect_may_differ_by_two_percent() -> None:
    assert check_aspect(pair(ir={"size_hw": (241, 320)})) == []
    assert codes(check_aspect(pair(ir={"size_hw": (256, 320)}))) == [("P04", "error")]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"chroma": 90.0, "num_colours": 60, "coloured": 0.9}, "a colour map"),
        ({"chroma": 20.0, "num_colours": 800, "coloured": 0.1}, "photograph"),
        ({"chroma": 2.0, "coloured": 0.01}, "a scale or symbols"),
    ],
)
def test_colours_in_infrared_are_told(facts: dict[str, Any], words: str) -> None:
    (found,) = check_pseudo_colour(pair(ir=facts))
    assert (found.code, found.level) == ("P10", "warn")
    assert words in found.message


def test_a_faint_cast_is_no_colour_map() -> None:
    assert check_pseudo_colour(pair(ir={"chroma": 3.99})) == []


def test_stuck_frames_need_three_in_a_row() -> None:
    frozen = {"picture": b"f" * 16}
    facts = [pair(0), *(pair(row, ir=frozen) for row in range(1, 5)), pair(5)]
    (found,) = check_stuck(facts)
    assert (found.code, found.path, found.numbers) == ("P12", "imagesIR/1.png", {"frames": 4})
    assert "imagesIR/4.png" in found.message
    assert check_stuck([pair(0, ir=frozen), pair(1, ir=frozen), pair(2)]) == []
    blank = {**frozen, "spread": 0.0}
    assert check_stuck([pair(row, ir=blank) for row in range(5)]) == []
    assert check_stuck([pair(row, ir=None) for row in range(5)]) == check_stuck([]) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"dead_rows": 1}, "1 dead row"),
        ({"dead_columns": 3}, "3 dead columns"),
        ({"column_pattern": 3.2}, "a fixed pattern of 3.2 levels from column to column"),
        ({"dead_rows": 2, "row_pattern": 9.0}, "2 dead rows, a fixed pattern"),
    ],
)
def test_lines_are_told(facts: dict[str, Any], words: str) -> None:
    (found,) = check_lines(pair(ir=facts))
    assert (found.code, found.level) == ("P13", "warn")
    assert words in found.message
    assert len(found.numbers) == len(facts)
    assert check_lines(pair(ir={"row_pattern": 1.0})) == []


def test_lost_levels() -> None:
    assert check_levels(pair()) == check_levels(pair(ir={"clipped_low": 0.4})) == []
    for facts in ({"num_levels": 12}, {"clipped_high": 0.3}, {"clipped_low": 0.7}):
        assert codes(check_levels(pair(ir=facts))) == [("P14", "warn")]
    assert check_levels(pair(ir={"num_levels": 12, "bits": 16})) == []
    assert check_levels(pair(ir={"num_levels": 1, "spread": 0.0})) == []  # that is P11
    assert codes(check_blank(pair(ir={"spread": 0.0}))) == [("P11", "warn")]


def test_odd_bit_depth_names_the_rarer_images() -> None:
    facts = [pair(0, ir={"bits": 16}), *(pair(row) for row in range(1, 4))]
    assert [entry.path for entry in check_bit_depth(facts)] == ["imagesIR/0.png"]


def test_frames_that_all_fill_the_range_are_a_remark() -> None:
    full = [pair(row, ir={"spread": 254.0}) for row in range(60)]
    assert codes(check_stretched(full)) == [("P14", "info")]
    assert check_stretched(full[:40]) == []
    assert check_stretched([*full[:30], *(pair(row) for row in range(30))]) == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"high": 9.0}, "I06"),
        ({"median": 252.0}, "I07"),
        ({"clipped_high": 0.6}, "I07"),
        ({"sharpness": 0.13}, "I08"),
        ({"entropy": 1.5}, "I09"),
    ],
)
def test_extreme_images_are_remarked(facts: dict[str, Any], code: str) -> None:
    (found,) = check_quality(pair(rgb=facts))
    assert (found.code, found.level, found.path) == (code, "info", "images/0.jpg")
    (found,) = check_quality(pair(ir=facts))
    assert (found.code, found.path) == (code, "imagesIR/0.png")
    assert check_quality(pair()) == []


def test_one_remark_stands_for_all() -> None:
    assert codes(check_quality(pair(rgb={"high": 9.0, "sharpness": 0.1, "entropy": 1.0}))) == [
        ("I06", "info")
    ]
    small = {"size_hw": (33, 39), "sharpness": 0.1}
    assert check_quality(pair(rgb=small, ir={"size_hw": (33, 39)})) == []


CHECKS: tuple[Callable[[PairFacts], list[Finding]], ...] = (
    check_aspect, check_copy, check_pseudo_colour, check_blank, check_lines, check_levels,
    check_quality,
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_pairs_that_cannot_be_used_are_not_judged(
    check: Callable[[PairFacts], list[Finding]],
) -> None:
    nothing = pair(rgb={}, ir={})
    nothing = replace(nothing, rgb=None, ir=None, luma_difference=None, luma_correlation=None)
    assert check(nothing) == []
    assert check(pair()) == []
