"""The cache files of a training, made before it, as `train.cache: disk` makes them at its start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.data.disk_build import BuiltCache, cache_bytes, default_folder, open_or_build
from fusetrain.data.reader import PairReader, train_reader, val_reader
from fusetrain.errors import DataError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CachePlan:
    """The cache files of one training.

    Attributes:
        folder: Where they lie.
        readers: Split to what reads its pairs; the same as the training's.
    """

    folder: Path
    readers: Mapping[str, PairReader]

    def num_bytes(self) -> dict[str, int]:
        """Return the size of each file, from the headers of its images."""
        return {split: cache_bytes(reader) for split, reader in self.readers.items()}


def plan_cache(config: Config, *, folder: Path | None = None) -> CachePlan:
    """Return the cache files that a training with a config uses.

    Args:
        config: Data set, `train.imgsz` and `augment.scale` count.
        folder: Where the files shall lie; None: FUSETRAIN_CACHE or ``~/.cache/fusetrain``.

    Raises:
        DataError: The data set cannot be used, or has no train or val split.
    """
    data = build.open_data(config)
    imgsz = config.train.imgsz
    readers = {
        "train": train_reader(
            data.train, imgsz=imgsz, scale=config.augment.scale, window=data.window
        ),
        "val": val_reader(data.val, imgsz=imgsz, window=data.window),
    }
    return CachePlan(default_folder() if folder is None else folder, readers)


def make_caches(
    plan: CachePlan, *, workers: int = 1, progress: Progress | None = None
) -> dict[str, BuiltCache]:
    """Make the files that are not there yet and return all.

    Raises:
        DataError: The folder is inside the data set, or a pair cannot be read.
        ResourceError: The disk is full, or the folder cannot be written.
    """
    made: dict[str, BuiltCache] = {}
    for split, reader in plan.readers.items():
        built = open_or_build(reader, plan.folder, workers=workers, progress=progress)
        assert built is not None  # nobody interrupts it
        made[split] = built
    unreadable = sum(built.num_unreadable for built in made.values())
    if unreadable:
        raise DataError(
            f"{unreadable} pairs cannot be read and are not in the cache",
            where=str(next(iter(plan.readers.values())).index.root),
            remedy="`fusetrain check-data DATA` lists them",
        )
    return made
