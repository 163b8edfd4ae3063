from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.data.decode import ImageError
from fusetrain.data.image import read_rgb
from fusetrain.errors import DataError, UsageError
from fusetrain.inference.given_pairs import (
    aspect_note,
    find_pairs,
    given_alone,
    index_of,
    output_names,
)


def image(path: Path, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "rgb", tmp_path / "ir"


def test_folders_are_paired_by_key(folders: tuple[Path, Path]) -> None:
    rgb, ir = folders
    for name in ("b.jpg", "A.jpg", "deep/c.png"):
        image(rgb / name)
    for name in ("deep/C.png", "a.png", "B.bmp"):
        image(ir / name)
    given = find_pairs(rgb, ir)
    assert given.note == ""
    assert given.pairs == (
        (rgb / "A.jpg", ir / "a.png"),
        (rgb / "b.jpg", ir / "B.bmp"),
        (rgb / "deep/c.png", ir / "deep/C.png"),
    )


def test_images_without_one_partner_are_counted(folders: tuple[Path, Path]) -> None:
    rgb, ir = folders
    for name in ("a.jpg", "alone.jpg", "twice.jpg", "twice.png"):
        image(rgb / name)
    for name in ("a.jpg", "twice.jpg", "other.jpg"):
        image(ir / name)
    given = find_pairs(rgb, ir)
    assert [pair[0].name for pair in given.pairs] == ["a.jpg"]
    assert given.note.startswith("left out: 5 images without one partner")
    assert str(rgb / "alone.jpg") in given.note


def test_two_files_are_a_pair_whatever_they_are_called(folders: tuple[Path, Path]) -> None:
    pair = image(folders[0] / "day.jpg"), image(folders[1] / "heat.png")
    assert find_pairs(*pair).pairs == (pair,)


def test_one_path_for_both_has_to_hold_both(folders: tuple[Path, Path]) -> None:
    plain, whole = folders
    image(plain / "a.jpg")
    image(plain / "b.png")
    for path in (plain, plain / "a.jpg", plain / "b.png"):
        with pytest.raises(UsageError, match="which does not hold both") as caught:
            find_pairs(path, path)
        assert "leave --ir out" in caught.value.remedy
    whole.mkdir()
    Image.new("RGBA", (40, 30)).save(whole / "four.png")
    pages = [Image.new("L", (40, 30), grey) for grey in range(4)]
    pages[0].save(whole / "pages.tif", save_all=True, append_images=pages[1:])
    for path in (whole, whole / "four.png", whole / "pages.tif"):
        assert find_pairs(path, path).storage.channels == "rgbt"


def test_an_unreadable_file_for_both_is_left_to_be_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no image")
    assert find_pairs(path, path).pairs == ((path, path),)


def test_errors_of_images_given_alone_name_no_data_set(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no image")
    with pytest.raises(ImageError) as caught, given_alone():
        read_rgb(path)
    assert (caught.value.where, caught.value.remedy) == (str(path), "")
    with pytest.raises(ImageError) as caught:
        read_rgb(path)
    assert "check-data" in caught.value.remedy


def test_nothing_to_pair_is_a_data_error(folders: tuple[Path, Path]) -> None:
    rgb, ir = folders
    file = image(rgb / "a.jpg")
    image(ir / "b.jpg")
    for pair in ((rgb, ir), (file, ir), (rgb, ir / "none.jpg"), (ir / "none", rgb)):
        with pytest.raises(DataError):
            find_pairs(*pair)


@pytest.mark.parametrize(("size", "is_stretched"), [((20, 15), False), ((40, 31), True)])
def test_other_aspect_ratio_is_told(
    folders: tuple[Path, Path], size: tuple[int, int], is_stretched: bool
) -> None:
    pair = image(folders[0] / "a.png"), image(folders[1] / "a.png", size)
    assert bool(aspect_note([pair])) == is_stretched


def test_every_output_has_a_name_of_its_own() -> None:
    paths = [Path(name) for name in ("x/a.jpg", "a_2.jpg", "y/a.jpg", "z/A.jpg", "y/a_2.jpg")]
    names = output_names(paths)
    assert names[:2] == ["a", "a_2"]
    assert len({name.casefold() for name in names}) == len(paths)


def test_index_leads_to_the_files_as_they_were_named() -> None:
    pairs = [(Path("sub dir/a.jpg"), Path("/abs/ä.png"))]
    index = index_of(pairs, ("person",))
    assert (len(index), index.class_names) == (1, ("person",))
    assert (str(index.rgb_path(0)), str(index.ir_path(0))) == ("sub dir/a.jpg", "/abs/ä.png")
    assert len(index.box_classes) == 0


@pytest.mark.parametrize("count", [1, 20])
def test_folders_given_the_wrong_way_round_are_asked_about(
    folders: tuple[Path, Path], count: int
) -> None:
    rgb, ir = folders
    for number in range(count):
        image(ir / f"{number:02d}.png")
        rgb.mkdir(exist_ok=True)
        rng = np.random.default_rng(number)
        colours = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8))
        colours.save(rgb / f"{number:02d}.png")
    assert list(find_pairs(rgb, ir).oddities(None)) == []
    (asked,) = find_pairs(ir, rgb).oddities(None)
    assert asked.endswith("--rgb and --ir exchanged?")
