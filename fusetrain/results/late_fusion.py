"""Join the detections of several detectors by probability, as if they were independent witnesses.

Detections of one class that overlap are taken for one object: its odds are the product of theirs,
divided by the odds of the prior once for every witness but one, p(c | all) ~ prod p_m(c) /
prior(c)^(M-1), and its box is their mean, weighted by the scores. What only one detector saw
passes as it is (ProbEn: Chen et al., Multimodal Object Detection via Probabilistic Ensembling,
arXiv 2104.02904). No training, and any detectors of the same classes will do.
Shape legend: N detections of one class on one image, of all detectors together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusetrain.results.matching import ScoredBoxes
from fusetrain.results.overlaps import Bools, Floats, Ints, run_lengths, run_starts

# From which overlap on two detections are of one object.
IOU = 0.5
# Chance that a candidate box holds an object, before anyone looked. Detectors propose hundreds of
# boxes an image for a few objects, and their scores say so: most lie below 1 %. With even odds, the
# faint box of a witness who saw nothing special would speak against what the other saw well.
PRIOR = 0.02
CERTAIN = 1e-6


def join_detections(
    found: Sequence[ScoredBoxes], *, prior: float = PRIOR, iou: float = IOU
) -> ScoredBoxes:
    """Return what several detectors found together, in the order of images, best score first.

    Args:
        found: The detections of each, in the same pixels, classes and image ids.
        prior: Chance that an object of a class is where a detection says so, in (0, 1).
        iou: Lowest overlap of two detections of one object, in (0, 1].
    """
    images = np.concatenate([one.image_ids for one in found]).astype(np.int64)
    boxes = np.concatenate([one.boxes_xyxy_px for one in found]).astype(np.float64)
    scores = np.concatenate([one.scores for one in found]).astype(np.float64)
    classes = np.concatenate([one.classes for one in found]).astype(np.int64)
    sources = np.repeat(np.arange(len(found)), [len(one.scores) for one in found])
    # A cell is one class on one image; in it the best score goes first.
    order = np.lexsort((sources, -scores, classes, images))
    images, boxes, classes = images[order], boxes[order], classes[order]
    scores, sources = scores[order], sources[order]
    kept = np.zeros(len(scores), bool)
    cells = images * (int(classes.max(initial=0)) + 1) + classes
    starts = run_starts(cells)
    for start, length in zip(starts, run_lengths(starts, len(cells)), strict=True):
        cell = slice(start, start + length)
        groups = _groups(boxes[cell], sources[cell], iou=iou)
        kept[cell], boxes[cell], scores[cell] = _joined(
            boxes[cell], scores[cell], groups, prior=prior
        )
    ranked = np.flatnonzero(kept)
    ranked = ranked[np.lexsort((-scores[ranked], images[ranked]))]
    return ScoredBoxes(images[ranked], boxes[ranked], scores[ranked], classes[ranked])


def joined_score(scores: Sequence[float], *, prior: float = PRIOR) -> float:
    """Return the probability of an object that several witnesses saw, each with its own.

    Args:
        scores: Probabilities of the witnesses, in [0, 1].
        prior: Probability before anyone looked, in (0, 1).
    """
    odds = _log_odds(np.asarray(scores, np.float64))
    before = float(_log_odds(np.array([prior]))[0])
    return float(1.0 / (1.0 + np.exp((len(scores) - 1) * before - odds.sum())))


def _groups(boxes_xyxy_px: Floats, sources: Ints, *, iou: float) -> list[list[int]]:
    """Return the rows of each object: the best one and its nearest of every other detector."""
    overlaps = _overlaps(boxes_xyxy_px)
    is_free: Bools = np.ones(len(sources), bool)
    groups = []
    for row in range(len(sources)):
        if not is_free[row]:
            continue
        is_free[row] = False
        near = np.flatnonzero(is_free & (overlaps[row] >= iou) & (sources != sources[row]))
        group = [row]
        for source in np.unique(sources[near]):
            rivals = near[sources[near] == source]
            group.append(int(rivals[overlaps[row, rivals].argmax()]))
        is_free[group] = False
        groups.append(group)
    return groups


def _joined(
    boxes_xyxy_px: Floats, scores: Floats, groups: Sequence[Sequence[int]], *, prior: float
) -> tuple[Bools, Floats, Floats]:
    """Return which rows stay, (N, 4) boxes and (N,) scores; those that stay speak for a group."""
    kept = np.zeros(len(scores), bool)
    boxes, joined = boxes_xyxy_px.copy(), scores.copy()
    for group in groups:
        kept[group[0]] = True
        if len(group) > 1:
            weights = np.maximum(scores[list(group)], CERTAIN)
            boxes[group[0]] = weights @ boxes_xyxy_px[list(group)] / weights.sum()
            joined[group[0]] = joined_score(scores[list(group)].tolist(), prior=prior)
    return kept, boxes, joined


def _log_odds(probabilities: Floats) -> Floats:
    inside = np.clip(probabilities, CERTAIN, 1.0 - CERTAIN)
    return np.asarray(np.log(inside) - np.log1p(-inside), np.float64)


def _overlaps(boxes_xyxy_px: Floats) -> Floats:
    """Return (N, N) overlap over union; 0 for boxes without area."""
    low = np.maximum(boxes_xyxy_px[:, None, :2], boxes_xyxy_px[None, :, :2])
    high = np.minimum(boxes_xyxy_px[:, None, 2:], boxes_xyxy_px[None, :, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=2)
    areas = np.clip(boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2], 0.0, None).prod(axis=1)
    union = areas[:, None] + areas[None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))
