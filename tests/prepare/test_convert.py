from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.config.yaml import read_yaml
from fusetrain.data.image import read_counts, read_rgb
from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError
from fusetrain.prepare.convert import NAMES, plan_convert
from fusetrain.prepare.writing import write_plan


def indexes(path: Path) -> list[DatasetIndex]:
    spec = load_spec(path)
    return [scan_split(spec, split).index for split in spec.splits]


def assert_same_pairs(old: Sequence[DatasetIndex], new: Sequence[DatasetIndex]) -> None:
    assert [index.split for index in new] == [index.split for index in old if len(index)]
    for before, after in zip((index for index in old if len(index)), new, strict=True):
        assert list(after.keys) == list(before.keys)
        assert after.class_names == before.class_names
        assert after.box_ends.tolist() == before.box_ends.tolist()
        assert after.box_classes.tolist() == before.box_classes.tolist()
        np.testing.assert_allclose(after.boxes, before.boxes, atol=1e-6)
        for row in range(len(before)):
            rgb = read_rgb(after.rgb_path(row), storage=after.storage)
            ir = read_counts(after.ir_path(row), storage=after.storage)
            old_rgb = read_rgb(before.rgb_path(row), storage=before.storage)
            difference = np.abs(rgb.astype(int) - old_rgb)
            is_copy = before.rgb_path(row).read_bytes() == after.rgb_path(row).read_bytes()
            assert rgb.shape == old_rgb.shape
            assert difference.mean() <= (0.0 if is_copy else 3.0)
            np.testing.assert_array_equal(
                ir, read_counts(before.ir_path(row), storage=before.storage)
            )


@pytest.mark.parametrize("to", NAMES)
def test_pairs_and_boxes_stay_what_they_are(demo: Path, tmp_path: Path, to: str) -> None:
    write_plan(plan_convert(demo, to), tmp_path / "new")
    assert_same_pairs(indexes(demo), indexes(tmp_path / "new"))


@pytest.mark.parametrize("to", ["coco", "voc"])
def test_back_and_forth_loses_nothing(demo: Path, tmp_path: Path, to: str) -> None:
    write_plan(plan_convert(demo, to), tmp_path / "there")
    write_plan(plan_convert(tmp_path / "there", "fusetrain"), tmp_path / "back")
    assert_same_pairs(indexes(demo), indexes(tmp_path / "back"))


@pytest.mark.parametrize("to", ["coco", "voc", "fusetrain"])
def test_excluded_boxes_go_along_where_labels_can_tell_them(
    demo: Path, tmp_path: Path, to: str
) -> None:
    write_plan(plan_convert(demo, "voc"), tmp_path / "old")
    path = min((tmp_path / "old/Annotations").iterdir())
    text = path.read_text().replace("<difficult>0", "<difficult>1", 1)
    path.write_text(text)
    plan = plan_convert(tmp_path / "old", to)
    write_plan(plan, tmp_path / "new")
    before, after = (
        [
            (index.keys[row], *index.regions(row).classes.tolist())
            for index in indexes(root)
            for row in range(len(index))
            if len(index.regions(row).classes)
        ]
        for root in (tmp_path / "old", tmp_path / "new")
    )
    assert [key for key, _ in before] == [path.stem]
    assert after == ([] if to == "fusetrain" else before)
    assert any("1 excluded box " in note for note in plan.notes) == (to == "fusetrain")


@pytest.mark.parametrize("to", NAMES)
def test_splits_without_labels_stay_readable(demo: Path, tmp_path: Path, to: str) -> None:
    root = tmp_path / "set"
    shutil.copytree(demo, root)
    for number, split in enumerate(("val", "train")):
        shutil.rmtree(root / "labels" / split)
        write_plan(plan_convert(root, to), tmp_path / str(number))
        new = indexes(tmp_path / str(number))
        assert_same_pairs(indexes(root), new)
        assert [index.has_labels.any() for index in new] == [number == 0, False]


def framed_set(root: Path, *, is_jpeg: bool) -> Path:
    """Write a pair with a white frame of 10 px and a box in px of the framed image."""
    for folder in ("images/train", "imagesIR/train", "labels/train"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for folder, shape in (("images", (60, 80, 3)), ("imagesIR", (60, 80))):
        pixels = np.full(shape, 255, np.uint8)
        small = Image.fromarray(rng.integers(0, 200, (5, 6, *shape[2:]), np.uint8))
        pixels[10:50, 10:70] = np.asarray(small.resize((60, 40)))
        suffix = "jpg" if is_jpeg and folder == "images" else "png"
        Image.fromarray(pixels).save(root / folder / "train" / f"a.{suffix}", quality=95)
    (root / "labels/train/a.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (root / "data.yaml").write_text("train: images/train\nborder: 10\nnames: [car]\n")
    return root


@pytest.mark.parametrize("is_jpeg", [False, True])
@pytest.mark.parametrize("to", ["fusetrain", "coco", "voc"])
def test_a_frame_is_cut_off_images_and_boxes(tmp_path: Path, to: str, is_jpeg: bool) -> None:
    root = framed_set(tmp_path / "set", is_jpeg=is_jpeg)
    write_plan(plan_convert(root, to), tmp_path / "new")
    (new,) = indexes(tmp_path / "new")
    assert_same_pairs(indexes(root), [new])
    assert new.storage.border_px == 0
    with Image.open(new.rgb_path(0)) as image:
        assert image.size == (60, 40)
    np.testing.assert_allclose(new.boxes, [[0.5, 0.5, 20 / 60, 30 / 40]], atol=1e-6)


def test_the_thermal_policy_goes_along(demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        f"path: {demo}\ntrain: images/train\nthermal: {{range: [10, 300.5]}}\n"
        "names: [person, car, animal]\n"
    )
    for to in ("fusetrain", "coco"):
        write_plan(plan_convert(path, to), tmp_path / to)
        value = read_yaml(tmp_path / to / "data.yaml", error=DataError).value
        assert value["thermal"] == {"range": [10.0, 300.5]}


@pytest.mark.parametrize("to", ["fusetrain", "coco", "voc"])
@pytest.mark.parametrize("name", ["kaist", "dronevehicle", "llvip", "m3fd", "msrs", "vedai"])
def test_samples_of_public_sets_stay_what_they_are(
    samples: Path, tmp_path: Path, name: str, to: str
) -> None:
    write_plan(plan_convert(samples / name, to), tmp_path / "new")
    assert_same_pairs(indexes(samples / name), indexes(tmp_path / "new"))


def test_names_keep_their_letters_and_lose_their_suffix(tmp_path: Path) -> None:
    for name in ("set00_V000_I1_visible.png", "set00_V000_I1_lwir.png"):
        (tmp_path / "set/images").mkdir(parents=True, exist_ok=True)
        mode = "RGB" if "visible" in name else "L"
        Image.new(mode, (64, 48), "gray").save(tmp_path / "set/images" / name)
    (tmp_path / "set/data.yaml").write_text(
        "train: images\nir: {images: images}\nsuffixes: {rgb: _visible, ir: _lwir}\nnames: [a]\n"
    )
    plan = plan_convert(tmp_path / "set/data.yaml", "fusetrain")
    assert plan.files[0].target == "images/train/set00_V000_I1.png"
