"""Time the steps of one training of ours; a process of its own, started by `peer_step.py`.

The training is that of the command line; the reporter notes when each step is done and ends the
run after the last epoch that is wanted. The answer is one JSON object in ``request["answer"]``.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from processes import memory_mib
from torch.utils.flop_counter import FlopCounterMode

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.engine.machine import describe
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.session import Session
from fusetrain.runs.training import train


class Finished(Exception):
    """All steps that are wanted are done."""


class StepTimes(RunReporter):
    """Notes the end of every step.

    Attributes:
        ends: Epoch from 0, seconds on the clock and seconds of CPU time at the end of each step.
        about: What was trained.
    """

    def __init__(self, num_epochs: int, *, imgsz: int) -> None:
        self.ends: list[tuple[int, float, float]] = []
        self.about: dict[str, Any] = {}
        self._num_epochs = num_epochs
        self._imgsz = imgsz

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        """Note the memory; count parameters and operations."""
        start_mib = memory_mib(os.getpid())
        detector, machine = session.detector.eval(), session.machine
        canvas = torch.zeros(1, 4, self._imgsz, self._imgsz, device=machine.device)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            detector(canvas[:, :3], canvas[:, 3:])
        detector.train()
        self.about = {
            "parameters": sum(parameter.numel() for parameter in detector.parameters()),
            "gflops": counter.get_total_flops() / 1e9,
            "start_mib": start_mib,
            "about": describe(machine),
        }

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        """Note the time; end the run after the last step that is wanted."""
        self.ends.append((state.epoch, time.perf_counter(), time.process_time()))
        if state.epoch + 1 == self._num_epochs and state.batches == batches_per_epoch:
            raise Finished

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        """Let an epoch go by."""


def config_of(request: dict[str, Any]) -> Config:
    """Return a config that steps only: no validation, no saving, decoded pairs in memory."""
    return Config.model_validate(
        {
            "data": request["data"],
            "model": {"fusion": request["kind"]},
            "train": {
                "epochs": 1000,
                "batch": request["batch"],
                "imgsz": request["imgsz"],
                "device": "cpu",
                "threads": request["threads"],
                "amp": request["amp"],
                "cache": "ram",
                "val_every": 1000,
                "save_every": {"epochs": 1000},
            },
            "augment": {"close_mosaic": 0},
            "run": {"project": request["folder"]},
        }
    )


def main() -> None:
    request = json.loads(sys.argv[1])
    config = config_of(request)
    times = StepTimes(request["epochs"], imgsz=request["imgsz"])
    with contextlib.suppress(Finished):
        train(config, build.open_data(config), reporter=times)
    answer = {"ends": times.ends, "threads": torch.get_num_threads(), **times.about}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
