"""Batches of a run: the settings of its data path turned into datasets and loaders.

Training batches are augmented and square, validation batches are letterboxed; both come from the
caches that the run owns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from torch import nn

from fusetrain import build, distributed
from fusetrain.build import TrainingData
from fusetrain.config.schema import AugmentSettings, Config
from fusetrain.config.stages import augment_at, run_epochs
from fusetrain.data.cache import PairCache, cache_for, most_bytes
from fusetrain.data.dataset import Augmentation, TrainDataset
from fusetrain.data.disk_build import default_folder, open_or_build
from fusetrain.data.index import DatasetIndex
from fusetrain.data.letterboxed import ValDataset
from fusetrain.data.loader import train_batches, val_batches
from fusetrain.data.photometric import PhotometricRanges
from fusetrain.data.placement import GeometryRanges
from fusetrain.data.quarantine import Quarantine, Refusal
from fusetrain.data.reader import PairReader, stored_long_side
from fusetrain.data.workers import Patience
from fusetrain.engine.infer import Validation, validate
from fusetrain.engine.machine import Machine
from fusetrain.engine.memory import free_cached, is_out_of_memory, no_memory
from fusetrain.engine.roles import Validate
from fusetrain.engine.stages import Inputs
from fusetrain.launched import place
from fusetrain.loss.detection import DetectionLoss
from fusetrain.sample import Batch

VAL_BATCH_FACTOR = 2


class BatchSource:
    """The loaders of one run on one rank.

    Args:
        config: The settings, every choice written out.
        data: The splits.
        machine: Workers, and whether batches go to a GPU.
        note: Is told in a sentence what the disk cache takes, or what a cache in memory would.
        interrupted: Asked while a disk cache is built; once true, the run goes without it.
        left_out: Pairs that an earlier part of the run left out.
        on_refusal: Is told each pair of this rank that is left out from now on.

    Raises:
        DataError: The disk cache would lie inside the data set, or the images change meanwhile.
        ResourceError: There is no memory or disk space for the cache.
    """

    def __init__(
        self,
        config: Config,
        data: TrainingData,
        machine: Machine,
        *,
        note: Callable[[str], None] = lambda text: None,
        interrupted: Callable[[], bool] = lambda: False,
        left_out: Iterable[Refusal] = (),
        on_refusal: Callable[[Refusal], None] = lambda refusal: None,
    ) -> None:
        self.config = config
        self.machine = machine
        self._patience = Patience(config.train.worker_timeout, config.train.max_worker_restarts)
        self._val_batch = VAL_BATCH_FACTOR * build.batch_size(config)
        imgsz = config.train.imgsz
        augmentation = augmentation_of(config.augment)
        stored = stored_long_side(imgsz, augmentation.geometry.scale)
        kind = self._cache_kind(data, note)
        train_cache, val_cache = (
            _caches((len(data.train), stored), (len(data.val), imgsz))
            if kind == "ram"
            else (None, None)
        )
        train_out, val_out = (
            _quarantine(config, index, left_out=left_out, on_refusal=on_refusal)
            for index in (data.train, data.val)
        )
        self.train_data = TrainDataset(
            data.train,
            imgsz=imgsz,
            augmentation=augmentation,
            window=data.window,
            seed=config.train.seed,
            balance=config.train.balance,
            cache=train_cache,
            quarantine=train_out,
        )
        self.val_data = ValDataset(
            data.val,
            imgsz=imgsz,
            window=data.window,
            cache=val_cache,
            quarantine=val_out,
        )
        for dataset in (self.train_data, self.val_data):
            dataset.reader = replace(dataset.reader, retries=config.train.io_retries)
            if kind == "disk":
                dataset.reader = self._on_disk(dataset.reader, note, interrupted)

    def keep_canvas(self, canvas_hw: Sequence[int]) -> list[int]:
        """Return the canvas of single pairs, on all ranks that of the main one.

        Args:
            canvas_hw: That of the start of a resumed run; none takes what was found here.
        """
        own = canvas_hw or self.train_data.single_canvas_hw
        height, width = distributed.gather_objects(tuple(own))[0]
        self.train_data.single_canvas_hw = (height, width)
        return [height, width]

    def train(self, epoch: int, first_batch: int) -> Generator[Batch, None, None]:
        """Yield the training batches of this rank in an epoch, from ``first_batch`` on.

        Ranks agree first on the pairs that are left out; all of them have to call at once.
        """
        config = self.config
        out = self.train_data.quarantine
        for found in distributed.gather_objects(list(out.refusals.values())):
            out.learn(found)
        self.train_data.augmentation = augmentation_of(augment_at(config, epoch))
        return train_batches(
            self.train_data,
            batch=build.batch_size(config),
            epoch=epoch,
            first_batch=first_batch,
            workers=self.machine.workers,
            rank=distributed.rank(),
            world_size=distributed.world_size(),
            close_mosaic=epoch >= run_epochs(config) - build.close_mosaic(config),
            pin_memory=self.machine.device.type == "cuda",
            patience=self._patience,
        )

    def val(self) -> Iterator[Batch]:
        """Yield this rank's share of the validation batches."""
        return val_batches(
            self.val_data,
            batch=self._val_batch,
            workers=self.machine.workers,
            rank=distributed.rank(),
            world_size=distributed.world_size(),
            pin_memory=self.machine.device.type == "cuda",
            patience=self._patience,
        )

    def _share_canvases(self) -> None:
        """Let pairs be shared out by the sizes that the main rank has read; all call at once."""
        if "canvases_hw" not in vars(self.val_data):
            self.val_data.canvases_hw = distributed.from_main(lambda: self.val_data.canvases_hw)

    def validator(self, loss: DetectionLoss) -> Validate:
        """Return a function that validates a model on all of the validation pairs."""

        def run(model: nn.Module, inputs: Inputs, interrupted: Callable[[], bool]) -> Validation:
            self._share_canvases()
            while True:
                try:
                    return validate(
                        model,
                        self.val(),
                        self.machine,
                        loss=loss,
                        num_classes=len(self.val_data.index.class_names),
                        inputs=inputs,
                        regions=self.val_data.index.regions,
                        interrupted=interrupted,
                    )
                except (MemoryError, RuntimeError) as error:
                    if not is_out_of_memory(error):
                        raise
                    if self._val_batch == 1:
                        raise no_memory(error) from error
                # Results do not depend on it, so that nobody has to be told.
                self._val_batch = (self._val_batch + 1) // 2
                free_cached(self.machine.device)

        return run

    def _cache_kind(self, data: TrainingData, note: Callable[[str], None]) -> str:
        """Return where decoded pairs stay; say so where memory would be too small to keep them."""
        counts = len(data.train), len(data.val)
        kind = build.cache_kind(self.config, *counts)
        if kind == "none" and self.config.train.cache == "auto" and distributed.is_main():
            needed = build.cached_bytes(self.config, *counts)
            note(
                f"decoded pairs would take up to {needed / 1e9:.1f} GB of memory: they are decoded "
                "anew in every epoch, unless `train.cache=disk` keeps them"
            )
        return kind

    def _on_disk(
        self,
        reader: PairReader,
        note: Callable[[str], None],
        interrupted: Callable[[], bool],
    ) -> PairReader:
        """Return a reader that takes its pairs from a cache file, made first where it is not there.

        Every rank asks for the file; the first one on its host builds it, the others wait for it.
        """
        built = open_or_build(
            reader,
            default_folder(),
            workers=max(1, self.machine.workers, self.machine.threads),
            announce=note if distributed.is_main() else None,
            interrupted=interrupted,
        )
        return reader if built is None else replace(reader, cache=built.cache)


def _caches(*wanted: tuple[int, int]) -> list[PairCache]:
    """Return a cache for each number of pairs and their long side in px; ranks of a host share."""
    needed = [most_bytes(num_pairs, long_side) for num_pairs, long_side in wanted]
    whole = sum(needed) * place().local_world_size
    return [
        cache_for(num_pairs, long_side, share=own / whole)
        for (num_pairs, long_side), own in zip(wanted, needed, strict=True)
    ]


def _quarantine(
    config: Config,
    index: DatasetIndex,
    *,
    left_out: Iterable[Refusal],
    on_refusal: Callable[[Refusal], None],
) -> Quarantine:
    """Return the pairs of a split that are left out, with what a config says of new ones."""
    made = Quarantine(
        index,
        policy=config.train.on_bad_sample,
        most=config.train.max_bad_samples,
        retries=config.train.io_retries,
        on_refusal=on_refusal,
    )
    made.restore(left_out)
    return made


def augmentation_of(settings: AugmentSettings) -> Augmentation:
    """Return the augmentation that a config asks for."""
    return Augmentation(
        mosaic=settings.mosaic,
        mixup=settings.mixup,
        copy_paste=settings.copy_paste,
        geometry=GeometryRanges(
            scale=settings.scale,
            translate=settings.translate,
            fliplr=settings.fliplr,
            degrees=settings.degrees,
        ),
        photometric=PhotometricRanges(
            hsv_h=settings.hsv_h,
            hsv_s=settings.hsv_s,
            hsv_v=settings.hsv_v,
            ir_gain=settings.ir_gain,
            ir_noise=settings.ir_noise,
            ir_shift=settings.ir_shift,
            ir_stripes=settings.ir_stripes,
            ir_invert=settings.ir_invert,
        ),
        drop_rgb=settings.drop_rgb,
        drop_ir=settings.drop_ir,
    )
