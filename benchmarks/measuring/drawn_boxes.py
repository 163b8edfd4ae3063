"""Boxes of a split and detections of it, drawn: what an evaluation is timed with."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusetrain.results.metrics import GroundTruth, ScoredBoxes


def draw_boxes(
    num_images: int, num_detections: int, *, num_classes: int, boxes_per_image: float, seed: int
) -> tuple[GroundTruth, ScoredBoxes]:
    """Draw a split of 640 x 640 images and what a fair detector might say about it."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(boxes_per_image, num_images)
    image_ids = np.repeat(np.arange(num_images), counts)
    truth = GroundTruth(
        image_ids=image_ids,
        boxes_xyxy_px=_random_boxes(rng, len(image_ids)),
        classes=rng.integers(0, num_classes, len(image_ids)),
    )
    ids = np.repeat(np.arange(num_images), num_detections)
    boxes_xyxy_px = _random_boxes(rng, len(ids))
    classes = rng.integers(0, num_classes, len(ids))
    scores = rng.beta(1, 12, len(ids))
    # Of the true boxes of an image, each is found about one and a half times.
    near = np.flatnonzero(rng.random(len(ids)) < 1.5 * boxes_per_image / num_detections)
    near = near[counts[ids[near]] > 0]
    first = np.cumsum(counts) - counts
    source = first[ids[near]] + (rng.random(len(near)) * counts[ids[near]]).astype(np.int64)
    size = (truth.boxes_xyxy_px[source, 2:] - truth.boxes_xyxy_px[source, :2]).repeat(2, axis=0)
    blur = rng.normal(0, 0.07, (len(near), 4)) * size.reshape(-1, 4)
    boxes_xyxy_px[near] = truth.boxes_xyxy_px[source] + blur
    is_right = rng.random(len(near)) < 0.9
    classes[near] = np.where(is_right, truth.classes[source], classes[near])
    scores[near] = rng.beta(3, 2, len(near))
    return truth, ScoredBoxes(ids, boxes_xyxy_px, scores.astype(np.float32), classes)


def _random_boxes(rng: np.random.Generator, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    centres = rng.uniform(0, 640, (count, 2))
    sizes = np.exp(rng.uniform(np.log(8), np.log(300), (count, 2)))
    return np.concatenate((centres - sizes / 2, centres + sizes / 2), axis=1).astype(np.float32)
