from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.data.cache import cache_for
from fusetrain.data.dataset import (
    Augmentation,
    TrainDataset,
)
from fusetrain.data.decode import ImageError
from fusetrain.data.index import DatasetIndex
from fusetrain.data.letterboxed import ValDataset
from fusetrain.data.order import SampleKey
from fusetrain.data.photometric import PhotometricRanges
from fusetrain.data.placement import GeometryRanges
from fusetrain.data.reader import stored_long_side
from fusetrain.data.transforms import PADDING
from fusetrain.sample import PairedSample

PaintedSet = Callable[..., DatasetIndex]
MIDDLE = 135  # between the painted objects and what lies behind them
SIZES = ((120, 160), (90, 200), (200, 90), (150, 150), (300, 400), (64, 64))
FULL = Augmentation(
    mosaic=0.7,
    mixup=0.3,
    copy_paste=0.5,
    geometry=GeometryRanges(scale=0.5, translate=0.1, fliplr=0.5, degrees=3.0),
    photometric=PhotometricRanges(0.015, 0.7, 0.4, 0.2, 0.02, 0.01, 0.02, 0.2),
    drop_rgb=0.1,
    drop_ir=0.1,
)


def assert_same(first: PairedSample, second: PairedSample) -> None:
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.boxes_xyxy_px, second.boxes_xyxy_px)
    np.testing.assert_array_equal(first.classes, second.classes)


def test_a_sample_follows_from_seed_epoch_and_id_alone(painted_set: PaintedSet) -> None:
    index = painted_set(*SIZES)
    first = TrainDataset(index, imgsz=128, augmentation=FULL, seed=3)
    second = TrainDataset(index, imgsz=128, augmentation=FULL, seed=3)
    keys = [SampleKey(epoch, row, True) for epoch in (0, 5) for row in range(len(SIZES))]
    ahead = {key: first[key] for key in keys}
    for key in reversed(keys):
        assert_same(second[key], ahead[key])


def test_epochs_samples_and_seeds_differ(painted_set: PaintedSet) -> None:
    index = painted_set((100, 100), (100, 100))
    dataset = TrainDataset(index, imgsz=96, augmentation=FULL, seed=3)
    other = TrainDataset(index, imgsz=96, augmentation=FULL, seed=4)
    key = SampleKey(0, 0, True)
    for sample in (dataset[SampleKey(1, 0, True)], dataset[SampleKey(0, 1, True)], other[key]):
        assert not np.array_equal(sample.pixels, dataset[key].pixels)


def test_the_cache_changes_no_pixel(painted_set: PaintedSet) -> None:
    index = painted_set(*SIZES, ir_share=0.5)
    cache = cache_for(len(index), stored_long_side(128, 0.5))
    cached = TrainDataset(index, imgsz=128, augmentation=FULL, cache=cache)
    plain = TrainDataset(index, imgsz=128, augmentation=FULL)
    for epoch in (0, 1):
        for row in range(len(index)):
            assert_same(cached[SampleKey(epoch, row, True)], plain[SampleKey(epoch, row, True)])
    assert len(cache) == len(index)


def as_regions(index: DatasetIndex) -> DatasetIndex:
    """Return the index with a region of any class wherever a box is."""
    return replace(
        index,
        ignored_ends=index.box_ends,
        ignored_boxes=index.boxes,
        ignored_classes=np.full(len(index.boxes), -1),
    )


def test_excluded_regions_go_where_boxes_go(painted_set: PaintedSet) -> None:
    index = painted_set(*SIZES)
    augmentation = replace(FULL, copy_paste=0.0)
    plain, regional = (
        TrainDataset(own, imgsz=128, augmentation=augmentation)
        for own in (index, as_regions(index))
    )
    num_boxes = 0
    for epoch in range(6):
        for row in range(len(index)):
            key = SampleKey(epoch, row, compose=epoch < 4)
            sample = regional[key]
            assert_same(sample, plain[key])
            assert not len(plain[key].excluded_classes)
            assert sample.excluded_classes.tolist() == [-1] * len(sample.excluded_xyxy_px)
            places = set(map(tuple, sample.excluded_xyxy_px.tolist()))
            assert set(map(tuple, sample.boxes_xyxy_px.tolist())) <= places
            num_boxes += len(sample.classes)
    assert num_boxes > 50


def test_excluded_regions_are_letterboxed_like_boxes(painted_set: PaintedSet) -> None:
    sample = ValDataset(as_regions(painted_set((120, 160))), imgsz=96).draw(0, None)
    assert len(sample.classes) > 0
    np.testing.assert_array_equal(sample.excluded_xyxy_px, sample.boxes_xyxy_px)


def test_a_cached_pair_is_not_changed_by_augmentation(painted_set: PaintedSet) -> None:
    index = painted_set((96, 96))
    cache = cache_for(1, 96)
    dataset = TrainDataset(
        index, imgsz=96, augmentation=Augmentation(drop_rgb=1.0, mixup=1.0), cache=cache
    )
    dataset[SampleKey(0, 0, True)]
    entry = cache.get(0)
    assert entry is not None
    before = entry[0].copy()
    for epoch in range(5):
        dataset[SampleKey(epoch, 0, True)]
    np.testing.assert_array_equal(entry[0], before)


def test_without_augmentation_a_pair_fills_its_canvas(painted_set: PaintedSet) -> None:
    index = painted_set((64, 128))
    sample = TrainDataset(index, imgsz=128, augmentation=Augmentation())[SampleKey(0, 0, True)]
    disk = np.asarray(Image.open(index.rgb_path(0)))
    np.testing.assert_array_equal(sample.pixels[..., :3], disk)
    np.testing.assert_array_equal(sample.pixels[..., 3], np.asarray(Image.open(index.ir_path(0))))
    assert sample.original_size_hw == (64, 128)


def test_single_pairs_lie_centred_on_a_canvas_that_fits_nearly_all(painted_set: PaintedSet) -> None:
    index = painted_set((64, 128), (96, 128), (96, 128))
    dataset = TrainDataset(index, imgsz=128, augmentation=Augmentation())
    pixels = dataset[SampleKey(0, 0, False)].pixels
    assert pixels.shape == (96, 128, 4)
    assert (pixels[:16] == PADDING).all()
    assert (pixels[80:] == PADDING).all()
    disk = np.asarray(Image.open(index.rgb_path(0)))
    np.testing.assert_array_equal(pixels[16:80, :, :3], disk)


@pytest.mark.parametrize("imgsz", [96, 100, 320])
@pytest.mark.parametrize("height", range(60, 68))
def test_without_augmentation_training_sees_what_validation_sees(
    painted_set: PaintedSet, imgsz: int, height: int
) -> None:
    index = painted_set((height, 133))
    trained = TrainDataset(index, imgsz=imgsz, augmentation=Augmentation())
    assert_same(trained[SampleKey(0, 0, False)], ValDataset(index, imgsz=imgsz)[0])


def test_samples_of_an_epoch_that_may_hold_mosaics_share_a_square_canvas(
    painted_set: PaintedSet,
) -> None:
    index = painted_set((64, 128), (64, 128))
    dataset = TrainDataset(index, imgsz=128, augmentation=Augmentation(mosaic=0.5))
    shapes = {dataset[SampleKey(epoch, 0, True)].pixels.shape for epoch in range(20)}
    assert shapes == {(128, 128, 4)}
    assert dataset[SampleKey(0, 0, False)].pixels.shape == (64, 128, 4)


def test_the_canvas_is_a_multiple_of_the_stride(painted_set: PaintedSet) -> None:
    dataset = TrainDataset(painted_set((64, 64)), imgsz=100, augmentation=Augmentation())
    assert dataset[SampleKey(0, 0, False)].pixels.shape == (128, 128, 4)


@pytest.mark.parametrize("ir_share", [1.0, 0.5, 2.0])
def test_both_modalities_and_the_box_agree_on_the_canvas(
    painted_set: PaintedSet, ir_share: float
) -> None:
    index = painted_set(*SIZES, ir_share=ir_share)
    augmentation = Augmentation(geometry=GeometryRanges(scale=0.4, translate=0.1, fliplr=0.5))
    dataset = TrainDataset(index, imgsz=192, augmentation=augmentation)
    seen = 0
    for epoch in range(4):
        for row in range(len(index)):
            sample = dataset[SampleKey(epoch, row, False)]
            for channel in (0, 3):
                bright = sample.pixels[..., channel] > MIDDLE
                rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
                found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
                np.testing.assert_allclose(sample.boxes_xyxy_px[0], found, atol=1.0)
                seen += 1
    assert seen == 4 * len(SIZES) * 2


def test_a_canvas_is_drawn_whole_whatever_it_held_before(painted_set: PaintedSet) -> None:
    dataset = TrainDataset(painted_set(*SIZES), imgsz=128, augmentation=FULL)
    for compose in (True, False):
        for epoch in range(6):
            key = SampleKey(epoch, 0, compose)
            canvas = np.full((*dataset.canvas_hw(key), 4), 7, np.uint8)
            sample = dataset.draw(key, canvas)
            assert sample.pixels is canvas
            assert_same(sample, dataset[key])


def test_a_pair_shown_again_in_an_epoch_looks_otherwise(painted_set: PaintedSet) -> None:
    dataset = TrainDataset(painted_set(*SIZES), imgsz=96, augmentation=FULL)
    first, again = (dataset[SampleKey(0, 0, False, turn)] for turn in (0, 1))
    assert again.sample_id == first.sample_id
    assert not np.array_equal(again.pixels, first.pixels)
    assert_same(again, dataset[SampleKey(0, 0, False, 1)])


def test_closing_mosaic_closes_copy_paste_too(painted_set: PaintedSet) -> None:
    dataset = TrainDataset(painted_set(*SIZES), imgsz=128, augmentation=Augmentation(copy_paste=1))
    counts = [len(dataset[SampleKey(0, row, True)].classes) for row in range(len(SIZES))]
    assert max(counts) == 2
    assert all(len(dataset[SampleKey(0, row, False)].classes) == 1 for row in range(len(SIZES)))


def test_closing_mosaic_leaves_single_pairs(painted_set: PaintedSet) -> None:
    index = painted_set(*SIZES)
    dataset = TrainDataset(index, imgsz=128, augmentation=Augmentation(mosaic=1.0, mixup=1.0))
    for row in range(len(index)):
        assert len(dataset[SampleKey(0, row, False)].classes) == 1
    assert max(len(dataset[SampleKey(0, row, True)].classes) for row in range(len(index))) > 2


def test_mixup_keeps_the_boxes_of_both(painted_set: PaintedSet) -> None:
    index = painted_set(*SIZES)
    dataset = TrainDataset(index, imgsz=128, augmentation=Augmentation(mixup=1.0))
    assert all(len(dataset[SampleKey(0, row, True)].classes) == 2 for row in range(len(index)))


@pytest.mark.parametrize("size_hw", [(120, 160), (333, 517), (517, 333), (20, 31)])
def test_validation_boxes_map_back_onto_the_original(
    painted_set: PaintedSet, size_hw: tuple[int, int]
) -> None:
    index = painted_set(size_hw)
    sample = ValDataset(index, imgsz=160)[0]
    height, width = sample.pixels.shape[:2]
    assert height % 32 == width % 32 == 0
    assert 160 in (height, width)
    scale_x, scale_y, shift_x, shift_y = sample.canvas_from_original
    box = sample.boxes_xyxy_px[0].astype(float)
    back = (box - [shift_x, shift_y, shift_x, shift_y]) / [scale_x, scale_y, scale_x, scale_y]
    cx, cy, w, h = index.boxes_cxcywh_unit(0)[0].astype(float) * np.tile(size_hw[::-1], 2)
    np.testing.assert_allclose(back, [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], atol=1e-3)
    bright = sample.pixels[..., 3] > MIDDLE
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    np.testing.assert_allclose(box, [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], atol=1.0)
    assert sample.original_size_hw == size_hw


def test_validation_knows_its_canvas_before_reading(painted_set: PaintedSet) -> None:
    dataset = ValDataset(painted_set(*SIZES), imgsz=160)
    for row in range(len(SIZES)):
        assert dataset.canvases_hw[row] == dataset[row].pixels.shape[:2]


def test_a_rotated_photograph_is_used_upright(painted_set: PaintedSet) -> None:
    index = painted_set((64, 128))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = index.rgb_path(0)
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    sample = ValDataset(index, imgsz=128)[0]
    assert sample.original_size_hw == (64, 128)
    bright = sample.pixels[..., 0] > MIDDLE
    np.testing.assert_array_equal(bright, sample.pixels[..., 3] > MIDDLE)


def test_a_pair_without_labels_is_background(painted_set: PaintedSet) -> None:
    index = painted_set((64, 64))
    empty = DatasetIndex(
        **{
            **{name: getattr(index, name) for name in index.__dataclass_fields__},
            "box_ends": np.zeros(1, np.int64),
            "boxes": index.boxes[:0],
            "box_classes": index.box_classes[:0],
        }
    )
    for sample in (
        TrainDataset(empty, imgsz=64, augmentation=FULL)[SampleKey(0, 0, True)],
        ValDataset(empty, imgsz=64)[0],
    ):
        assert sample.boxes_xyxy_px.shape == (0, 4)
        assert sample.boxes_xyxy_px.dtype == np.float32
        assert sample.classes.shape == (0,)


def test_an_image_that_vanished_is_named(painted_set: PaintedSet) -> None:
    index = painted_set((64, 64))
    Path(index.ir_path(0)).unlink()
    dataset = TrainDataset(index, imgsz=64, augmentation=Augmentation())
    with pytest.raises(ImageError) as caught:
        dataset[SampleKey(0, 0, False)]
    assert str(index.ir_path(0)) in str(caught.value)
