"""Train the peer on pairs and judge its detections after every epoch as ours are judged.

The peer sees pairs as images of 4 channels and trains by its own recipe. What it finds comes back
as numbers; the evaluator is the one of our validation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring.keeping import note
from measuring.learning_curves import Point
from measuring.peer_environment import KEEP_FREED_MEMORY, offline, peer_python
from measuring.turns import MEASURING, Variant, ask
from numpy.typing import NDArray

from fusetrain.data.image import read_header
from fusetrain.data.index import DatasetIndex
from fusetrain.results.metrics import GroundTruth, ScoredBoxes, evaluate


class Judge:
    """Scores detections on a split by the evaluator of our validation.

    Args:
        index: The split; image numbers are its rows.
    """

    def __init__(self, index: DatasetIndex) -> None:
        if len(index.ignored_boxes):
            raise SystemExit(f"{index.root}: excluded boxes are not compared with another program")
        self._num_classes = len(index.class_names)
        self._truth = GroundTruth(
            image_ids=np.repeat(np.arange(len(index)), np.diff(index.box_ends, prepend=0)),
            boxes_xyxy_px=_true_boxes(index),
            classes=index.box_classes,
        )

    def scores(self, found: NDArray[np.float64]) -> tuple[float, float]:
        """Return mAP50 and mAP50-95.

        Args:
            found: (D, 7) image number, class, score in [0, 1], x1, y1, x2, y2 in px of the visible
                image.
        """
        boxes = ScoredBoxes(
            image_ids=found[:, 0].astype(np.int64),
            boxes_xyxy_px=found[:, 3:],
            scores=found[:, 2],
            classes=found[:, 1].astype(np.int64),
        )
        metrics = evaluate(self._truth, boxes, num_classes=self._num_classes)
        return metrics.map50, metrics.map50_95


def _true_boxes(index: DatasetIndex) -> NDArray[np.float64]:
    """Return (M, 4) xyxy in px of the visible images."""
    parts = [np.zeros((0, 4))]
    for row in range(len(index)):
        height, width = read_header(index.rgb_path(row), storage=index.storage).size_hw
        boxes = index.boxes_cxcywh_unit(row).astype(np.float64) * (width, height, width, height)
        centres, sizes = boxes[:, :2], boxes[:, 2:]
        parts.append(np.concatenate((centres - sizes / 2, centres + sizes / 2), axis=1))
    return np.concatenate(parts)


@dataclass(frozen=True)
class PeerRun:
    """One training of the peer.

    Attributes:
        name: Of its files.
        request: What is asked of `peer_training.py`, but for places.
        folder: Where its curve is kept.
        pip_args: To install the peer with.
    """

    name: str
    request: Mapping[str, Any]
    folder: Path
    pip_args: str

    def curve(self, judge: Judge) -> list[Point]:
        """Train, unless that is done, and return the judged epochs.

        A training that was broken off begins again.

        Raises:
            SystemExit: What was kept is another training.
        """
        kept = self.folder / f"{self.name}.curve.json"
        note(kept, self.request)
        if not kept.is_file():
            made = json.dumps([asdict(point) for point in self._train(judge)])
            half = kept.with_suffix(".half")
            half.write_text(made, encoding="utf-8")
            half.replace(kept)
        return [Point(**values) for values in json.loads(kept.read_text(encoding="utf-8"))]

    def _train(self, judge: Judge) -> list[Point]:
        detections = self.folder / f"{self.name}-detections"
        detections.mkdir(exist_ok=True)
        variant = Variant(
            self.name,
            (str(peer_python(self.pip_args)), str(MEASURING / "peer_training.py")),
            {**self.request, "detections": str(detections)},
            offline(self.folder / "home") | KEEP_FREED_MEMORY,
        )
        ends = ask(variant, folder=self.folder).answer["ends"]
        return [
            Point(epoch, seconds, cpu_seconds, *judge.scores(np.load(detections / f"{epoch}.npy")))
            for epoch, seconds, cpu_seconds in ends
        ]
