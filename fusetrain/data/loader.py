"""Batches of samples: put together where they lie, read here or by loader workers.

What a batch holds is a pure function of (seed, epoch, number of the batch); worker processes only
change how soon it is there. The state of an interrupted epoch is therefore one number, the next
batch. Which pairs a batch holds is decided in `order.py`. Shape legend: `fusetrain/sample.py`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusetrain.data.dataset import TrainDataset
from fusetrain.data.letterboxed import ValDataset
from fusetrain.data.order import EpochBatches, EpochKeys
from fusetrain.data.quarantine import LeftOutError, Refusal
from fusetrain.data.transforms import STRIDE
from fusetrain.data.worker_process import Slot
from fusetrain.data.workers import PATIENT, Patience, can_fork, read_ahead, read_here
from fusetrain.errors import FusetrainError, ResourceError
from fusetrain.sample import Batch, PairedSample


def collate(samples: Sequence[PairedSample], *, pixels: NDArray[np.uint8] | None = None) -> Batch:
    """Stack samples of one canvas size; boxes are padded to the longest list.

    No samples at all, as a rank may get of a short last batch, give a batch of length 0.

    Args:
        samples: What is stacked.
        pixels: (B, H, W, 4) that the samples were drawn on; None copies theirs.
    """
    if not samples:
        return _no_samples()
    if pixels is None:
        pixels = np.stack([sample.pixels for sample in samples])
    boxes, classes, is_box = _padded([(sample.boxes_xyxy_px, sample.classes) for sample in samples])
    excluded, excluded_classes, _ = _padded(
        [(sample.excluded_xyxy_px, sample.excluded_classes) for sample in samples]
    )
    return Batch(
        pixels=torch.from_numpy(pixels),
        boxes_xyxy_px=boxes,
        classes=classes,
        is_box=is_box,
        sample_ids=torch.tensor([sample.sample_id for sample in samples]),
        canvas_from_original=torch.from_numpy(
            np.stack([sample.canvas_from_original for sample in samples])
        ),
        original_sizes_hw=torch.tensor([sample.original_size_hw for sample in samples]),
        excluded_xyxy_px=excluded,
        excluded_classes=excluded_classes,
    )


def _padded(
    marks: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return boxes (B, M, 4), classes (B, M) and which of them are there, zeros where padded."""
    most = max(len(classes) for _, classes in marks)
    boxes = np.zeros((len(marks), most, 4), np.float32)
    classes = np.zeros((len(marks), most), np.int64)
    is_there = np.zeros((len(marks), most), np.bool_)
    for row, (own_boxes, own_classes) in enumerate(marks):
        count = len(own_classes)
        boxes[row, :count] = own_boxes
        classes[row, :count] = own_classes
        is_there[row, :count] = True
    return torch.from_numpy(boxes), torch.from_numpy(classes), torch.from_numpy(is_there)


def train_batches(
    dataset: TrainDataset,
    *,
    batch: int,
    epoch: int,
    first_batch: int = 0,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
    close_mosaic: bool = False,
    pin_memory: bool = False,
    patience: Patience = PATIENT,
) -> Generator[Batch, None, None]:
    """Yield the training batches of one epoch, from ``first_batch`` on.

    Args:
        dataset: The samples; its seed decides the order too.
        batch: Pairs of a batch over all ranks.
        epoch: 0-based.
        first_batch: Number of the first batch that is wanted.
        workers: Loader processes; 0 reads in this one.
        rank: Number of this rank.
        world_size: Number of ranks.
        close_mosaic: Neither mosaic nor mixup nor copy-paste.
        pin_memory: Put batches into page-locked memory.
        patience: What is put up with from loader processes.

    Raises:
        ConfigError: ``batch`` is not a multiple of ``world_size``.
        ImageError: An image cannot be read, and the quarantine of the dataset fails at that.
        DataError: More pairs are left out than may be.
        ResourceError: There is no memory, or too many workers broke down.
    """
    order = EpochBatches(
        len(dataset),
        batch,
        dataset.seed,
        epoch,
        first_batch=first_batch,
        rank=rank,
        world_size=world_size,
        weights=dataset.weights,
    )
    return _iterate(
        _Batches(dataset, order.keys(compose=not close_mosaic)),
        workers=workers,
        slot_bytes=order.share * dataset.canvas**2 * 4,
        pin_memory=pin_memory,
        patience=patience,
    )


def val_batches(
    dataset: ValDataset,
    *,
    batch: int,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
    patience: Patience = PATIENT,
) -> Generator[Batch, None, None]:
    """Yield every pair once, in batches of pairs whose canvases have one size.

    The canvas of a pair follows from its own size alone, so results depend neither on the batch
    size nor on the other pairs of a set. Ranks take turns; their numbers of batches may differ by
    one.

    Args:
        dataset: The samples.
        batch: Pairs of a batch at most.
        workers: Loader processes; 0 reads in this one.
        rank: Number of this rank.
        world_size: Number of ranks.
        pin_memory: Put batches into page-locked memory.
        patience: What is put up with from loader processes.

    Raises:
        ImageError: An image cannot be read, and the quarantine of the dataset fails at that.
        DataError: More pairs are left out than may be.
        ResourceError: There is no memory, or too many workers broke down.
    """
    rows_by_canvas: dict[tuple[int, int], list[int]] = {}
    for row, canvas_hw in enumerate(dataset.canvases_hw):
        if canvas_hw is not None:
            rows_by_canvas.setdefault(canvas_hw, []).append(row)
    keys = [
        rows[start : start + batch]
        for _, rows in sorted(rows_by_canvas.items())
        for start in range(0, len(rows), batch)
    ]
    keys = keys[rank::world_size]
    largest = max((height * width for height, width in rows_by_canvas), default=0)
    return _iterate(
        _Batches(dataset, keys),
        workers=workers,
        slot_bytes=batch * largest * 4,
        pin_memory=pin_memory,
        patience=patience,
    )


def _no_samples() -> Batch:
    return Batch(
        # Two cells at the coarsest level: a blank pair made of this can be normalised.
        pixels=torch.zeros(0, 2 * STRIDE, 2 * STRIDE, 4, dtype=torch.uint8),
        boxes_xyxy_px=torch.zeros(0, 0, 4),
        classes=torch.zeros(0, 0, dtype=torch.int64),
        is_box=torch.zeros(0, 0, dtype=torch.bool),
        sample_ids=torch.zeros(0, dtype=torch.int64),
        canvas_from_original=torch.zeros(0, 4, dtype=torch.float64),
        original_sizes_hw=torch.zeros(0, 2, dtype=torch.int64),
    )


class _Batches:
    """Batches of samples by key; what a user can mend comes back as a value."""

    def __init__(
        self, dataset: TrainDataset | ValDataset, keys: EpochKeys | Sequence[Sequence[int]]
    ) -> None:
        self._dataset: Any = dataset
        self._quarantine = dataset.quarantine
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def read(self, number: int, slot: Slot | None = None) -> Batch | FusetrainError:
        if slot is not None:
            self._quarantine.reached = slot.reached
        try:
            return self._drawn(self._keys[number], slot)
        except FusetrainError as error:
            return error
        except MemoryError:
            return ResourceError(
                "there is no memory to read a batch",
                remedy="fewer `train.workers`, a smaller `train.batch` or `train.cache: none`",
            )

    def _drawn(self, keys: Sequence[Any], slot: Slot | None) -> Batch:
        """Draw the samples where their batch lies, one behind the other."""
        if not keys:
            return collate([])
        shape = (len(keys), *self._dataset.canvas_hw(keys[0]), 4)
        size = math.prod(shape)
        memory = np.empty(size, np.uint8) if slot is None else slot.pixels[:size]
        pixels = memory.reshape(shape)
        samples: list[PairedSample] = []
        for key in keys:
            with suppress(LeftOutError):
                samples.append(self._dataset.draw(key, pixels[len(samples)]))
        return collate(samples, pixels=pixels[: len(samples)])

    def take_news(self) -> list[Refusal]:
        return self._quarantine.take_news()

    def learn(self, news: list[Refusal]) -> None:
        self._quarantine.learn(news)

    def name(self, row: int) -> str:
        return str(self._dataset.index.rgb_path(row))

    def leave_out(self, row: int, fault: str) -> None:
        self._quarantine.add_deadly(row, fault)
        self.learn(self.take_news())


def _iterate(
    source: _Batches, *, workers: int, slot_bytes: int, pin_memory: bool, patience: Patience
) -> Generator[Batch, None, None]:
    if workers and not can_fork():
        warnings.warn("loader workers need Linux; reading in this process", stacklevel=2)
        workers = 0
    source.learn(source.take_news())  # of the headers
    results: Generator[Batch | FusetrainError, None, None]
    if workers:
        results = read_ahead(
            source,
            workers=workers,
            slot_bytes=slot_bytes,
            pin_memory=pin_memory,
            patience=patience,
        )
    else:
        results = read_here(source, pin_memory=pin_memory)
    with closing(results):  # workers end now, not when a traceback lets go of them
        for result in results:
            if isinstance(result, FusetrainError):
                raise result
            yield result
