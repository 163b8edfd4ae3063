"""Put one run together: detector, optimizer, average, loss, limits, loaders, trainer.

`build.py` has done what needs no torch, `batches.py` makes the batches; `training.py` runs what is
put together here in a folder.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch

from fusetrain import build, distributed, launched
from fusetrain.batches import BatchSource
from fusetrain.build import TrainingData
from fusetrain.config.schema import Config
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.detector.transfer import LEAST_BACKBONE_SHARE, fill
from fusetrain.engine import machine as machines
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.ema import WeightAverage
from fusetrain.engine.keeper import RunKeeper
from fusetrain.engine.machine import Machine
from fusetrain.engine.optim import build_optimizer
from fusetrain.engine.recovery import Recovery, Tolerance
from fusetrain.engine.roles import Limits, Reporter
from fusetrain.engine.signals import StopFlag
from fusetrain.engine.stages import Stage
from fusetrain.engine.step import StepRunner
from fusetrain.engine.synced_norm import with_synced_norms
from fusetrain.engine.trainer import Trainer
from fusetrain.engine.weights import TrainedWith, WeightsInfo, load_detector, load_source
from fusetrain.errors import RunError
from fusetrain.loss.detection import DetectionLoss
from fusetrain.results.run_dir import RunDir
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.scheduler import Scheduler
from fusetrain.schedule.stages import stage_epochs, stage_name


@dataclass(frozen=True)
class Session:
    """A run that is put together, before its first step.

    Attributes:
        config: The settings, every choice written out.
        data: The splits.
        machine: How the machine is used.
        plan: The learning rates.
        detector: The detector, not wrapped.
        runner: Runs its steps.
        info: What is stored with its weights.
        notes: What a user should know about how it was put together.
    """

    config: Config
    data: TrainingData
    machine: Machine
    plan: SchedulePlan
    detector: FusionDetector
    runner: StepRunner
    info: WeightsInfo
    notes: tuple[str, ...] = ()


def choose_machine(config: Config) -> Machine:
    """Return how a run uses its machine.

    Raises:
        ConfigError: The batch cannot be dealt out over the ranks.
        ResourceError: The device is not there, or cannot compute in the precision asked for.
    """
    train = config.train
    build.require_dealt_batch(config, launched.place().world_size)
    return machines.choose_machine(
        device=train.device,
        amp=train.amp,
        memory_format=train.memory_format,
        threads=train.threads,
        workers=train.workers,
        deterministic=train.deterministic,
    )


def assemble(
    config: Config, data: TrainingData, machine: Machine, *, is_fresh: bool = True
) -> Session:
    """Put detector, optimizer and average together, initialised from the seed and given weights.

    Args:
        config: The settings.
        data: The splits.
        machine: How the machine is used.
        is_fresh: False where a checkpoint will bring all weights.

    Raises:
        RunError: The weights to start from cannot be used, or fill too little of a backbone.
    """
    spec = detector_spec(config, len(data.train.class_names))
    torch.manual_seed(config.train.seed)
    detector = build_detector(spec)
    notes = [_filled(detector, config)] if is_fresh and config.model.weights else []
    detector = detector.to(machine.device).to(memory_format=machine.memory_format)
    plan = build.plan_for_pairs(config, len(data.train))
    optimizer = build_optimizer(
        config.optim.name,
        detector.parts(),
        groups=plan.groups,
        lr=config.optim.lr0,
        momentum=config.optim.momentum_or_default,
        weight_decay=config.optim.weight_decay,
    )
    runner = StepRunner(
        detector,
        loss_of(config),
        optimizer,
        average=WeightAverage(detector) if config.train.ema else None,
        machine=machine,
        clip_norm=config.train.clip_norm,
        wrap=lambda model: _replicated(model, config, machine),
    )
    info = WeightsInfo(
        spec, data.train.class_names, config.train.imgsz, data.window, _trained_with(config)
    )
    return Session(config, data, machine, plan, detector, runner, info, tuple(notes))


def _filled(detector: FusionDetector, config: Config) -> str:
    """Fill a fresh detector with the weights that a config names; return what was filled.

    Raises:
        RunError: They cannot be used, or fill too little and `model.partial` does not allow that.
    """
    path = Path(str(config.model.weights))
    tensors, source = load_source(path)
    coverage = fill(detector, tensors, source=source)
    if coverage.is_partial and not config.model.partial:
        raise RunError(
            f"{path} fills too little: {coverage}",
            expected=f"at least {LEAST_BACKBONE_SHARE:.0%} of each backbone",
            remedy="choose `model.backbone` and `model.size` as the weights have them, or accept "
            "it with --set model.partial=true",
        )
    return f"weights from {path}: {coverage}"


def detector_spec(config: Config, num_classes: int) -> DetectorSpec:
    """Return the shape of the detector that a config asks for."""
    model = config.model
    return DetectorSpec(
        kind=model.fusion,
        operator=model.operator,
        backbone=model.backbone,
        size=model.size,
        width=model.width,
        num_classes=num_classes,
        one_to_one=model.one_to_one,
    )


def loss_of(config: Config) -> DetectionLoss:
    """Return the loss with the gains of a config."""
    return DetectionLoss(
        box_gain=config.loss.box,
        class_gain=config.loss.cls,
        dfl_gain=config.loss.dfl,
        label_smoothing=config.loss.label_smoothing,
    )


def _trained_with(config: Config) -> TrainedWith:
    """Return what is stored about a training beside its weights."""
    loss, augment = config.loss, config.augment
    return TrainedWith(
        box=loss.box,
        cls=loss.cls,
        dfl=loss.dfl,
        label_smoothing=loss.label_smoothing,
        drop_rgb=augment.drop_rgb,
        drop_ir=augment.drop_ir,
    )


def fingerprint(data: TrainingData) -> str:
    """Return what identifies the files and labels of both splits."""
    return f"{data.train.fingerprint()} {data.val.fingerprint()}"


def _replicated(model: torch.nn.Module, config: Config, machine: Machine) -> torch.nn.Module:
    if config.train.sync_bn and distributed.world_size() > 1:
        model = with_synced_norms(model)
    if config.train.compile:
        model = torch.compile(model)  # type: ignore[assignment]
    return distributed.replicate(model, machine.device)


def make_trainer(
    session: Session,
    source: BatchSource,
    keeper: RunKeeper,
    state: TrainState,
    *,
    reporter: Reporter,
    stop: StopFlag,
) -> Trainer:
    """Return the trainer of a session from where ``state`` stands."""
    config = session.config
    return Trainer(
        session.runner,
        Scheduler(
            session.plan,
            session.runner.optimizer,
            lr_scale=state.lr_scale,
            state=state.schedule,
        ),
        batches=source.train,
        validate=source.validator(loss_of(config)),
        limits=limits_of(config, build.batches_per_epoch(config, len(session.data.train))),
        keeper=keeper,
        reporter=reporter,
        stop=stop,
        state=state,
        recovery=Recovery(
            session.runner,
            keeper,
            reporter,
            tolerance=Tolerance(config.train.max_skipped, config.train.max_rollbacks),
            path_of=lambda row: session.data.train.rgb_paths[row],
        ),
        stages=stages_of(config),
    )


def stages_of(config: Config) -> tuple[Stage, ...]:
    """Return the stages of a training."""
    stages = config.train.stages
    spans = stage_epochs(stages, epochs=config.train.epochs)
    return tuple(
        Stage(begin, stage_name(stage), stage.inputs, tuple(stage.freeze))
        for stage, (begin, _) in zip(stages, spans, strict=True)
    )


def best_model(session: Session, run: RunDir) -> torch.nn.Module:
    """Return a copy of the detector with the best weights of its run, the same on all ranks."""
    average = session.runner.average
    model = copy.deepcopy(average.model if average is not None else session.detector)
    if distributed.is_main() and (run.weights / "best.safetensors").is_file():
        best, _ = load_detector(run.weights / "best.safetensors")
        model.load_state_dict(best.state_dict())
    distributed.broadcast_tensors(list(model.state_dict().values()))
    return model


def limits_of(config: Config, batches_per_epoch: int) -> Limits:
    """Return when a run validates, saves and ends."""
    train = config.train
    return Limits(
        epochs=train.epochs,
        batches_per_epoch=batches_per_epoch,
        accumulate=train.accumulate,
        patience=train.patience,
        val_every=train.val_every,
        save_steps=train.save_every.steps,
        save_minutes=train.save_every.minutes,
        save_epochs=train.save_every.epochs,
    )
