"""How the peer is asked to train, whatever is measured; imported by scripts of its environment.

Only what is documented is used. Nothing of ours is imported here.
"""

from __future__ import annotations

from typing import Any

import torch
from ultralytics import settings

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


def be_quiet() -> None:
    """Send nothing anywhere, and start no tracker."""
    settings.update({"sync": False, **{name: False for name in TRACKERS if name in settings}})


def set_threads(request: dict[str, Any]) -> None:
    """Take the number of threads that is asked for; None leaves that of the peer."""
    if request["threads"]:
        torch.set_num_threads(request["threads"])


def train_options(request: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `YOLO.train` that all measurements have in common.

    From scratch, on the CPU, decoded images in memory, every batch an optimizer step.
    """
    return {
        "data": request["data"],
        "batch": request["batch"],
        "nbs": request["batch"],
        "imgsz": request["imgsz"],
        "device": "cpu",
        "workers": 0,
        "cache": "ram",
        "amp": False,
        "pretrained": False,
        "project": request["folder"],
    }
