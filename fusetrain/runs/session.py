"""Put one run together: detector, optimizer, average, loss, limits, loaders, trainer.

`build.py` has done what needs no torch, `batches.py` makes the batches; `training.py` runs what is
put together here in a folder.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fusetrain import build, distributed, launched
from fusetrain.build import TrainingData
from fusetrain.config.schema import Config
from fusetrain.config.stages import run_epochs
from fusetrain.data.contents import sampled_contents
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.detector.singles import SideBySide
from fusetrain.engine import machine as machines
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.ema import WeightAverage
from fusetrain.engine.keeper import RunKeeper
from fusetrain.engine.machine import Machine
from fusetrain.engine.optim import build_optimizer
from fusetrain.engine.pulse import Pulse
from fusetrain.engine.recovery import Recovery, Tolerance
from fusetrain.engine.roles import Limits, Reporter, Validate
from fusetrain.engine.signals import StopFlag
from fusetrain.engine.stages import freeze
from fusetrain.engine.step import StepRunner
from fusetrain.engine.synced_norm import with_synced_norms
from fusetrain.engine.trainer import Trainer
from fusetrain.engine.weights import TrainedWith, WeightsInfo, load_detector
from fusetrain.loss.detection import DetectionLoss, SeparateLosses
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.initial_weights import fill_at_start
from fusetrain.runs.phases import (
    Phase,
    better_of,
    first_spec,
    phase_of,
    refuse_standstill,
)
from fusetrain.runs.remarks import remarks
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.scheduler import Scheduler


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
        phase: Until when this detector is trained, and what of it stands still.
        notes: What a user should know about how it was put together.
        pulse: What can be seen of the training; all phases share one.
    """

    config: Config
    data: TrainingData
    machine: Machine
    plan: SchedulePlan
    detector: FusionDetector
    runner: StepRunner
    info: WeightsInfo
    phase: Phase
    notes: tuple[str, ...] = ()
    pulse: Pulse = field(default_factory=Pulse)


def choose_machine(config: Config) -> Machine:
    """Return how a run uses its machine.

    Raises:
        ConfigError: The batch cannot be dealt out over the ranks.
        ResourceError: The device is not there, or cannot compute in the precision asked for, or
            `train.compile` finds no compiler.
    """
    train = config.train
    if train.compile:
        machines.require_compiler()
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
    config: Config,
    data: TrainingData,
    machine: Machine,
    *,
    spec: DetectorSpec | None = None,
    start: Mapping[str, Tensor] | None = None,
) -> Session:
    """Put detector, optimizer and average together, initialised from the seed and given weights.

    Args:
        config: The settings.
        data: The splits.
        machine: How the machine is used.
        spec: Shape of the detector; None for the one that the run starts with.
        start: All its weights; None where they come from the config, or from a checkpoint, which
            brings a ``spec``.

    Raises:
        RunError: The weights to start from cannot be used, or fill too little of a backbone.
        ConfigError: A stage leaves nothing to train, or a batch nothing to normalise by.
    """
    build.require_statistics(config, len(data.train), ranks=launched.place().world_size)
    is_fresh = spec is None
    spec = spec or first_spec(config, len(data.train.class_names))
    phase = phase_of(config, spec)
    info = WeightsInfo(
        spec, data.train.class_names, config.train.imgsz, data.window, _trained_with(config, data)
    )
    torch.manual_seed(config.train.seed)
    detector = build_detector(spec)
    notes = _begin(detector, config, info) if is_fresh else []
    if start is not None:
        detector.load_state_dict(start)
    refuse_standstill(phase, list(detector.parts()))
    freeze(detector.parts(), phase.absent)
    detector = detector.to(machine.device).to(memory_format=machine.memory_format)
    plan = build.plan_for_pairs(config, len(data.train))
    optimizer = build_optimizer(
        config.optim.name,
        detector.parts(),
        groups=plan.groups,
        lr=config.optim.lr0,
        momentum=config.optim.momentum_or_default,
        weight_decay=config.optim.weight_decay,
        product_dtype=torch.bfloat16 if machine.precision == "bf16" else torch.float32,
    )
    runner = StepRunner(
        detector,
        SeparateLosses(loss_of(config)) if phase.is_apart else loss_of(config),
        optimizer,
        average=WeightAverage(detector) if config.train.ema else None,
        machine=machine,
        clip_norm=config.train.clip_norm,
        wrap=lambda model: _replicated(
            SideBySide(model) if phase.is_apart else model, config, machine
        ),
        seed=config.train.seed,
    )
    return Session(config, data, machine, plan, detector, runner, info, phase, tuple(notes))


def _begin(detector: FusionDetector, config: Config, info: WeightsInfo) -> list[str]:
    """Fill a fresh detector with what the config names; return what a user should know."""
    filled = fill_at_start(detector, config, class_names=info.class_names)
    return [*remarks(config, list(detector.parts())), *filled]


def loss_of(config: Config) -> DetectionLoss:
    """Return the loss with the gains of a config."""
    return DetectionLoss(
        box_gain=config.loss.box,
        class_gain=config.loss.cls,
        dfl_gain=config.loss.dfl,
        label_smoothing=config.loss.label_smoothing,
    )


def _trained_with(config: Config, data: TrainingData) -> TrainedWith:
    """Return what is stored about a training beside its weights."""
    loss, augment = config.loss, config.augment
    return TrainedWith(
        box=loss.box,
        cls=loss.cls,
        dfl=loss.dfl,
        label_smoothing=loss.label_smoothing,
        drop_rgb=augment.drop_rgb,
        drop_ir=augment.drop_ir,
        border_px=data.train.storage.border_px,
    )


def fingerprint(data: TrainingData) -> str:
    """Return what identifies the files and labels of both splits."""
    return f"{data.train.fingerprint()} {data.val.fingerprint()}"


def contents_of(data: TrainingData) -> str:
    """Return what identifies the contents of some files of both splits."""
    return f"{sampled_contents(data.train)} {sampled_contents(data.val)}"


def _replicated(model: torch.nn.Module, config: Config, machine: Machine) -> torch.nn.Module:
    if config.train.sync_bn:
        model = with_synced_norms(model)
    if config.train.compile:
        model = torch.compile(model)  # type: ignore[assignment]
    return distributed.replicate(model, machine.device, exact=machine.deterministic)


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
    session.pulse.enter(session.runner, session.plan.groups)
    return Trainer(
        session.runner,
        Scheduler(
            session.plan,
            session.runner.optimizer,
            lr_scale=state.lr_scale,
            state=state.schedule,
        ),
        batches=session.pulse.timed(source.train),
        validate=validator_of(session, source),
        limits=_limits_of_phase(session),
        keeper=keeper,
        reporter=reporter,
        stop=stop,
        state=state,
        recovery=Recovery(
            session.runner,
            keeper,
            reporter,
            tolerance=_tolerance(session.config),
            path_of=lambda row: session.data.train.rgb_paths[row],
        ),
        stages=session.phase.stages,
    )


def _tolerance(config: Config) -> Tolerance:
    return Tolerance(config.train.max_skipped, config.train.max_rollbacks)


def validator_of(session: Session, source: BatchSource) -> Validate:
    """Return what validates the detector of a session: the better one where two are apart."""
    validate = source.validator(loss_of(session.config))
    return better_of(validate) if session.phase.is_apart else validate


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
        epochs=run_epochs(config),
        batches_per_epoch=batches_per_epoch,
        accumulate=train.accumulate,
        patience=train.patience,
        val_every=train.val_every,
        save_steps=train.save_every.steps,
        save_minutes=train.save_every.minutes,
        save_epochs=train.save_every.epochs,
    )


def _limits_of_phase(session: Session) -> Limits:
    """Return the limits of a run until its phase ends; patience is for the last one."""
    config, phase = session.config, session.phase
    limits = limits_of(config, build.batches_per_epoch(config, len(session.data.train)))
    return replace(limits, epochs=phase.end, patience=limits.patience if phase.is_last else 0)
