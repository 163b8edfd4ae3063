"""Train Ultralytics and note its detections after every epoch; started in its own environment.

Only the documented Python interface is used: `YOLO.add_callback`, `YOLO.train`, `YOLO.predict`, the
trainer's `last`, which is the checkpoint just written, and `settings`. Nothing of ours is imported
here. Detecting for us stops the clocks: a training has only its own validation on them.

The answer is one JSON object in ``request["answer"]``: when each epoch was over. Detections on the
validation images lie beside each other in ``request["detections"]``, one NumPy file an epoch with
rows of image number, class, score, and x1, y1, x2, y2 in px of the image.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from peer_options import be_quiet, set_threads, train_options
from ultralytics import YOLO, __version__

# As `val` of ours detects.
LEAST_SCORE, OVERLAP, MOST_DETECTIONS = 0.001, 0.7, 300


class Epochs:
    """Notes the end of every epoch, and what the model then detects.

    Args:
        request: What is asked of this training.

    Attributes:
        ends: Epoch from 1, seconds since training began, CPU seconds of the steps until then.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.ends: list[tuple[int, float, float]] = []
        self._request = request
        self._epoch = 0
        self._began = self._epoch_cpu_seconds = self._cpu_seconds = self._paused = 0.0

    def on_train_start(self, trainer: Any) -> None:
        """Set the threads; start the clock."""
        set_threads(self._request)
        self._began = time.perf_counter()

    def on_train_epoch_start(self, trainer: Any) -> None:
        """Start the clock of the processor."""
        self._epoch += 1
        self._epoch_cpu_seconds = time.process_time()

    def on_train_epoch_end(self, trainer: Any) -> None:
        """Stop the clock of the processor: what follows is validation."""
        self._cpu_seconds += time.process_time() - self._epoch_cpu_seconds

    def on_model_save(self, trainer: Any) -> None:
        """Note the time, then detect."""
        ended = time.perf_counter()
        self.ends.append((self._epoch, ended - self._began - self._paused, self._cpu_seconds))
        rows = np.array(list(detections(str(trainer.last), self._request)), np.float64)
        np.save(Path(self._request["detections"]) / f"{self._epoch}.npy", rows.reshape(-1, 7))
        set_threads(self._request)
        self._paused += time.perf_counter() - ended


def detections(weights: str, request: dict[str, Any]) -> Iterator[list[float]]:
    """Yield what saved weights find on the validation images."""
    results = YOLO(weights).predict(
        request["val"],
        conf=LEAST_SCORE,
        iou=OVERLAP,
        max_det=MOST_DETECTIONS,
        imgsz=request["imgsz"],
        batch=request["batch"],
        device="cpu",
        stream=True,
        save=False,
        verbose=False,
        project=request["folder"],
    )
    for result in results:
        boxes, number = result.boxes, float(Path(result.path).stem)
        columns = (boxes.cls.tolist(), boxes.conf.tolist(), boxes.xyxy.tolist())
        for class_number, score, box in zip(*columns, strict=True):
            yield [number, class_number, score, *box]


def main() -> None:
    request = json.loads(sys.argv[1])
    be_quiet()
    epochs = Epochs(request)
    model = YOLO(request["model"])
    for name in (
        "on_train_start",
        "on_train_epoch_start",
        "on_train_epoch_end",
        "on_model_save",
    ):
        model.add_callback(name, getattr(epochs, name))
    model.train(
        **train_options(request),
        epochs=request["epochs"],
        seed=request["seed"],
        plots=False,
    )
    answer = {"ends": epochs.ends, "about": f"Ultralytics {__version__}"}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
