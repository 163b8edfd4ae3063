"""Time the steps of one training of Ultralytics; started by other scripts, in its environment.

Only the documented Python interface is used: `YOLO.add_callback`, `YOLO.train` and `settings`.
Nothing of ours is imported here. The answer is one JSON object in ``request["answer"]``.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from peer_options import be_quiet, set_threads, train_options
from processes import memory_mib
from torch.utils.flop_counter import FlopCounterMode
from ultralytics import YOLO, __version__


class Finished(Exception):
    """All steps that are wanted are done."""


class StepTimes:
    """Notes the end of every step, and what is trained.

    Args:
        request: ``epochs`` that are wanted, or ``steps``; with ``channels`` of an image parameters
            and operations are counted.

    Attributes:
        ends: Epoch from 0, seconds on the clock and seconds of CPU time at the end of each step.
        about: What was trained.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.ends: list[tuple[int, float, float]] = []
        self.about: dict[str, Any] = {"about": f"Ultralytics {__version__}"}
        self._request = request
        self._epoch = -1

    def on_train_start(self, trainer: Any) -> None:
        """Set the threads, where asked for; note the memory; count parameters and operations."""
        set_threads(self._request)
        self.about["start_mib"] = memory_mib(os.getpid())
        channels, side = self._request.get("channels"), self._request["imgsz"]
        if not channels:
            return
        model = copy.deepcopy(trainer.model).eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, channels, side, side))
        self.about |= {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "gflops": counter.get_total_flops() / 1e9,
        }

    def on_train_epoch_start(self, trainer: Any) -> None:
        """Count epochs; end the run when those that are wanted are done."""
        self._epoch += 1
        if self._epoch == self._request["epochs"]:
            raise Finished

    def on_train_batch_end(self, trainer: Any) -> None:
        """Note the time; end the run after the last step that is wanted."""
        self.ends.append((self._epoch, time.perf_counter(), time.process_time()))
        if len(self.ends) == self._request.get("steps"):
            raise Finished


def main() -> None:
    request = json.loads(sys.argv[1])
    be_quiet()
    times = StepTimes(request)
    model = YOLO(request["model"])
    for name in ("on_train_start", "on_train_epoch_start", "on_train_batch_end"):
        model.add_callback(name, getattr(times, name))
    with contextlib.suppress(Finished):
        model.train(
            **train_options(request),
            epochs=1000,
            optimizer="AdamW",
            close_mosaic=0,
            val=False,
            save=False,
            plots=request["plots"],
        )
    answer = {"ends": times.ends, "threads": torch.get_num_threads(), **times.about}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
