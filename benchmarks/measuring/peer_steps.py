"""Time the steps of one training of Ultralytics; started by `peer_step.py` in its environment.

Only the documented Python interface is used: `YOLO.add_callback`, `YOLO.train` and `settings`.
Nothing of ours is imported here. The answer is one JSON object in ``request["answer"]``.
"""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from ultralytics import YOLO, __version__, settings

TRACKERS = (
    "clearml",
    "comet",
    "dvc",
    "hub",
    "mlflow",
    "neptune",
    "raytune",
    "tensorboard",
    "wandb",
)


class Finished(Exception):
    """All steps that are wanted are done."""


class StepTimes:
    """Notes the end of every step, and what is trained.

    Attributes:
        ends: Epoch from 0, seconds on the clock and seconds of CPU time at the end of each step.
        about: What was trained.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.ends: list[tuple[int, float, float]] = []
        self.about: dict[str, Any] = {}
        self._request = request
        self._epoch = -1

    def on_train_start(self, trainer: Any) -> None:
        """Set the threads, where they are asked for; count parameters and operations."""
        if self._request["threads"]:
            torch.set_num_threads(self._request["threads"])
        side = self._request["imgsz"]
        model = copy.deepcopy(trainer.model).eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, side, side))
        self.about = {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "gflops": counter.get_total_flops() / 1e9,
            "about": f"Ultralytics {__version__}",
        }

    def on_train_epoch_start(self, trainer: Any) -> None:
        """Count epochs; end the run when those that are wanted are done."""
        self._epoch += 1
        if self._epoch == self._request["epochs"]:
            raise Finished

    def on_train_batch_end(self, trainer: Any) -> None:
        """Note the time."""
        self.ends.append((self._epoch, time.perf_counter(), time.process_time()))


def main() -> None:
    request = json.loads(sys.argv[1])
    settings.update({"sync": False, **{name: False for name in TRACKERS if name in settings}})
    times = StepTimes(request)
    model = YOLO(request["model"])
    for name in ("on_train_start", "on_train_epoch_start", "on_train_batch_end"):
        model.add_callback(name, getattr(times, name))
    with contextlib.suppress(Finished):
        model.train(
            data=request["data"],
            epochs=1000,
            batch=request["batch"],
            nbs=request["batch"],  # every batch is an optimizer step
            imgsz=request["imgsz"],
            device="cpu",
            workers=0,
            cache="ram",
            optimizer="AdamW",
            amp=False,
            close_mosaic=0,
            pretrained=False,
            val=False,
            save=False,
            plots=False,
            project=request["folder"],
        )
    answer = {"ends": times.ends, "threads": torch.get_num_threads(), **times.about}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
