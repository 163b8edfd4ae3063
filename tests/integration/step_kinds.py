"""Step every kind of fusion on two ranks and print, as JSON, what its replicas learnt.

    python step_kinds.py DATA.yaml

A replica whose parameters are not all used fails in its next step, or stops being equal to the
others. So each detector makes three steps: with boxes on the first rank alone, without any, and
with no pair on the second rank. Both ranks are forked from this process, so that torch is imported
once, and go through all detectors in one group.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusetrain import build, distributed
from fusetrain.build import TrainingData
from fusetrain.config.schema import BASES, Config
from fusetrain.config.stages import ADAPTER, run_epochs
from fusetrain.detector.fusion import KINDS, OPERATORS, WITHOUT_OPERATOR
from fusetrain.detector.kinds import DetectorSpec
from fusetrain.engine.stages import stage_of
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.phases import detector_spec
from fusetrain.runs.session import Session, assemble, choose_machine
from fusetrain.sample import Batch

RANKS = 2
TRAIN = {"epochs": 2, "batch": 4, "imgsz": 64, "threads": 1, "device": "cpu", "workers": 0}
FREEZING = [{"epochs": 1, "freeze": ["backbone"]}, {"inputs": "ir"}]


def config_of(data: Path, model: dict[str, Any], **train: Any) -> Config:
    values = {"model": {"width": 0.25} | model, "train": TRAIN | {"amp": False} | train}
    return Config.model_validate({"data": str(data), **values})


def cases(data: Path, num_classes: int) -> Iterator[tuple[str, Config, DetectorSpec | None]]:
    """Yield name, settings and, of an adapter's second phase, the shape of each detector."""
    for kind in KINDS.names():
        for operator in ("concat",) if kind in WITHOUT_OPERATOR else OPERATORS.names():
            yield (
                f"{kind} {operator}",
                config_of(data, {"fusion": kind, "operator": operator}),
                None,
            )
    adapter = config_of(data, {"fusion": ADAPTER})
    for base in sorted({"rgb", *BASES} - {"auto"}):
        yield f"adapter on {base}", adapter, replace(detector_spec(adapter, num_classes), base=base)
    yield "mid without suppression", config_of(data, {"one_to_one": True}), None
    yield "mid with shared statistics", config_of(data, {}, sync_bn=True), None
    yield "mid in stages", config_of(data, {}, stages=FREEZING), None


def without_boxes(batch: Batch) -> Batch:
    return replace(
        batch,
        boxes_xyxy_px=batch.boxes_xyxy_px[:, :0],
        classes=batch.classes[:, :0],
        is_box=batch.is_box[:, :0],
    )


def learn(session: Session, batch: Batch, *, epoch: int) -> dict[str, Any]:
    """Make the three steps; return what has no gradient, and a digest of the weights."""
    runner, main = session.runner, distributed.is_main()
    runner.enter(stage_of(session.phase.stages, epoch))
    empty = without_boxes(batch)
    unused: set[str] = set()
    for given in (batch if main else empty, empty, batch if main else batch.part(0, 0)):
        runner.step([given], updates=0)
        unused |= {
            name
            for name, parameter in session.detector.named_parameters()
            if parameter.requires_grad and parameter.grad is None
        }
    digest = hashlib.sha256()
    for parameter in session.detector.parameters():
        digest.update(parameter.detach().contiguous().numpy().tobytes())
    return {"unused": sorted(unused), "weights": digest.hexdigest()}


def first_batch(config: Config, data: TrainingData) -> Batch:
    """Return this rank's first batch that has boxes."""
    batches = BatchSource(config, data, choose_machine(config)).train(0, 0)
    return next(batch for batch in batches if batch.is_box.any())


def run_rank(path: Path) -> None:
    """Step all detectors on this rank; the main one prints what came of it."""
    plain = config_of(path, {})
    machine = choose_machine(plain)
    machine.apply()
    found = {}
    with distributed.process_group(machine.device, timeout_seconds=60):
        data = build.open_data(plain)
        batch = first_batch(plain, data)
        for name, config, spec in cases(path, len(data.train.class_names)):
            try:
                session = assemble(build.resolved(config, machine), data, machine, spec=spec)
                epochs = range(run_epochs(config)) if config.train.stages else (0,)
                told = [learn(session, batch, epoch=epoch) for epoch in epochs]
            except RuntimeError as error:
                raise RuntimeError(f"{name}: {error}") from error
            found[name] = distributed.gather_objects(told)
        if distributed.is_main():
            print(json.dumps(found), flush=True)


def main() -> None:
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port.getsockname()[1])}
    os.environ |= {"WORLD_SIZE": str(RANKS), "LOCAL_WORLD_SIZE": str(RANKS)}
    children = []
    for rank in range(RANKS):
        child = os.fork()
        if not child:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            code = 1
            try:
                run_rank(Path(sys.argv[1]))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(map(abs, codes)))


if __name__ == "__main__":
    main()
