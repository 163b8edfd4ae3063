"""What a config means before torch is needed: data found, schedule planned, choices written out.

`rules.py` has judged the config; `session.py` goes on from here to detector, loaders and trainer.
Together they are the composition root: besides the command line, only they see a whole config. What
reads data is imported where it is called, so that a schedule is planned without numpy.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusetrain.config.schema import PARTS, Config
from fusetrain.config.stages import run_epochs, run_stages
from fusetrain.errors import ConfigError, DataError
from fusetrain.launched import place
from fusetrain.rules import require_data
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.planning import make_plan

if TYPE_CHECKING:
    from fusetrain.data.image import ThermalWindow
    from fusetrain.data.index import DatasetIndex, SplitScan
    from fusetrain.data.spec import DataSpec
    from fusetrain.engine.machine import Machine

AUTO_BATCH = 16
SINGLE_CELL_PX = 32  # the stride of the coarsest level
TRAINING_SPLITS = ("train", "val")


@dataclass(frozen=True)
class TrainingData:
    """The two splits that a training needs.

    Attributes:
        spec: What the data YAML says.
        train: Pairs that are trained on.
        val: Pairs that are validated on.
        window: How raw infrared counts become brightness.
        findings: Code of a data finding to how often it was found; None where none were looked for.
    """

    spec: DataSpec
    train: DatasetIndex
    val: DatasetIndex
    window: ThermalWindow
    findings: Mapping[str, int] | None = None


def open_spec(config: Config) -> DataSpec:
    """Return what the data YAML of a config says; it has the splits that a training needs.

    Raises:
        ConfigError: The config names no data set.
        DataError: There is no such data set, or a split is missing.
    """
    from fusetrain.data.spec import load_spec

    spec = load_spec(require_data(config))
    for split in TRAINING_SPLITS:
        if split not in spec.splits:
            raise DataError(
                f"the data set has no {split} split",
                where=str(spec.path),
                expected="`train:` and `val:` in the data YAML",
                remedy=f"`fusetrain prepare split {shlex.quote(str(spec.path))} --out DIR"
                f"{'' if split == 'val' else ' --redo'}` makes the splits; then train on DIR",
            )
    return spec


def open_data(
    config: Config,
    *,
    window: ThermalWindow | None = None,
    scans: Mapping[str, SplitScan] | None = None,
) -> TrainingData:
    """Read the index of both splits; images are not looked at but for the thermal window.

    Args:
        config: Names the data set.
        window: The thermal window of an earlier run; None follows the policy of the data set.
        scans: Scans of both splits, where an audit has made them.

    Raises:
        DataError: A split is missing or has no pair, or there is nothing to learn.
    """
    from fusetrain.data.index import scan_split
    from fusetrain.data.thermal import thermal_window, window_rows

    spec = open_spec(config)
    if scans is None:
        scans = {split: scan_split(spec, split) for split in TRAINING_SPLITS}
    for split in TRAINING_SPLITS:
        if not len(scans[split].index):
            raise DataError(f"the {split} split has no pair", where=str(spec.path))
    train = scans["train"].index
    if not len(train.boxes):
        raise DataError(
            "no pair of the train split has a box: there is nothing to learn",
            where=str(spec.path),
            expected="label files with boxes; see datasets/README.md for where they are looked for",
            remedy=f"`fusetrain check-data {shlex.quote(str(spec.path))}`",
        )
    if window is None:
        paths = [train.ir_path(row) for row in window_rows(len(train))]
        window = thermal_window(spec.thermal, paths, storage=train.storage)
    return TrainingData(spec, train, scans["val"].index, window)


def plan_from_config(config: Config, *, steps_per_epoch: int | None = None) -> SchedulePlan:
    """Return the learning-rate plan of a config.

    Args:
        config: The settings.
        steps_per_epoch: Optimizer steps of an epoch; None counts the pairs of the data set.
    """
    accumulate = config.train.accumulate
    if steps_per_epoch is not None:
        return _plan(config, steps_per_epoch * accumulate)
    from fusetrain.data.index import count_pairs
    from fusetrain.data.spec import load_spec

    return plan_for_pairs(config, count_pairs(load_spec(require_data(config)), "train"))


def plan_for_pairs(config: Config, num_pairs: int) -> SchedulePlan:
    """Return the learning-rate plan of a config for a training split of ``num_pairs``."""
    return _plan(config, batches_per_epoch(config, num_pairs))


def batches_per_epoch(config: Config, num_pairs: int) -> int:
    """Return the micro-steps of an epoch; the short last batch is kept."""
    return -(-num_pairs // batch_size(config))


def batch_size(config: Config) -> int:
    """Return the pairs of a micro-step over all ranks."""
    batch = config.train.batch
    return AUTO_BATCH if batch == "auto" else batch


def require_dealt_batch(config: Config, ranks: int) -> None:
    """Check that every rank can take an equal share of a full batch.

    Raises:
        ConfigError: It cannot.
    """
    batch = batch_size(config)
    if batch % ranks:
        raise ConfigError(
            f"train.batch {config.train.batch} cannot be dealt out over {ranks} ranks",
            expected="a multiple of the number of ranks",
            remedy=f"--set train.batch={-(-batch // ranks) * ranks}",
        )


def require_statistics(config: Config, num_pairs: int, *, ranks: int) -> None:
    """Check that every batch has more than one value a channel to normalise by.

    On the smallest canvas the coarsest map of a pair is a single cell, so that one pair, which may
    be all that is left for the last batch of an epoch, has none.

    Raises:
        ConfigError: A rank would be shown one pair of one cell.
    """
    batch = batch_size(config)
    has_short_share = min(batch, num_pairs % batch or batch) < 2 * ranks
    is_shared = config.train.sync_bn and ranks > 1
    if config.train.imgsz <= SINGLE_CELL_PX and has_short_share and not is_shared:
        raise ConfigError(
            f"train.imgsz {config.train.imgsz} leaves one cell a pair at the coarsest level, and "
            f"batches of {batch} of {num_pairs} pairs leave a step with one pair: there is nothing "
            "to normalise by",
            expected=f"a larger canvas, or {2 * ranks} pairs at least in each batch",
            remedy=f"--set train.imgsz={2 * SINGLE_CELL_PX}",
        )


def close_mosaic(config: Config) -> int:
    """Return the number of last epochs without mosaic."""
    chosen = config.augment.close_mosaic
    return min(10, run_epochs(config) // 10) if chosen is None else chosen


def cached_bytes(config: Config, train_pairs: int, val_pairs: int = 0) -> int:
    """Return what the decoded pairs of a run take in memory at most, in bytes."""
    from fusetrain.data.cache import most_bytes
    from fusetrain.data.reader import stored_long_side

    side = stored_long_side(config.train.imgsz, config.augment.scale)
    return most_bytes(train_pairs, side) + most_bytes(val_pairs, config.train.imgsz)


def cache_kind(config: Config, train_pairs: int, val_pairs: int = 0) -> str:
    """Return where a run that starts now keeps decoded pairs: none, ram or disk.

    Args:
        config: `auto` is memory, if the ranks of this host leave most of it to others.
        train_pairs: Training pairs.
        val_pairs: Validation pairs.
    """
    from fusetrain.data.cache import UNASKED_SHARE, free_memory_bytes

    if config.train.cache != "auto":
        return config.train.cache
    needed = cached_bytes(config, train_pairs, val_pairs) * place().local_world_size
    return "ram" if needed <= UNASKED_SHARE * free_memory_bytes() else "none"


def resolved(config: Config, machine: Machine) -> Config:
    """Return the config with every choice that was left open written out.

    All but `augment.close_mosaic`, which follows the number of epochs when a run is extended, and
    `train.cache`, which follows the memory that is free at each start.
    """
    chosen: dict[str, Mapping[str, Any]] = {
        "train": {
            "device": str(machine.device) if machine.device.type == "cpu" else config.train.device,
            "amp": machine.precision or False,
            "memory_format": "channels_last" if machine.channels_last else "contiguous",
            "threads": machine.threads,
            "workers": machine.workers,
            "deterministic": machine.deterministic,
            "batch": batch_size(config),
        },
        "optim": {"momentum": config.optim.momentum_or_default},
    }
    values = config.model_dump()
    for group, updates in chosen.items():
        values[group] |= updates
    values["data"] = str(require_data(config).absolute())
    values["model"] |= {key: str(Path(path).absolute()) for key, path in config.model.paths.items()}
    return Config.model_validate(values)


def _plan(config: Config, batches: int) -> SchedulePlan:
    return make_plan(
        config.schedule,
        lr0=config.optim.lr0,
        epochs=run_epochs(config),
        batches_per_epoch=batches,
        accumulate=config.train.accumulate,
        momentum=config.optim.momentum_or_default,
        parts=PARTS,
        part_scales=config.optim.groups,
        stages=run_stages(config),
    )
