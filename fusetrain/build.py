"""What a config means before torch is needed: names checked, data found, schedule planned.

`session.py` goes on from here to detector, loaders and trainer. Together they are the composition
root: besides the command line, only they see a whole config.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusetrain.config.schema import PARTS, Config
from fusetrain.data.image import ThermalWindow, thermal_window
from fusetrain.data.index import DatasetIndex, SplitScan, count_pairs, scan_split
from fusetrain.data.spec import DataSpec, load_spec
from fusetrain.detector import BACKBONES
from fusetrain.detector.fusion import KINDS, OPERATORS
from fusetrain.engine import OPTIMIZERS
from fusetrain.errors import ConfigError, DataError
from fusetrain.schedule.options import KeyProblem
from fusetrain.schedule.plan import SchedulePlan, curve_problems, make_plan

if TYPE_CHECKING:
    from fusetrain.engine.machine import Machine

AUTO_BATCH = 16
TRAINING_SPLITS = ("train", "val")


@dataclass(frozen=True)
class TrainingData:
    """The two splits that a training needs.

    Attributes:
        spec: What the data YAML says.
        train: Pairs that are trained on.
        val: Pairs that are validated on.
        window: How raw infrared counts become brightness.
    """

    spec: DataSpec
    train: DatasetIndex
    val: DatasetIndex
    window: ThermalWindow


def config_checks(config: Config) -> Iterator[KeyProblem]:
    """Yield what is wrong with the names in a config and with the parameters of its schedule."""
    named = (
        (("model", "fusion"), KINDS, config.model.fusion),
        (("model", "operator"), OPERATORS, config.model.operator),
        (("model", "backbone"), BACKBONES, config.model.backbone),
        (("optim", "name"), OPTIMIZERS, config.optim.name),
    )
    for keys, registry, name in named:
        if problem := registry.problem(name):
            yield (keys, problem)
    for below, message in curve_problems(config.schedule):
        yield (("schedule", *below), message)
    batch, devices = config.train.batch, config.train.devices
    if isinstance(batch, int) and isinstance(devices, int) and devices and batch % devices:
        yield (("train", "batch"), f"{batch} pairs cannot be dealt to {devices} ranks")


def require_data(config: Config) -> Path:
    """Return the path of the data set.

    Raises:
        ConfigError: The config names none.
    """
    if config.data is None:
        raise ConfigError(
            "the config names no data set", expected="`data: PATH`", remedy="or give --data PATH"
        )
    return Path(config.data)


def require_splits(spec: DataSpec) -> None:
    """Raise unless the data set has the splits that a training needs.

    Raises:
        DataError: A split is missing.
    """
    for split in TRAINING_SPLITS:
        if split not in spec.splits:
            raise DataError(
                f"the data set has no {split} split",
                where=str(spec.path),
                expected="`train:` and `val:` in the data YAML",
            )


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
        DataError: A split is missing or has no pair.
    """
    spec = load_spec(require_data(config))
    require_splits(spec)
    if scans is None:
        scans = {split: scan_split(spec, split) for split in TRAINING_SPLITS}
    for split in TRAINING_SPLITS:
        if not len(scans[split].index):
            raise DataError(f"the {split} split has no pair", where=str(spec.path))
    train = scans["train"].index
    if window is None:
        window = thermal_window(spec.thermal, [train.ir_path(row) for row in range(len(train))])
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


def close_mosaic(config: Config) -> int:
    """Return the number of last epochs without mosaic."""
    chosen = config.augment.close_mosaic
    return min(10, config.train.epochs // 10) if chosen is None else chosen


def resolved(config: Config, machine: Machine) -> Config:
    """Return the config with every choice that was left open written out."""
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
        "augment": {"close_mosaic": close_mosaic(config)},
    }
    values = config.model_dump()
    for group, updates in chosen.items():
        values[group] |= updates
    values["data"] = str(require_data(config).absolute())
    return Config.model_validate(values)


def _plan(config: Config, batches: int) -> SchedulePlan:
    return make_plan(
        config.schedule,
        lr0=config.optim.lr0,
        epochs=config.train.epochs,
        batches_per_epoch=batches,
        accumulate=config.train.accumulate,
        momentum=config.optim.momentum_or_default,
        parts=PARTS,
        part_scales=config.optim.groups,
    )
