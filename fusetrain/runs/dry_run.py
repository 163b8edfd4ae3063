"""What a training would be, measured on one real batch: the rows that `train --dry-run` prints."""

from __future__ import annotations

import resource
import sys
import time

import torch

from fusetrain import build
from fusetrain.build import TrainingData
from fusetrain.catalogue import entries
from fusetrain.config.schema import Config
from fusetrain.data.disk_build import cache_bytes, default_folder
from fusetrain.engine.machine import describe
from fusetrain.engine.stages import Stage, stage_of
from fusetrain.runs import batches
from fusetrain.runs.phases import last_spec
from fusetrain.runs.session import Session, assemble, choose_machine
from fusetrain.schedule.advice import Advice, advise


def measure_plan(config: Config, data: TrainingData, *, ranks: int = 1) -> list[tuple[str, str]]:
    """Build everything, run one optimizer step, and return what it is and costs, row by row.

    Args:
        config: The settings.
        data: The splits.
        ranks: Processes that will train together; the step is that of one of them.

    Raises:
        ResourceError: Device or memory are not there.
    """
    machine = choose_machine(config)
    machine.apply()
    config = build.resolved(config, machine)
    session = assemble(config, data, machine)
    # One batch does not need a cache file; what it would take is a row of the plan.
    share = {"cache": "none", "batch": build.batch_size(config) // ranks}
    bare = config.model_copy(update={"train": config.train.model_copy(update=share)})
    source = batches.BatchSource(bare, data, machine)
    batch = next(source.train(0, 0))
    session.runner.enter(stage_of(session.phase.stages, 0))
    started = time.perf_counter()
    session.runner.step([batch], updates=0)
    if machine.device.type == "cuda":
        torch.cuda.synchronize(machine.device)
    seconds = time.perf_counter() - started
    plan, train = session.plan, config.train
    advice = _advice(session)
    evidence = {item.evidence for item in advice}
    return [
        ("machine", describe(machine)),
        ("data", f"{len(data.train)} train and {len(data.val)} val pairs"),
        ("classes", ", ".join(data.train.class_names)),
        ("detector", f"{config.model.fusion}, size {config.model.size}"),
        *_cost(session),
        *_cache(session, source),
        ("batch", f"{build.batch_size(config)} x {train.accumulate} accumulated"),
        *([("processes", f"{ranks}, {share['batch']} pairs of a batch each")] * (ranks > 1)),
        ("steps", f"{plan.steps_per_epoch} an epoch, {plan.total_steps} in all"),
        ("schedule", f"{config.schedule.name}, lr0 {plan.lr0:g}, warmup {plan.warmup_steps} steps"),
        *(("stage", _stage_row(stage)) for stage in session.phase.stages),
        *(("note", note) for note in (*session.notes, *plan.notes) if note not in evidence),
        *(("advice", str(item)) for item in advice),
        ("last rate", f"{plan.lr0 * plan.factor(plan.total_steps - 1):g}"),
        ("first step", f"{seconds:.1f} s (later ones are faster)"),
        ("memory", f"{_peak_mib(machine.device):.0f} MiB at the peak"),
    ]


def _stage_row(stage: Stage) -> str:
    """Return from when on a stage is, what it is called, and what of the detector stands still."""
    frozen = [part for part in stage.frozen if part not in stage.name]
    still = f" ({', '.join(frozen)} frozen)" if frozen else ""
    return f"from epoch {stage.first_epoch + 1}: {stage.name}{still}"


def _advice(session: Session) -> list[Advice]:
    """Return what could be better about the schedule."""
    config = session.config
    return advise(
        session.plan,
        config.schedule,
        num_pairs=len(session.data.train),
        batch=build.batch_size(config) * config.train.accumulate,
        optimizer=config.optim.name,
        is_fine_tuning=config.model.weights is not None,
    )


def _cache(session: Session, source: batches.BatchSource) -> list[tuple[str, str]]:
    """Return the row that says where decoded pairs stay and what they take, if they do."""
    counts = len(session.data.train), len(session.data.val)
    kind = build.cache_kind(session.config, *counts)
    if kind == "ram":
        size = build.cached_bytes(session.config, *counts)
        return [("cache", f"in memory, {size / 1e9:.2f} GB at most")]
    if kind == "none":
        return []
    size = sum(cache_bytes(data.reader) for data in (source.train_data, source.val_data))
    return [("disk cache", f"{size / 1e9:.2f} GB in {default_folder()}")]


def _cost(session: Session) -> list[tuple[str, str]]:
    """Return what the detector of the run costs, and that of phase one where it is another."""
    config, first = session.config, session.info.detector
    specs = dict.fromkeys((last_spec(config, first), first))
    last, *before = entries(list(specs), imgsz=config.train.imgsz)
    return [
        (
            "parameters",
            "; in phase one ".join(f"{entry.params / 1e6:.2f} M" for entry in (last, *before)),
        ),
        (
            "forward",
            f"{last.flops / 1e9:.2f} GFLOPs a pair at {config.train.imgsz} px"
            + "".join(f"; in phase one {entry.flops / 1e9:.2f}" for entry in before),
        ),
    ]


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
