"""Pairs that join another one: in mosaics, by mixup and by copy-paste."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusetrain.data.dataset import Augmentation, TrainDataset
from fusetrain.data.index import DatasetIndex
from fusetrain.data.order import SampleKey
from fusetrain.data.photometric import PhotometricRanges

PaintedSet = Callable[..., DatasetIndex]
RARE, COMMON = 1, 0


@pytest.mark.parametrize("kind", ["mosaic", "mixup", "copy_paste"])
def test_balance_holds_for_the_pairs_that_join_another(painted_set: PaintedSet, kind: str) -> None:
    index = painted_set(*[(96, 96)] * 20)
    classes = np.full(20, COMMON)
    classes[7] = RARE
    index = replace(index, box_classes=classes)
    shares = []
    for balance in (0.0, 1.0):
        dataset = TrainDataset(
            index, imgsz=96, augmentation=Augmentation(**{kind: 1.0}), balance=balance
        )
        samples = [dataset[SampleKey(epoch, 3, True)] for epoch in range(60)]
        joined = np.concatenate([sample.classes[1:] for sample in samples])
        shares.append((joined == RARE).mean())
    assert shares[0] < 0.2  # 0.05 but for chance
    assert 0.35 < shares[1] < 0.65


def test_a_pasted_object_keeps_its_infrared_where_infrared_is_shifted(
    painted_set: PaintedSet,
) -> None:
    index = painted_set((96, 96), (96, 96))
    looks = PhotometricRanges(ir_shift=0.2)
    dataset = TrainDataset(
        index, imgsz=96, augmentation=Augmentation(copy_paste=1.0, photometric=looks)
    )
    num_pasted = 0
    for epoch in range(20):
        sample = dataset[SampleKey(epoch, 0, True)]
        for left, top, right, bottom in sample.boxes_xyxy_px[1:].astype(int).tolist():
            inner = sample.pixels[top + 2 : bottom - 2, left + 2 : right - 2, 3]
            assert inner.min() > 128
            num_pasted += 1
    assert num_pasted > 5
