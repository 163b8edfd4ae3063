"""What a run writes of itself: config.yaml, lines of its log, what is saved beside the state.

When it is written is decided in `training.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch

import fusetrain
from fusetrain import build, distributed
from fusetrain.config.load import effective_yaml
from fusetrain.config.schema import Config
from fusetrain.config.stages import run_epochs
from fusetrain.engine import machine as machines
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.keeper import RunKeeper
from fusetrain.results.metrics import DetectionMetrics
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.session import Session, contents_of, fingerprint
from fusetrain.schedule.plan import GroupKey


def log(run: RunDir, kind: str, **values: Any) -> None:
    """Append a line to events.jsonl (on the main rank)."""
    if distributed.is_main():
        run.event(kind, **values)


def keeper_of(session: Session, run: RunDir, warn: Callable[[str], None]) -> RunKeeper:
    """Return what keeps a session in a run folder; ``warn`` is told what a save survives."""
    return RunKeeper(
        run,
        session.detector,
        session.runner,
        context=_context(session),
        description=session.info.to_json(),
        max_failed_saves=session.config.train.max_failed_saves,
        warn=warn,
    )


def _context(session: Session) -> dict[str, Any]:
    """Return what a resumed run is held against."""
    return {
        "fusetrain": fusetrain.__version__,
        **machines.surroundings(session.machine),
        "world_size": distributed.world_size(),
        "data": fingerprint(session.data),
        "contents": contents_of(session.data),
        "steps_per_epoch": session.plan.steps_per_epoch,
        "config": session.config.model_dump(mode="json"),
        "weights": session.info.to_json(),
    }


def start_event(session: Session, state: TrainState) -> dict[str, Any]:
    """Return what the log says of a start: versions, machine, detector, sizes."""
    pairs = len(session.data.train)
    return {
        "fusetrain": fusetrain.__version__,
        "torch": str(torch.__version__),
        "machine": machines.describe(session.machine),
        "surroundings": machines.surroundings(session.machine),
        "detector": asdict(session.info.detector),
        "parameters": sum(p.numel() for p in session.detector.parameters()),
        "pairs": {"train": pairs, "val": len(session.data.val)},
        "boxes": {"train": len(session.data.train.boxes), "val": len(session.data.val.boxes)},
        "batches_per_epoch": build.batches_per_epoch(session.config, pairs),
        "steps_per_epoch": session.plan.steps_per_epoch,
        **({} if session.data.findings is None else {"findings": session.data.findings}),
        "slot": state.slot,
        "epochs": run_epochs(session.config),
    }


def judged(metrics: DetectionMetrics, class_names: Sequence[str]) -> dict[str, Any]:
    """Return the scores of the best weights for the log; None for classes without a true box."""
    per_class = metrics.per_class
    columns = {
        "ap50_95": per_class.ap50_95,
        "ap50": per_class.ap50,
        "precision": per_class.precision,
        "recall": per_class.recall,
    }
    return {
        "map50_95": metrics.map50_95,
        "map50": metrics.map50,
        "precision": metrics.precision,
        "recall": metrics.recall,
        "confidence": metrics.best_confidence,
        "classes": [
            {
                "name": name,
                "num_truth": int(count),
                **{
                    key: float(values[row]) if math.isfinite(values[row]) else None
                    for key, values in columns.items()
                },
            }
            for row, (name, count) in enumerate(zip(class_names, per_class.num_truth, strict=True))
        ],
    }


def config_text(config: Config, groups: Sequence[GroupKey]) -> str:
    """Return config.yaml: what each LR column means, then all settings."""
    kinds = {
        "decay": "weights with decay",
        "norm": "normalisation weights",
        "bias": "biases",
    }
    lines = [
        f"# lr/pg{number}: {kinds[group.kind]}{f' of {group.part}' if group.part else ''}"
        for number, group in enumerate(groups)
    ]
    return "\n".join(lines) + "\n" + effective_yaml(config)
