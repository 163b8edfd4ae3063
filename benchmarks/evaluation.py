"""Time our evaluation of a split beside the COCO tools, on the same boxes, in one run.

    python benchmarks/evaluation.py                              # 5000 images x 100 detections
    python benchmarks/evaluation.py --images 500 --repeat 5

The boxes are drawn: about ten true boxes an image, detections that scatter around them with
duplicates, and the rest at random. Seconds count what a training loop would have to do at the end
of an epoch: the COCO tools take lists of dictionaries, so building these from arrays is timed too
and shown apart. pycocotools comes with the development tools; faster-coco-eval is timed if it is
installed. One thread.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from measuring.drawn_boxes import draw_boxes

from fusetrain.results.metrics import GroundTruth, ScoredBoxes, evaluate

Timing = tuple[float, float, float, float]  # seconds to build and to evaluate, mAP50-95, mAP50


def time_ours(truth: GroundTruth, detections: ScoredBoxes, *, num_classes: int) -> Timing:
    start = time.perf_counter()
    metrics = evaluate(truth, detections, num_classes=num_classes)
    return 0.0, time.perf_counter() - start, metrics.map50_95, metrics.map50


def time_coco_tool(
    truth: GroundTruth, detections: ScoredBoxes, *, num_classes: int, coco: Any, coco_eval: Any
) -> Timing:
    """Run a tool that follows the interface of pycocotools."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        judge = coco()
        judge.dataset = coco_dataset(truth, detections, num_classes=num_classes)
        judge.createIndex()
        found = judge.loadRes(coco_results(detections))
        built = time.perf_counter()
        run = coco_eval(judge, found, "bbox")
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.params.maxDets = [100]
        run.evaluate()
        run.accumulate()
    done = time.perf_counter()
    precision = run.eval["precision"][:, :, :, 0, 0]
    return (
        built - start,
        done - built,
        float(precision[precision > -1].mean()),
        float(precision[0][precision[0] > -1].mean()),
    )


def coco_dataset(
    truth: GroundTruth, detections: ScoredBoxes, *, num_classes: int
) -> dict[str, list[dict[str, Any]]]:
    image_ids = np.union1d(truth.image_ids, detections.image_ids).tolist()
    annotations = [
        {**row, "id": number, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
        for number, row in enumerate(_rows(truth), start=1)
    ]
    return {
        "info": [],
        "images": [{"id": image_id} for image_id in image_ids],
        "annotations": annotations,
        "categories": [{"id": index} for index in range(num_classes)],
    }


def coco_results(detections: ScoredBoxes) -> list[dict[str, Any]]:
    scores = detections.scores.tolist()
    return [{**row, "score": score} for row, score in zip(_rows(detections), scores, strict=True)]


def _rows(boxes: GroundTruth | ScoredBoxes) -> list[dict[str, Any]]:
    boxes_xywh_px = boxes.boxes_xyxy_px.astype(np.float64)
    boxes_xywh_px[:, 2:] -= boxes_xywh_px[:, :2]
    columns = (boxes.image_ids.tolist(), boxes.classes.tolist(), boxes_xywh_px.tolist())
    return [
        {"image_id": image_id, "category_id": index, "bbox": box}
        for image_id, index, box in zip(*columns, strict=True)
    ]


def coco_tools() -> dict[str, tuple[Any, Any]]:
    """Return the installed tools that follow the interface of pycocotools."""
    tools = {}
    if find_spec("pycocotools"):
        tools["pycocotools"] = (
            import_module("pycocotools.coco").COCO,
            import_module("pycocotools.cocoeval").COCOeval,
        )
    if find_spec("faster_coco_eval"):
        faster = import_module("faster_coco_eval")
        tools["faster-coco-eval"] = (faster.COCO, faster.COCOeval_faster)
    return tools


def fastest(measure: Callable[[], Timing], *, repeat: int) -> Timing:
    return min((measure() for _ in range(repeat)), key=lambda row: row[0] + row[1])


def print_row(name: str, row: Timing, ours: Timing) -> None:
    build, run, map50_95, map50 = row
    difference = max(abs(map50_95 - ours[2]), abs(map50 - ours[3]))
    print(
        f"{name:<18}{build:>8.2f}{run:>10.2f}{build + run:>8.2f}"
        f"{map50_95:>11.6f}{map50:>10.6f}{difference:>11.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="an image")
    parser.add_argument("--classes", type=int, default=6)
    parser.add_argument("--boxes", type=float, default=10.0, help="true boxes an image, mean")
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours; the fastest counts")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    truth, detections = draw_boxes(
        args.images,
        args.detections,
        num_classes=args.classes,
        boxes_per_image=args.boxes,
        seed=args.seed,
    )
    print(
        f"{args.images} images, {len(truth.classes)} true boxes, "
        f"{len(detections.classes)} detections, {args.classes} classes; seconds, one thread"
    )
    print(
        f"{'':<18}{'build':>8}{'evaluate':>10}{'all':>8}{'mAP50-95':>11}{'mAP50':>10}{'apart':>11}"
    )
    ours = fastest(
        lambda: time_ours(truth, detections, num_classes=args.classes), repeat=args.repeat
    )
    print_row("fusetrain", ours, ours)
    for name, (coco, coco_eval) in coco_tools().items():
        row = time_coco_tool(
            truth, detections, num_classes=args.classes, coco=coco, coco_eval=coco_eval
        )
        print_row(name, row, ours)


if __name__ == "__main__":
    main()
