"""Batches of samples: which pairs, in which order, read by whom.

What a batch holds is a pure function of (seed, epoch, number of the batch); worker processes only
change how soon it is there. The state of an interrupted epoch is therefore one number, the next
batch. Shape legend: `fusetrain/sample.py`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusetrain.data.dataset import SampleKey, TrainDataset, ValDataset
from fusetrain.data.quarantine import LeftOutError, Refusal
from fusetrain.data.transforms import STRIDE
from fusetrain.data.worker_process import Slot
from fusetrain.data.workers import PATIENT, Patience, can_fork, read_ahead, read_here
from fusetrain.errors import ConfigError, FusetrainError, ResourceError
from fusetrain.sample import Batch, PairedSample

ORDER_STREAM = 0


@dataclass(frozen=True)
class EpochBatches:
    """The order of one epoch: a permutation cut into batches, the short last one kept.

    Attributes:
        num_pairs: Pairs of the epoch.
        batch: Pairs of a batch over all ranks together.
        seed: Seed of the run, the same on all ranks.
        epoch: 0-based.
        first_batch: Batches before this one are left out (resume).
        rank: Number of this rank.
        world_size: Number of ranks; each takes an equal share of a batch, of a short last batch
            the first ranks take one pair more, and the last ones may have none.
    """

    num_pairs: int
    batch: int
    seed: int
    epoch: int
    first_batch: int = 0
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch < 1 or self.batch % self.world_size:
            raise ConfigError(
                f"train.batch {self.batch} cannot be dealt out over {self.world_size} ranks",
                expected="a batch that is a multiple of the number of ranks",
            )

    @property
    def total(self) -> int:
        """Return the number of batches of the whole epoch."""
        return -(-self.num_pairs // self.batch)

    @property
    def share(self) -> int:
        """Return the number of pairs that this rank takes of a full batch."""
        return self.batch // self.world_size

    def __len__(self) -> int:
        return max(0, self.total - self.first_batch)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        order = self.order()
        for number in range(self.first_batch, self.total):
            whole = order[number * self.batch : (number + 1) * self.batch]
            yield np.array_split(whole, self.world_size)[self.rank]

    def order(self) -> NDArray[np.int64]:
        """Return (num_pairs,) all pairs in the order of the epoch, over all ranks."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=(ORDER_STREAM, self.epoch))
        return np.random.default_rng(sequence).permutation(self.num_pairs)


def collate(samples: Sequence[PairedSample], *, out: NDArray[np.uint8] | None = None) -> Batch:
    """Stack samples of one canvas size; boxes are padded to the longest list.

    No samples at all, as a rank may get of a short last batch, give a batch of length 0.

    Args:
        samples: What is stacked.
        out: Buffer at whose start the pixels are written; None takes new memory.
    """
    if not samples:
        return _no_samples()
    shape = (len(samples), *samples[0].pixels.shape)
    stacked = None if out is None else out[: math.prod(shape)].reshape(shape)
    most = max(len(sample.classes) for sample in samples)
    boxes = torch.zeros(len(samples), most, 4)
    classes = torch.zeros(len(samples), most, dtype=torch.int64)
    is_box = torch.zeros(len(samples), most, dtype=torch.bool)
    for row, sample in enumerate(samples):
        count = len(sample.classes)
        boxes[row, :count] = torch.from_numpy(sample.boxes_xyxy_px)
        classes[row, :count] = torch.from_numpy(np.array(sample.classes))
        is_box[row, :count] = True
    return Batch(
        pixels=torch.from_numpy(np.stack([sample.pixels for sample in samples], out=stacked)),
        boxes_xyxy_px=boxes,
        classes=classes,
        is_box=is_box,
        sample_ids=torch.tensor([sample.sample_id for sample in samples]),
        canvas_from_original=torch.from_numpy(
            np.stack([sample.canvas_from_original for sample in samples])
        ),
        original_sizes_hw=torch.tensor([sample.original_size_hw for sample in samples]),
    )


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
        close_mosaic: Neither mosaic nor mixup.
        pin_memory: Put batches into page-locked memory.
        patience: What is put up with from loader processes.

    Raises:
        ConfigError: ``batch`` is not a multiple of ``world_size``.
        ImageError: An image cannot be read, and the quarantine of the dataset fails at that.
        DataError: More pairs are left out than may be.
        ResourceError: There is no memory, or too many workers broke down.
    """
    order = EpochBatches(len(dataset), batch, dataset.seed, epoch, first_batch, rank, world_size)
    keys = [[SampleKey(epoch, row, not close_mosaic) for row in ids.tolist()] for ids in order]
    return _iterate(
        _Batches(dataset, keys),
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
    largest = max((height * width for height, width in rows_by_canvas), default=0)
    return _iterate(
        _Batches(dataset, keys[rank::world_size]),
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

    def __init__(self, dataset: TrainDataset | ValDataset, keys: Sequence[Sequence[Any]]) -> None:
        self._dataset = dataset
        self._quarantine = dataset.quarantine
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def read(self, number: int, slot: Slot | None = None) -> Batch | FusetrainError:
        if slot is not None:
            self._quarantine.reached = slot.reached
        samples = []
        try:
            for key in self._keys[number]:
                with suppress(LeftOutError):
                    samples.append(self._dataset[key])
            return collate(samples, out=None if slot is None else slot.pixels)
        except FusetrainError as error:
            return error
        except MemoryError:
            return ResourceError(
                "there is no memory to read a batch",
                remedy="fewer `train.workers`, a smaller `train.batch` or `train.cache: none`",
            )

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
