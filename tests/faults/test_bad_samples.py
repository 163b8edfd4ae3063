"""Rows 24 to 26 and 28 to 31: images and workers that are lost while a training runs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from trainings import Training

from fusetrain.data.cache import Entry, PairStore
from fusetrain.data.dataset import Augmentation, TrainDataset
from fusetrain.data.decode import ImageError
from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.loader import train_batches
from fusetrain.data.quarantine import Policy, Quarantine, Refusal
from fusetrain.data.spec import load_spec
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.troubles import troubles
from fusetrain.errors import DataError
from fusetrain.sample import Batch


def vanish(path: Path) -> None:
    path.unlink()


def rot(path: Path) -> None:
    """Leave the first half of the file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Flip a bit in the pixels of a PNG, at which the decoder of torchvision crashes."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def at_step(step: int, harm: Callable[[], None]) -> Callable[[int], None]:
    return lambda slot: harm() if slot == step else None


HARM = {
    "vanish": pytest.param(vanish, "No such file", marks=pytest.mark.fault(28)),
    "rot": pytest.param(rot, "cannot be decoded", marks=pytest.mark.fault(29)),
    "flip": pytest.param(flip, "cannot be decoded", marks=pytest.mark.fault(30)),
}


@pytest.mark.parametrize("policy", ["skip", pytest.param("replace", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("harm", "reason"), HARM.values(), ids=HARM)
def test_image_lost_in_mid_epoch_is_left_out_and_listed(
    training: Training, policy: str, harm: Callable[[Path], None], reason: str
) -> None:
    lost = training.root / "imagesIR/train/train_002.png"
    done = training(at_step(2, lambda: harm(lost)), train={"on_bad_sample": policy})
    (entry,) = done.state["quarantine"]
    assert (entry["split"], entry["sample"]) == ("train", 2)
    assert entry["path"] == "imagesIR/train/train_002.png"
    assert reason in entry["reason"]
    assert [event["path"] for event in done.events("left out")] == [entry["path"]]
    assert any("left out of train: imagesIR/train/train_002.png" in note for note in done.notes)
    assert "1 pair was left out" in troubles(TrainState.from_json(done.state))[0]
    pairs = [row["train/box_loss"] for row in done.state["history"]]
    assert all(np.isfinite(pairs))
    assert done.state["slot"] == done.slots_planned


@pytest.mark.fault(28)
def test_default_is_to_fail_and_names_the_image(training: Training) -> None:
    lost = training.root / "images/train/train_001.jpg"
    with pytest.raises(ImageError, match="No such file") as caught:
        training(at_step(2, lost.unlink))
    assert caught.value.exit_code == 4
    assert str(lost) in caught.value.where


@pytest.mark.slow
@pytest.mark.fault(28)
def test_validation_goes_on_without_an_image_that_vanished(training: Training) -> None:
    lost = training.root / "images/val/val_001.jpg"
    done = training(at_step(1, lost.unlink), train={"on_bad_sample": "replace", "epochs": 2})
    (entry,) = done.state["quarantine"]
    assert (entry["split"], entry["path"]) == ("val", "images/val/val_001.jpg")
    assert all(row["val/box_loss"] is not None for row in done.state["history"])


@pytest.mark.fault(29)
def test_more_lost_images_than_allowed_end_the_run(training: Training) -> None:
    lost = [training.root / f"images/train/train_00{number}.jpg" for number in (0, 3)]
    whole = [path.read_bytes() for path in lost]

    def harm() -> None:
        for path in lost:
            rot(path)

    with pytest.raises(DataError, match=r"2 of 5 pairs of train cannot be read") as caught:
        training(at_step(1, harm), train={"on_bad_sample": "skip"})
    assert len(caught.value.problems) == 2
    for path, data in zip(lost, whole, strict=True):
        path.write_bytes(data)
    allowed = {"on_bad_sample": "skip", "max_bad_samples": 0.4}
    done = training(at_step(1, harm), train=allowed)
    assert len(done.state["quarantine"]) == 2


@pytest.mark.slow
@pytest.mark.fault(28)
@pytest.mark.parametrize("policy", ["skip", "replace"])
@pytest.mark.parametrize("workers", [0, 2])
def test_what_takes_the_place_of_a_lost_pair_depends_on_the_seed_alone(
    training: Training, policy: str, workers: int
) -> None:
    """The image is lost before the first step reads it, so that nothing depends on timing."""
    lost = training.root / "imagesIR/train/train_002.png"
    train = {"on_bad_sample": policy, "epochs": 2}
    data = lost.read_bytes()
    first = training(at_step(0, lost.unlink), train=train)
    lost.write_bytes(data)
    again = training(
        at_step(0, lambda: lost.write_bytes(b"no image")), train=train | {"workers": workers}
    )
    assert first.weights_digest() == again.weights_digest()


@pytest.mark.fault(28)
def test_resumed_run_leaves_out_what_the_first_part_left_out(training: Training) -> None:
    """Also where the image is whole again, as after a network file system came back."""
    lost = training.root / "imagesIR/train/train_002.png"
    data = lost.read_bytes()
    train = {"on_bad_sample": "replace", "epochs": 3}
    whole = training(at_step(0, lambda: lost.write_bytes(b"")), train=train)
    lost.write_bytes(data)
    stopped = training.stopped_at(4, at_step(0, lambda: lost.write_bytes(b"")), train=train)
    assert stopped.state["slot"] == 4
    assert len(stopped.state["quarantine"]) == 1
    lost.write_bytes(data)
    assert training(saved=stopped, train=train).weights_digest() == whole.weights_digest()


@pytest.mark.slow
@pytest.mark.fault(28)
@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_decoded_pairs_in_a_cache_outlive_their_images(
    training: Training, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSETRAIN_CACHE", str(tmp_path / "cache"))
    lost = training.root / "imagesIR/train/train_002.png"
    # Five steps are one epoch, after which every pair is in the cache.
    train = {"cache": cache, "epochs": 2, "on_bad_sample": "skip"}
    data = lost.read_bytes()
    done = training(at_step(5, lost.unlink), train=train)
    assert done.state["quarantine"] == []
    lost.write_bytes(data)
    again = training(at_step(0, lost.unlink), train=train)
    assert [entry["sample"] for entry in again.state["quarantine"]] == [2]


@pytest.mark.fault(31)
def test_read_error_that_passes_is_only_a_pause(training: Training) -> None:
    """Reading /proc/self/mem at its start fails with EIO, as a network file system may."""
    path = training.root / "imagesIR/train/train_002.png"
    plain = training(train={"epochs": 2})
    data = path.read_bytes()

    def fail_for_a_while() -> None:
        path.unlink()
        path.symlink_to("/proc/self/mem")
        threading.Timer(0.4, mend).start()

    def mend() -> None:
        (path.parent / "new").write_bytes(data)
        (path.parent / "new").replace(path)

    done = training(at_step(0, fail_for_a_while), train={"epochs": 2})
    assert done.weights_digest() == plain.weights_digest()


@pytest.mark.fault(31)
@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_header_that_cannot_be_read_for_a_while_is_only_a_pause(
    training: Training, policy: Policy
) -> None:
    path = training.root / "images/train/train_002.jpg"
    data = path.read_bytes()
    index = scan_split(load_spec(training.root / "data.yaml"), "train").index
    path.unlink()
    path.symlink_to("/proc/self/mem")

    def mend() -> None:
        (path.parent / "new").write_bytes(data)
        (path.parent / "new").replace(path)

    impatient = Quarantine(index, policy="skip")
    assert impatient.size_hw(2) is None
    threading.Timer(0.2, mend).start()
    patient = Quarantine(index, policy=policy, retries=3)
    assert patient.size_hw(2) is not None
    assert not patient.take_news()


@pytest.mark.slow
@pytest.mark.fault(31)
def test_read_error_that_stays_follows_the_policy(training: Training) -> None:
    path = training.root / "imagesIR/train/train_002.png"

    def fail() -> None:
        path.unlink()
        path.symlink_to("/proc/self/mem")

    train = {"epochs": 1, "io_retries": 1, "on_bad_sample": "skip"}
    done = training(at_step(0, fail), train=train)
    (entry,) = done.state["quarantine"]
    assert "Input/output error" in entry["reason"]


class Deadly:
    """A cache of decoded pairs that brings down whoever asks it for one of them."""

    def __init__(self, row: int, number: int) -> None:
        self.row = row
        self.number = number
        self.main = os.getpid()

    def get(self, number: int) -> Entry | None:
        if number == self.row and os.getpid() != self.main:
            os.kill(os.getpid(), self.number)
        return None

    def put(
        self, number: int, pixels: NDArray[np.uint8], original_size_hw: tuple[int, int]
    ) -> bool:
        return False


def batches_of(
    index: DatasetIndex, policy: Policy, *, cache: PairStore | None = None, workers: int = 0
) -> tuple[list[Batch], list[Refusal]]:
    told: list[Refusal] = []
    quarantine = Quarantine(index, policy=policy, most=0.2, on_refusal=told.append)
    dataset = TrainDataset(
        index,
        imgsz=64,
        augmentation=Augmentation(mosaic=0.5),
        cache=cache,
        quarantine=quarantine,
    )
    return list(train_batches(dataset, batch=2, epoch=0, workers=workers)), told


@pytest.mark.fault(25)
@pytest.mark.parametrize("policy", ["skip", "replace"])
@pytest.mark.filterwarnings("ignore:a loader worker")
def test_pair_at_which_workers_crash_is_left_out(training: Training, policy: Policy) -> None:
    index = scan_split(load_spec(training.root / "data.yaml"), "train").index
    deadly = Deadly(3, signal.SIGSEGV)
    seen, (refusal,) = batches_of(index, policy, cache=deadly, workers=2)
    assert (refusal.sample, refusal.path) == (3, "images/train/train_003.jpg")
    assert "ended with code -11" in refusal.reason
    index.rgb_path(3).write_bytes(b"")
    wanted, _ = batches_of(index, policy)
    assert [batch.sample_ids.tolist() for batch in seen] == [
        batch.sample_ids.tolist() for batch in wanted
    ]
    for batch, same in zip(seen, wanted, strict=True):
        assert torch.equal(batch.pixels, same.pixels)


@pytest.mark.fault(25)
@pytest.mark.filterwarnings("ignore:a loader worker")
def test_pair_at_which_workers_crash_is_named(training: Training) -> None:
    index = scan_split(load_spec(training.root / "data.yaml"), "train").index
    with pytest.raises(DataError, match="lost twice at one sample") as caught:
        batches_of(index, "fail", cache=Deadly(3, signal.SIGSEGV), workers=2)
    assert caught.value.where.endswith("images/train/train_003.jpg")
    assert "on_bad_sample=skip" in caught.value.remedy


@pytest.mark.fault(24)
@pytest.mark.filterwarnings("ignore:a loader worker")
@pytest.mark.parametrize("kills", [1, pytest.param(9, marks=pytest.mark.slow)])
def test_killed_workers_change_nothing(training: Training, kills: int) -> None:
    """After the third loss of an epoch it is read without workers."""
    plain = training(train={"epochs": 3})

    def kill(slot: int) -> None:
        if 0 < slot <= kills:
            for child in multiprocessing.active_children():
                child.kill()

    done = training(kill, train={"epochs": 3, "workers": 2})
    assert done.weights_digest() == plain.weights_digest()


@pytest.mark.slow
@pytest.mark.fault(26)
@pytest.mark.filterwarnings("ignore:a loader worker was silent for 1 s")
def test_worker_that_hangs_is_replaced_and_changes_nothing(training: Training) -> None:
    plain = training()

    def freeze(slot: int) -> None:
        if slot == 1:
            for child in multiprocessing.active_children():
                assert child.pid is not None
                os.kill(child.pid, signal.SIGSTOP)

    done = training(freeze, train={"workers": 1, "worker_timeout": 1})
    assert done.weights_digest() == plain.weights_digest()
