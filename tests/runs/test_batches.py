"""What a config asks of the looks of training pairs reaches their pixels, and nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusetrain import build
from fusetrain.config.schema import AugmentSettings, Config
from fusetrain.data.cache import MEMORY_SHARE, PairCache
from fusetrain.data.dataset import TrainDataset
from fusetrain.data.index import scan_split
from fusetrain.data.order import SampleKey
from fusetrain.data.spec import load_spec
from fusetrain.data.transforms import PADDING
from fusetrain.launched import Place
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


@pytest.mark.parametrize(
    ("wanted", "share", "kind"),
    [("auto", 0.25, "ram"), ("auto", 0.0, "none"), ("none", 0.25, "none"), ("ram", 0.0, "ram")],
)
def test_pairs_stay_in_memory_where_little_is_needed_or_where_it_is_asked_for(
    make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch, wanted: str, share: float, kind: str
) -> None:
    monkeypatch.setattr("fusetrain.data.cache.UNASKED_SHARE", share)
    train = {"cache": wanted, "imgsz": 64, "batch": 2, "device": "cpu", "workers": 0}
    config = Config.model_validate({"data": str(make_pairs()), "train": train})
    data, notes = build.open_data(config), list[str]()
    source = BatchSource(config, data, choose_machine(config), note=notes.append)
    rows = sorted(row for batch in source.train(0, 0) for row in batch.sample_ids.tolist())
    assert rows == list(range(len(data.train)))
    kept = source.train_data.reader.cache, source.val_data.reader.cache
    assert [cache is not None for cache in kept] == [kind == "ram"] * 2
    if isinstance(kept[0], PairCache):
        most = build.cached_bytes(config, len(data.train))
        assert len(kept[0]) == len(data.train)
        assert 0 < kept[0].used_bytes <= most
    asks = wanted == "auto" and kind == "none"
    assert len(notes) == asks
    assert all("`train.cache=disk`" in note and "0.0 GB" in note for note in notes)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_caches_of_all_splits_and_ranks_share_the_memory_that_is_free(
    make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch, ranks: int
) -> None:
    free = 100_000
    monkeypatch.setattr("fusetrain.data.cache.free_memory_bytes", lambda: free)
    here = Place(world_size=ranks, local_world_size=ranks, address="127.0.0.1", port=1)
    monkeypatch.setattr("fusetrain.runs.batches.place", lambda: here)
    train = {"cache": "ram", "imgsz": 64, "batch": 2, "device": "cpu", "workers": 0}
    config = Config.model_validate({"data": str(make_pairs()), "train": train})
    source = BatchSource(config, build.open_data(config), choose_machine(config))
    caches = [source.train_data.reader.cache, source.val_data.reader.cache]
    taken = sum(cache.capacity_bytes for cache in caches if isinstance(cache, PairCache)) * ranks
    assert 0.9 * MEMORY_SHARE * free < taken <= MEMORY_SHARE * free


def test_a_resumed_run_keeps_the_canvas_of_its_start(make_pairs: MakePairs) -> None:
    train = {"imgsz": 64, "batch": 2, "device": "cpu", "workers": 0}
    config = Config.model_validate({"data": str(make_pairs()), "train": train})
    source = BatchSource(config, build.open_data(config), choose_machine(config))
    found = source.keep_canvas([])
    assert found == list(source.train_data.single_canvas_hw)
    other = [found[0] + 32, found[1] + 64]
    assert source.keep_canvas(other) == other
    key = SampleKey(0, 0, False)
    assert list(source.train_data[key].pixels.shape[:2]) == other


def test_ranks_of_a_host_share_what_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.model_validate({"train": {"imgsz": 64}, "augment": {"scale": 0.5}})
    needed = 100 * 96 * 96 * 4 + 10 * 64 * 64 * 4
    assert build.cached_bytes(config, 100, 10) == needed
    monkeypatch.setattr("fusetrain.data.cache.free_memory_bytes", lambda: 8 * needed)
    for ranks, kind in ((1, "ram"), (2, "ram"), (3, "none")):
        monkeypatch.setattr("fusetrain.build.place", lambda ranks=ranks: Place(0, ranks, 0, ranks))
        assert build.cache_kind(config, 100, 10) == kind
