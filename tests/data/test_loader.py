from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fusetrain.data.dataset import Augmentation, TrainDataset
from fusetrain.data.decode import ImageError
from fusetrain.data.index import DatasetIndex
from fusetrain.data.letterboxed import ValDataset
from fusetrain.data.loader import collate, train_batches, val_batches
from fusetrain.data.order import EpochBatches
from fusetrain.data.photometric import PhotometricRanges
from fusetrain.data.placement import GeometryRanges
from fusetrain.errors import ConfigError
from fusetrain.sample import Batch, PairedSample

PaintedSet = Callable[..., DatasetIndex]
LIVELY = Augmentation(
    mosaic=0.5,
    geometry=GeometryRanges(scale=0.5, translate=0.1, fliplr=0.5),
    photometric=PhotometricRanges(0.015, 0.7, 0.4, 0.2, 0.05),
)


def assert_equal_batches(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for part in fields(Batch):
            torch.testing.assert_close(
                getattr(one, part.name), getattr(other, part.name), rtol=0, atol=0
            )


def train_set(painted_set: PaintedSet, count: int = 7, seed: int = 0) -> TrainDataset:
    sizes = [(48 + 8 * number, 64) for number in range(count)]
    return TrainDataset(painted_set(*sizes), imgsz=64, augmentation=LIVELY, seed=seed)


def test_an_epoch_is_a_permutation_with_a_short_last_batch() -> None:
    order = EpochBatches(num_pairs=23, batch=5, seed=1, epoch=2)
    batches = list(order)
    assert [len(ids) for ids in batches] == [5, 5, 5, 5, 3]
    assert len(order) == order.total == 5
    assert sorted(np.concatenate(batches).tolist()) == list(range(23))


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return EpochBatches(50, 8, seed, epoch).order().tolist()

    assert order(1, 2) == order(1, 2)
    assert len({tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


@pytest.mark.parametrize("first_batch", [0, 1, 3, 5, 6])
def test_an_epoch_can_be_entered_at_any_batch(first_batch: int) -> None:
    whole = [ids.tolist() for ids in EpochBatches(23, 5, 1, 2)]
    rest = EpochBatches(23, 5, 1, 2, first_batch=first_batch)
    assert [ids.tolist() for ids in rest] == whole[first_batch:]
    assert len(rest) == len(whole[first_batch:])


@pytest.mark.parametrize("num_pairs", [3, 23, 24, 25, 32])
def test_ranks_share_out_each_batch(num_pairs: int) -> None:
    whole = [ids.tolist() for ids in EpochBatches(num_pairs, 8, 1, 2)]
    shares = [
        [ids.tolist() for ids in EpochBatches(num_pairs, 8, 1, 2, rank=rank, world_size=4)]
        for rank in range(4)
    ]
    for number, ids in enumerate(whole):
        parts = [share[number] for share in shares]
        assert [row for part in parts for row in part] == ids
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_batch_that_ranks_cannot_share_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"batch 6 .* 4 ranks"):
        EpochBatches(20, 6, 0, 0, world_size=4)


def sample(count: int, number: int) -> PairedSample:
    return PairedSample(
        pixels=np.full((32, 64, 4), number, np.uint8),
        boxes_xyxy_px=np.full((count, 4), number, np.float32),
        classes=np.full(count, number, np.int64),
        sample_id=number,
        canvas_from_original=np.array([1.0, 2.0, 3.0, number]),
        original_size_hw=(30, number),
    )


def test_collate_pads_boxes_and_keeps_their_bookkeeping() -> None:
    batch = collate([sample(0, 4), sample(3, 5), sample(1, 6)])
    assert len(batch) == 3
    assert batch.boxes_xyxy_px.shape == (3, 3, 4)
    assert batch.is_box.sum(dim=1).tolist() == [0, 3, 1]
    assert batch.boxes_xyxy_px[~batch.is_box].abs().sum() == 0
    assert batch.classes[batch.is_box].tolist() == [5, 5, 5, 6]
    assert batch.sample_ids.tolist() == [4, 5, 6]
    assert batch.original_sizes_hw.tolist() == [[30, 4], [30, 5], [30, 6]]
    assert batch.rgb.shape == (3, 3, 32, 64)
    assert batch.ir.shape == (3, 1, 32, 64)
    assert batch.canvas_from_original[:, 3].tolist() == [4.0, 5.0, 6.0]


def test_collate_pads_excluded_regions_with_empty_ones() -> None:
    region = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    other = replace(sample(2, 5), excluded_xyxy_px=region, excluded_classes=np.array([-1]))
    batch = collate([sample(1, 4), other])
    assert batch.excluded_xyxy_px.tolist() == [[[0.0] * 4], region.tolist()]
    assert batch.excluded_classes.tolist() == [[0], [-1]]
    assert batch.boxes_xyxy_px.shape == (2, 2, 4)
    assert batch.part(1, 2).excluded_classes.tolist() == [[-1]]
    assert batch.blank().excluded_classes.shape == (1, 0)


@pytest.mark.fault(37)
def test_background_alone_and_nothing_at_all_are_batches_too() -> None:
    assert collate([sample(0, 1), sample(0, 2)]).boxes_xyxy_px.shape == (2, 0, 4)
    assert len(collate([])) == 0


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.fault(19)
def test_workers_change_nothing_that_is_seen(painted_set: PaintedSet, workers: int) -> None:
    dataset = train_set(painted_set)
    alone = list(train_batches(dataset, batch=2, epoch=1))
    helped = list(train_batches(dataset, batch=2, epoch=1, workers=workers))
    assert_equal_batches(helped, alone)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_epoch_goes_on_with_the_same_batches(
    painted_set: PaintedSet, workers: int
) -> None:
    dataset = train_set(painted_set)
    whole = list(train_batches(dataset, batch=2, epoch=1))
    rest = list(train_batches(dataset, batch=2, epoch=1, first_batch=2, workers=workers))
    assert_equal_batches(rest, whole[2:])


def test_two_ranks_see_what_one_sees(painted_set: PaintedSet) -> None:
    dataset = train_set(painted_set)
    whole = list(train_batches(dataset, batch=4, epoch=0))
    ranks = [
        list(train_batches(dataset, batch=4, epoch=0, rank=rank, world_size=2)) for rank in (0, 1)
    ]
    for batch, first, second in zip(whole, *ranks, strict=True):
        assert torch.equal(batch.pixels, torch.cat((first.pixels, second.pixels)))


def test_a_rank_without_pairs_gets_an_empty_batch(painted_set: PaintedSet) -> None:
    dataset = train_set(painted_set, 3)
    for workers in (0, 1):
        last = list(
            train_batches(dataset, batch=2, epoch=0, rank=1, world_size=2, workers=workers)
        )[-1]
        assert len(last) == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_validation_sees_every_pair_once_on_canvases_of_one_size(
    painted_set: PaintedSet, workers: int
) -> None:
    sizes = [(48, 64), (64, 48), (48, 64), (20, 64), (48, 64), (64, 64)]
    dataset = ValDataset(painted_set(*sizes), imgsz=64)
    batches = list(val_batches(dataset, batch=2, workers=workers))
    seen = [row for batch in batches for row in batch.sample_ids.tolist()]
    assert sorted(seen) == list(range(len(sizes)))
    for batch in batches:
        for row, pixels in zip(batch.sample_ids.tolist(), batch.pixels, strict=True):
            np.testing.assert_array_equal(pixels, dataset[row].pixels)


def test_ranks_share_the_validation_batches(painted_set: PaintedSet) -> None:
    dataset = ValDataset(painted_set(*[(48, 64)] * 5, (64, 48)), imgsz=64)
    seen = [
        row
        for rank in (0, 1)
        for batch in val_batches(dataset, batch=2, rank=rank, world_size=2)
        for row in batch.sample_ids.tolist()
    ]
    assert sorted(seen) == list(range(6))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_the_error_a_user_can_mend(
    painted_set: PaintedSet, workers: int
) -> None:
    dataset = train_set(painted_set)
    Path(dataset.index.rgb_path(3)).write_bytes(b"<html>")
    with pytest.raises(ImageError) as caught:
        list(train_batches(dataset, batch=2, epoch=0, workers=workers))
    assert caught.value.exit_code == 4
    assert str(dataset.index.rgb_path(3)) in str(caught.value)
    assert not multiprocessing.active_children()


@pytest.mark.fault(3)
def test_workers_survive_the_signals_that_stop_a_run(painted_set: PaintedSet) -> None:
    dataset = train_set(painted_set)
    batches = train_batches(dataset, batch=2, epoch=0, workers=2)
    seen = [next(batches)]
    for child in multiprocessing.active_children():
        for number in (signal.SIGTERM, signal.SIGINT):
            assert child.pid is not None
            os.kill(child.pid, number)
    seen += batches
    assert_equal_batches(seen, list(train_batches(dataset, batch=2, epoch=0)))


def test_leaving_an_epoch_early_ends_its_workers(painted_set: PaintedSet) -> None:
    batches = train_batches(train_set(painted_set), batch=1, epoch=0, workers=2)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert not multiprocessing.active_children()


def test_samples_of_a_real_set_fit_their_canvases() -> None:
    root = Path(__file__).parents[2].parent / "shared/data/roadscene-flir"
    if not root.is_dir():
        pytest.skip("the RoadScene-FLIR pack is not beside the repository")
    from fusetrain.data.index import scan_split
    from fusetrain.data.spec import load_spec

    index = scan_split(load_spec(root), "val").index
    batches = list(val_batches(ValDataset(index, imgsz=320), batch=16))
    assert sum(map(len, batches)) == len(index)
    assert sum(int(batch.is_box.sum()) for batch in batches) == len(index.boxes)
    for batch in batches:
        height, width = batch.pixels.shape[1:3]
        boxes = batch.boxes_xyxy_px[batch.is_box]
        assert (boxes >= 0).all()
        assert (boxes <= torch.tensor([width, height, width, height])).all()
        assert height * width < 320 * 320
    assert math.prod(batches[0].pixels.shape[1:3]) <= math.prod(batches[-1].pixels.shape[1:3])
