"""Time parts of the work of Ultralytics one by one; started by `parts.py` in its environment.

Only what its reference documents is used: `build_yolo_dataset`, `check_det_dataset`, `get_cfg`,
`DetectionValidator.match_predictions`, `box_iou`, `ap_per_class` and `YOLO.predict`. Nothing of
ours is imported here. The answer is one JSON object in ``request["answer"]``.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from part_costs import Cost, Part, cost_of, write_answer
from peer_options import be_quiet, set_threads
from torch.utils.flop_counter import FlopCounterMode
from ultralytics import YOLO, __version__
from ultralytics.cfg import get_cfg
from ultralytics.data import build_yolo_dataset
from ultralytics.data.utils import check_det_dataset
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils.metrics import ap_per_class, box_iou

IOUS = torch.linspace(0.5, 0.95, 10)


def main() -> None:
    request = json.loads(sys.argv[1])
    be_quiet()
    set_threads(request)
    parts = data_costs(request) | {Part.CHECK: check_cost(request)}
    parts[Part.EVALUATION], map50_95 = evaluation_cost(request)
    detection, gflops = detection_costs(request)
    about = f"Ultralytics {__version__}"
    write_answer(request, parts | detection, gflops=gflops, map50_95=map50_95, about=about)


def training_set(data: str, request: dict[str, Any], *, cache: bool | str) -> Any:
    """Return the augmented images of a training, as a trainer builds them."""
    spec = check_det_dataset(data)
    options = get_cfg(
        overrides={"imgsz": request["imgsz"], "cache": cache, "task": "detect", "data": data}
    )
    return build_yolo_dataset(options, spec["train"], request["batch"], spec, mode="train")


def data_costs(request: dict[str, Any]) -> dict[str, Cost]:
    """Return what an augmented image of 4 channels costs, in batches: from memory, from files."""
    parts = {}
    for name, cache in ((Part.FROM_MEMORY, "ram"), (Part.FROM_FILES, False)):
        dataset = training_set(request["four"], request, cache=cache)
        batches(dataset, request["batch"])()
        parts[name] = cost_of(batches(dataset, request["batch"]), units=len(dataset))
    return parts


def batches(dataset: Any, batch: int) -> Callable[[], object]:
    """Return what makes all batches of an epoch."""
    starts = range(0, len(dataset), batch)

    def work() -> None:
        for start in starts:
            rows = range(start, min(start + batch, len(dataset)))
            dataset.collate_fn([dataset[row] for row in rows])

    return work


def check_cost(request: dict[str, Any]) -> Cost:
    """Return what the first look at an image and its labels costs, those of visible images."""
    root = Path(request["rgb"]).parent
    for kept in root.rglob("*.cache"):
        kept.unlink()
    count = sum(1 for path in (root / "images" / "train").iterdir())
    return cost_of(lambda: training_set(request["rgb"], request, cache=False), units=count)


def evaluation_cost(request: dict[str, Any]) -> tuple[Cost, float]:
    """Return what the evaluation of an image costs, and the mAP50-95."""
    drawn = {name: torch.from_numpy(rows) for name, rows in np.load(request["boxes"]).items()}
    validator = DetectionValidator(args={"task": "detect", "mode": "val"})
    validator.iouv = IOUS
    scores: list[float] = []

    def work() -> None:
        truths, founds = (
            torch.searchsorted(drawn[name], torch.arange(request["images"] + 1)).tolist()
            for name in ("image_ids", "found_ids")
        )
        hits = []
        for image in range(request["images"]):
            true, found = (slice(*ends[image : image + 2]) for ends in (truths, founds))
            overlaps = box_iou(drawn["boxes"][true], drawn["found_boxes"][found])
            hits.append(
                validator.match_predictions(
                    drawn["found_classes"][found], drawn["classes"][true], overlaps
                )
            )
        columns = (drawn[name].numpy() for name in ("found_scores", "found_classes", "classes"))
        precision = ap_per_class(torch.cat(hits).numpy(), *columns)[5]
        scores.append(float(precision.mean()))

    return cost_of(work, units=request["images"]), scores[0]


def detection_costs(request: dict[str, Any]) -> tuple[dict[str, Cost], float]:
    """Return what detecting costs from arrays to boxes, and the 10^9 operations of an image."""
    bgr = np.ascontiguousarray(np.load(request["pictures"])["rgb"][..., ::-1])
    model, calls, batch = YOLO(request["model"]), request["calls"], request["batch"]
    side = request["imgsz"]
    untouched = copy.deepcopy(model.model).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        untouched(torch.zeros(1, 3, side, side))
    options = {
        "imgsz": side,
        "device": "cpu",
        "verbose": False,
        "save": False,
        "conf": 0.25,
        "iou": 0.7,
        "project": request["folder"],
    }
    parts = {}
    for name, count in ((Part.ONE, 1), (Part.MANY, batch)):
        source = [bgr] * count

        def work(source: list[Any] = source, count: int = count) -> None:
            model.predict(source, batch=count, **options)

        work()
        set_threads(request)
        parts[name] = cost_of(work, units=count, calls=calls)
    return parts, counter.get_total_flops() / 1e9


if __name__ == "__main__":
    main()
