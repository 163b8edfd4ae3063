"""What a config asks of the looks of training pairs reaches their pixels, and nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusetrain import build
from fusetrain.config.schema import AugmentSettings, Config
from fusetrain.data.dataset import TrainDataset
from fusetrain.data.index import scan_split
from fusetrain.data.order import SampleKey
from fusetrain.data.spec import load_spec
from fusetrain.data.transforms import PADDING
from fusetrain.runs.batches import BatchSource, augmentation_of
from fusetrain.runs.session import choose_machine
from fusetrain.sample import PairedSample

from ..conftest import MakePairs

STILL: dict[str, Any] = dict.fromkeys(
    ("mosaic", "fliplr", "scale", "translate", "hsv_h", "hsv_s", "hsv_v", "ir_gain"), 0.0
)


@pytest.fixture
def samples(make_pairs: MakePairs) -> Any:
    index = scan_split(load_spec(make_pairs()), "train").index

    def read(**settings: float) -> list[PairedSample]:
        augmentation = augmentation_of(AugmentSettings.model_validate(STILL | settings))
        dataset = TrainDataset(index, imgsz=64, augmentation=augmentation)
        return [dataset[SampleKey(0, row, False)] for row in range(len(index))]

    return read


@pytest.mark.parametrize(
    ("setting", "blank", "kept"),
    [("drop_rgb", slice(0, 3), slice(3, 4)), ("drop_ir", slice(3, 4), slice(0, 3))],
)
def test_dropped_modality_is_grey_and_the_other_as_it_was(
    samples: Any, setting: str, blank: slice, kept: slice
) -> None:
    for plain, dropped in zip(samples(), samples(**{setting: 1.0}), strict=True):
        assert (dropped.pixels[..., blank] == PADDING).all()
        np.testing.assert_array_equal(dropped.pixels[..., kept], plain.pixels[..., kept])
        assert plain.pixels.std() > 10


@pytest.mark.parametrize(
    ("setting", "value"),
    [("ir_noise", 0.2), ("ir_shift", 0.2), ("ir_stripes", 0.2), ("ir_invert", 1.0)],
)
def test_infrared_alone_is_disturbed(samples: Any, setting: str, value: float) -> None:
    pairs = list(zip(samples(), samples(**{setting: value}), strict=True))
    for plain, disturbed in pairs:
        np.testing.assert_array_equal(disturbed.pixels[..., :3], plain.pixels[..., :3])
        np.testing.assert_array_equal(disturbed.boxes_xyxy_px, plain.boxes_xyxy_px)
    changed = [(plain.pixels != disturbed.pixels).mean() for plain, disturbed in pairs]
    assert max(changed) > 0.1


def test_share_of_dropped_samples_is_the_one_asked_for(make_pairs: MakePairs) -> None:
    index = scan_split(load_spec(make_pairs()), "train").index
    settings = AugmentSettings.model_validate(STILL | {"drop_rgb": 0.3, "drop_ir": 0.2})
    dataset = TrainDataset(index, imgsz=32, augmentation=augmentation_of(settings))
    pixels = [dataset[SampleKey(epoch, 0, False)].pixels for epoch in range(300)]
    no_rgb = sum(bool((one[..., :3] == PADDING).all()) for one in pixels)
    no_ir = sum(bool((one[..., 3] == PADDING).all()) for one in pixels)
    assert (no_rgb / 300, no_ir / 300) == pytest.approx((0.3, 0.2), abs=0.08)


def test_objects_are_pasted_where_the_config_asks_for_it(make_pairs: MakePairs) -> None:
    index = scan_split(load_spec(make_pairs()), "train").index
    for share, more in ((0.0, False), (1.0, True)):
        settings = AugmentSettings.model_validate(STILL | {"copy_paste": share, "scale": 0.5})
        dataset = TrainDataset(index, imgsz=64, augmentation=augmentation_of(settings))
        counts = [len(dataset[SampleKey(epoch, 0, True)].classes) for epoch in range(10)]
        assert (max(counts) > 2) is more


def test_a_balanced_run_shows_the_rare_class_more_often(make_pairs: MakePairs) -> None:
    data = make_pairs(train=12)
    labels = sorted((data.parent / "labels/train").glob("*.txt"))
    for path in labels[2:]:  # class 1 is left on two pairs of twelve
        path.write_text(path.read_text().splitlines()[0] + "\n")
    shown = {}
    for balance in (0.0, 1.0):
        config = Config.model_validate(
            {
                "data": str(data),
                "train": {"balance": balance, "batch": 4, "imgsz": 32, "device": "cpu"},
                "augment": {"mosaic": 0},
            }
        )
        source = BatchSource(config, build.open_data(config), choose_machine(config))
        batches = [batch for epoch in range(5) for batch in source.train(epoch, 0)]
        assert sum(map(len, batches)) == 60
        shown[balance] = sum(int((batch.sample_ids < 2).sum()) for batch in batches)
    assert shown[0.0] == 10
    assert shown[1.0] > 25


@pytest.mark.parametrize(("kind", "grey_at_first"), [("adapter", False), ("mid", True)])
def test_base_of_an_adapter_always_sees_its_image_where_it_is(
    make_pairs: MakePairs, kind: str, grey_at_first: bool
) -> None:
    config = Config.model_validate(
        {
            "data": str(make_pairs(train=8)),
            "model": {"fusion": kind},
            "train": {"epochs": 4, "batch": 8, "imgsz": 32, "device": "cpu", "workers": 0},
            "augment": STILL | {"drop_rgb": 0.5, "drop_ir": 0.5, "ir_shift": 0.4},
        }
    )
    source = BatchSource(config, build.open_data(config), choose_machine(config))
    for epoch in range(4):
        (batch,) = source.train(epoch, 0)
        grey = (batch.pixels == PADDING).flatten(1, 2).all(1)  # (pairs, 4 channels)
        is_dropped = bool((grey[:, :3].all(1) | grey[:, 3]).all())
        assert is_dropped is (grey_at_first or epoch >= 2)
    assert source.train_data.augmentation.photometric.ir_shift == 0.4
