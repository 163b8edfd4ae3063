"""A detector over a loader: detections in original pixels, and how good they are.

`val` and the training loop judge with the same code. Ranks look at disjoint pairs; their detections
are joined before the judging, so that no pair counts twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fusetrain import distributed
from fusetrain.boxes import cxcywh_unit_to_xyxy_px
from fusetrain.data.labels import ANY_CLASS, NO_REGIONS, Regions
from fusetrain.detector.decode import detections, to_original
from fusetrain.engine.machine import Machine
from fusetrain.engine.stages import Inputs
from fusetrain.engine.step import images
from fusetrain.failpoints import failpoint
from fusetrain.loss.detection import DetectionLoss, mean_items
from fusetrain.results.metrics import DetectionMetrics, GroundTruth, ScoredBoxes, evaluate
from fusetrain.sample import Batch, Detections, RawPredictions


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Attributes:
        metrics: Precision, recall and average precision.
        losses: Box, cls and dfl loss over all pairs, however they are batched; NaN where the model
            is an exported file.
        found: The detections behind the metrics, in original pixels.
        truth: The boxes they were judged by.
    """

    metrics: DetectionMetrics
    losses: tuple[float, float, float]
    found: ScoredBoxes
    truth: GroundTruth


class StoppedWhileValidating(Exception):
    """A stop was asked for before the validation was through; it has to be done again."""


@torch.inference_mode()
def detect(
    model: nn.Module,
    batches: Iterable[Batch],
    machine: Machine,
    *,
    confidence: float,
    overlap: float | None,
    inputs: Inputs = "both",
    on_batch: Callable[[Batch, object], None] = lambda batch, raw: None,
) -> Iterator[tuple[int, Detections]]:
    """Yield (sample id, detections in pixels of the original RGB image) pair by pair.

    Args:
        model: A detector; it is put into evaluation mode.
        batches: Letterboxed pairs.
        machine: Where and how the model runs.
        confidence: Lowest score that counts.
        overlap: IoU above which the lower score of a class is dropped; None drops none and asks
            the branch that needs no suppression.
        inputs: The image that is shown; the other one is grey.
        on_batch: Called with each batch, on the device, and its raw predictions.
    """
    model.eval()
    for loaded in batches:
        batch = loaded.to(machine.device)
        with machine.autocast():
            predictions = model(*images(batch, machine, inputs))
        on_batch(batch, predictions)
        found = detections(predictions, confidence=confidence, overlap=overlap)
        for row, sample_id in enumerate(batch.sample_ids.tolist()):
            yield (
                sample_id,
                to_original(
                    found[row], batch.canvas_from_original[row], batch.original_sizes_hw[row]
                ),
            )


def validate(
    model: nn.Module,
    batches: Iterable[Batch],
    machine: Machine,
    *,
    loss: DetectionLoss,
    num_classes: int,
    confidence: float = 0.001,
    overlap: float | None = 0.7,
    inputs: Inputs = "both",
    regions: Callable[[int], Regions] = lambda sample_id: NO_REGIONS,
    interrupted: Callable[[], bool] = lambda: False,
) -> Validation:
    """Judge a model on the pairs of a loader.

    Args:
        model: A detector.
        batches: Letterboxed pairs.
        machine: Where and how the model runs.
        loss: What the losses are computed by.
        num_classes: C.
        confidence: Lowest score that counts.
        overlap: As for `detect`.
        inputs: As for `detect`.
        regions: Sample id to the boxes that count neither as hit nor as miss (shares of the image).
        interrupted: Asked after each pair.

    Raises:
        StoppedWhileValidating: ``interrupted`` said so between two batches.
    """
    collected = _Collected(loss, regions, num_classes=num_classes)
    found = detect(
        model,
        batches,
        machine,
        confidence=confidence,
        overlap=overlap,
        inputs=inputs,
        on_batch=collected.add_batch,
    )
    for sample_id, pair in found:
        collected.add_detections(sample_id, pair)
        failpoint("validation:pair")
        if interrupted():
            raise StoppedWhileValidating
    scored, truth, losses = collected.joined()
    metrics = evaluate(truth, scored, num_classes=num_classes)
    return Validation(metrics, losses, scored, truth)


class _Collected:
    """Gathers detections, truth and losses of one rank, then of all."""

    def __init__(
        self, loss: DetectionLoss, regions: Callable[[int], Regions], *, num_classes: int
    ) -> None:
        self.loss = loss
        self.regions = regions
        self.num_classes = num_classes
        self.found: list[tuple[int, Detections]] = []
        self.truth: list[tuple[int, Tensor, Tensor]] = []
        self.ignored: list[tuple[int, Tensor, Tensor]] = []
        self.loss_sums: list[Tensor] = []

    def add_batch(self, batch: Batch, predictions: object) -> None:
        if isinstance(predictions, RawPredictions):
            self.loss_sums.append(self.loss.sums(predictions, batch).double().cpu())
        else:  # an exported file says what it found, not what the losses need
            self.loss_sums.append(torch.full((1, 4), torch.nan))
        scale = batch.canvas_from_original[:, None, [0, 1, 0, 1]]
        shift = batch.canvas_from_original[:, None, [2, 3, 2, 3]]
        boxes = (batch.boxes_xyxy_px.cpu().double() - shift) / scale
        is_box, classes = batch.is_box.cpu(), batch.classes.cpu()
        for row, sample_id in enumerate(batch.sample_ids.tolist()):
            mask = is_box[row]
            self.truth.append((sample_id, boxes[row, mask], classes[row, mask]))
            excluded = self.regions(sample_id)
            if len(excluded.classes):
                self._add_regions(sample_id, excluded, batch.original_sizes_hw[row])

    def _add_regions(self, sample_id: int, excluded: Regions, size_hw: Tensor) -> None:
        """Note excluded boxes in original pixels; one for every class stands once for each."""
        units = torch.from_numpy(excluded.boxes_cxcywh_unit.astype(np.float64))
        height, width = size_hw.tolist()
        boxes = cxcywh_unit_to_xyxy_px(units, (height, width))
        for box, number in zip(boxes, excluded.classes.tolist(), strict=True):
            numbers = range(self.num_classes) if number == ANY_CLASS else [number]
            self.ignored.append((sample_id, box.expand(len(numbers), 4), torch.tensor([*numbers])))

    def add_detections(self, sample_id: int, pair: Detections) -> None:
        moved = Detections(pair.boxes_xyxy_px.cpu(), pair.scores.cpu(), pair.classes.cpu())
        self.found.append((sample_id, moved))

    def joined(self) -> tuple[ScoredBoxes, GroundTruth, tuple[float, float, float]]:
        """Return the union over the ranks, in the order of the sample ids."""
        ranks = distributed.gather_objects((self.found, self.truth, self.ignored, self.loss_sums))
        found, truth, ignored = (
            sorted((item for rank in ranks for item in rank[column]), key=lambda item: item[0])
            for column in range(3)
        )
        sums = [each for rank in ranks for each in rank[3]] or [torch.zeros(1, 4)]
        box, cls, dfl = mean_items(torch.stack(sums).sum(0)).tolist()
        return as_columns(found), _truth_of(truth, ignored), (box, cls, dfl)


def _truth_of(
    truth: list[tuple[int, Tensor, Tensor]], ignored: list[tuple[int, Tensor, Tensor]]
) -> GroundTruth:
    """Return true boxes (id, boxes, classes) of many pairs, with the excluded ones behind them."""
    both = [*truth, *ignored]
    image_ids = _repeat([(sample_id, len(classes)) for sample_id, _, classes in both])
    num_true = sum(len(classes) for _, _, classes in truth)
    return GroundTruth(
        image_ids=image_ids,
        boxes_xyxy_px=_stack([boxes for _, boxes, _ in both], (0, 4)),
        classes=_stack([classes for _, _, classes in both], (0,)).astype(np.int64),
        is_ignored=np.arange(len(image_ids)) >= num_true if ignored else None,
    )


def as_columns(found: Sequence[tuple[int, Detections]]) -> ScoredBoxes:
    """Return detections of many pairs, with the sample id of each, as columns in their order."""
    return ScoredBoxes(
        image_ids=_repeat([(sample_id, len(pair)) for sample_id, pair in found]),
        boxes_xyxy_px=_stack([pair.boxes_xyxy_px.cpu() for _, pair in found], (0, 4)),
        scores=_stack([pair.scores.cpu() for _, pair in found], (0,)),
        classes=_stack([pair.classes.cpu() for _, pair in found], (0,)).astype(np.int64),
    )


def _repeat(counts: list[tuple[int, int]]) -> NDArray[np.int64]:
    ids = np.array([sample_id for sample_id, _ in counts], dtype=np.int64)
    return np.repeat(ids, np.array([count for _, count in counts], dtype=np.int64))


def _stack(tensors: list[Tensor], empty: tuple[int, ...]) -> NDArray[np.float64]:
    if not tensors:
        return np.zeros(empty)
    return torch.cat([tensor.double() for tensor in tensors]).numpy()
