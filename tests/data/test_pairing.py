from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusetrain.data.pairing import Orphan, has_suffix, join_pairings, pair_by_key, pair_key


def test_lost_frame_does_not_shift_the_pairs_behind_it() -> None:
    rgb = [f"images/{number:03d}.jpg" for number in range(5)]
    ir = [f"imagesIR/{number:03d}.png" for number in (0, 1, 3, 4)]
    pairing = pair_by_key(rgb, ir, rgb_folder="images", ir_folder="imagesIR")
    assert pairing.pairs == tuple(
        (f"images/{n:03d}.jpg", f"imagesIR/{n:03d}.png") for n in (0, 1, 3, 4)
    )
    assert [orphan.path for orphan in pairing.rgb_only] == ["images/002.jpg"]
    assert pairing.ir_only == ()


def test_case_suffix_and_unicode_form_do_not_count() -> None:
    composed, decomposed = "Straße_é", unicodedata.normalize("NFD", "STRASSE_É")
    assert composed != decomposed
    assert pair_by_key([f"{composed}.JPG"], [f"{decomposed}.tiff"]).pairs == (
        (f"{composed}.JPG", f"{decomposed}.tiff"),
    )


def test_key_keeps_subfolders_and_inner_dots_but_not_the_split_folder() -> None:
    assert pair_key("images/train/seq.1/0.5.jpg", "images/train") == "seq.1/0.5"
    assert pair_key("images/trains/a.jpg", "images/train") == "images/trains/a"
    assert pair_key(".hidden") == ".hidden"


def test_same_name_in_two_sequences_is_no_clash() -> None:
    rgb, ir = ["v/s1/1.jpg", "v/s2/1.jpg"], ["t/s2/1.jpg", "t/s1/1.jpg"]
    pairing = pair_by_key(rgb, ir, rgb_folder="v", ir_folder="t")
    assert pairing.pairs == (("v/s1/1.jpg", "t/s1/1.jpg"), ("v/s2/1.jpg", "t/s2/1.jpg"))


def test_shared_key_is_ambiguous_and_gives_no_pair() -> None:
    pairing = pair_by_key(["a.jpg", "A.png", "b.jpg"], ["a.png", "b.png"])
    assert pairing.pairs == (("b.jpg", "b.png"),)
    (clash,) = pairing.ambiguous
    assert (clash.key, clash.rgb_paths, clash.ir_paths) == ("a", ("A.png", "a.jpg"), ("a.png",))
    assert pairing.rgb_only == pairing.ir_only == ()


def test_orphan_gets_the_nearest_orphan_of_the_other_side_as_hint() -> None:
    pairing = pair_by_key(["frame_0012.jpg", "x.jpg"], ["frame_012.jpg", "y.png"])
    assert pairing.rgb_only == (Orphan("frame_0012.jpg", "frame_012.jpg"), Orphan("x.jpg"))
    assert pairing.ir_only == (Orphan("frame_012.jpg", "frame_0012.jpg"), Orphan("y.png"))


def test_neighbouring_frame_is_no_hint() -> None:
    pairing = pair_by_key(["frame_0012.jpg"], ["frame_0013.jpg"])
    assert pairing.rgb_only == (Orphan("frame_0012.jpg"),)


def test_joined_pairings_keep_every_part_in_order() -> None:
    joined = join_pairings([pair_by_key(["b.jpg"], ["b.png"]), pair_by_key(["a.jpg"], ["c.png"])])
    assert joined.pairs == (("b.jpg", "b.png"),)
    assert [orphan.path for orphan in joined.rgb_only] == ["a.jpg"]
    assert [orphan.path for orphan in joined.ir_only] == ["c.png"]


NAMES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1))


@given(rgb=NAMES, ir=NAMES)
def test_every_file_lands_in_exactly_one_place(rgb: list[str], ir: list[str]) -> None:
    pairing = pair_by_key(rgb, ir)
    placed_rgb = [pair[0] for pair in pairing.pairs] + [o.path for o in pairing.rgb_only]
    placed_ir = [pair[1] for pair in pairing.pairs] + [o.path for o in pairing.ir_only]
    for clash in pairing.ambiguous:
        placed_rgb += clash.rgb_paths
        placed_ir += clash.ir_paths
    assert sorted(placed_rgb) == sorted(rgb)
    assert sorted(placed_ir) == sorted(ir)


def test_suffixes_of_the_modalities_are_no_part_of_the_key() -> None:
    pairing = pair_by_key(
        ["f/a_Visible.png", "f/b_visible.png", "f/c.png"],
        ["f/A_LWIR.jpg", "f/d_lwir.png"],
        rgb_folder="f",
        ir_folder="f",
        rgb_suffix="_visible",
        ir_suffix="_lwir",
    )
    assert pairing.pairs == (("f/a_Visible.png", "f/A_LWIR.jpg"),)
    assert [orphan.path for orphan in pairing.rgb_only] == ["f/b_visible.png", "f/c.png"]
    assert [orphan.path for orphan in pairing.ir_only] == ["f/d_lwir.png"]


@pytest.mark.parametrize(
    ("path", "suffix", "expected"),
    [
        ("x/a_ir.png", "_ir", True),
        ("x/a_IR.png", "_ir", True),
        ("x/_ir.png", "_ir", False),
        ("x_ir/a.png", "_ir", False),
        ("x/a.png", "", True),
    ],
)
def test_suffix_counts_only_behind_something(path: str, suffix: str, expected: bool) -> None:
    assert has_suffix(path, suffix) == expected
