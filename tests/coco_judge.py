"""pycocotools as the judge of our evaluation, for tests in any folder."""

from __future__ import annotations

import contextlib
import io
from typing import Any, NamedTuple

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fusetrain.results.metrics import DetectionMetrics, GroundTruth, ScoredBoxes, evaluate

ANY_AREA_PX = (0.0, 1e10)
SAME = 1e-12


class Judged(NamedTuple):
    """What pycocotools says: (T, R, C) precision and (T, C) recall, -1 for absent classes."""

    precision: np.ndarray
    recall: np.ndarray


def judge(
    truth: GroundTruth,
    detections: ScoredBoxes,
    *,
    num_classes: int,
    max_detections: int = 100,
    area_range_px: tuple[float, float] = ANY_AREA_PX,
) -> Judged:
    images = [{"id": int(i)} for i in np.union1d(truth.image_ids, detections.image_ids)]
    categories = [{"id": index} for index in range(num_classes)]
    crowd = np.zeros(len(truth.classes), bool) if truth.is_ignored is None else truth.is_ignored
    real, found = annotations(truth), annotations(detections)
    for row, is_crowd in zip(real, crowd.tolist(), strict=True):
        row["iscrowd"] = int(is_crowd)
    for row, score in zip(found, detections.scores.tolist(), strict=True):
        row["score"] = score
    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(coco(images, categories, real), coco(images, categories, found), "bbox")
        run.params.areaRng, run.params.areaRngLbl = [list(area_range_px)], ["any"]
        run.params.maxDets = [max_detections]
        run.params.catIds = list(range(num_classes))
        run.evaluate()
        run.accumulate()
    return Judged(run.eval["precision"][:, :, :, 0, 0], run.eval["recall"][:, :, 0, 0])


def coco(images: list[Any], categories: list[Any], rows: list[Any]) -> COCO:
    made = COCO()
    made.dataset = {"images": images, "categories": categories, "annotations": rows}
    made.createIndex()
    return made


def annotations(boxes: GroundTruth | ScoredBoxes) -> list[dict[str, Any]]:
    boxes_xywh_px = boxes.boxes_xyxy_px.astype(np.float64)
    boxes_xywh_px[:, 2:] -= boxes_xywh_px[:, :2]
    columns = zip(
        boxes.image_ids.tolist(), boxes.classes.tolist(), boxes_xywh_px.tolist(), strict=True
    )
    return [
        {"id": n, "image_id": i, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
        for n, (i, c, b) in enumerate(columns, start=1)
    ]


def assert_equal_to_the_judge(
    truth: GroundTruth, detections: ScoredBoxes, *, num_classes: int, **limits: Any
) -> DetectionMetrics:
    metrics = evaluate(truth, detections, num_classes=num_classes, **limits)
    judged = judge(truth, detections, num_classes=num_classes, **limits)
    precision = np.where(judged.precision < 0, np.nan, judged.precision)
    per_class = metrics.per_class
    np.testing.assert_allclose(per_class.average_precision, precision.mean(axis=1).T, atol=SAME)
    np.testing.assert_allclose(metrics.curves.precision_at_recall, precision[0].T, atol=SAME)
    recall = np.where(judged.recall[0] < 0, np.nan, judged.recall[0])
    np.testing.assert_allclose(metrics.curves.recall[:, 0], recall, atol=SAME)
    if (per_class.num_truth > 0).any():
        everything = judged.precision[judged.precision > -1]
        assert metrics.map50_95 == pytest.approx(everything.mean(), abs=SAME)
        at_50 = judged.precision[0]
        assert metrics.map50 == pytest.approx(at_50[at_50 > -1].mean(), abs=SAME)
    else:
        assert (judged.precision == -1).all()
        assert (metrics.map50, metrics.map50_95) == (0.0, 0.0)
    return metrics
