"""The values that pass between data, detector and loss: shapes, units and layouts.

Shape legend: B pairs in a batch, H x W pixels of the canvas the network sees, M boxes and K
excluded regions a pair at most in this batch, A anchor points over all levels, C classes, R
distance bins a side.
A canvas pixel (x, y) belongs to the original pixel ((x - tx) / sx, (y - ty) / sy).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NO_BOXES: NDArray[np.float32] = np.zeros((0, 4), np.float32)
NO_CLASSES: NDArray[np.int64] = np.zeros(0, np.int64)
# Of a batch, by the detector and its loss; all else is bookkeeping.
LOOKED_AT = (
    "pixels",
    "boxes_xyxy_px",
    "classes",
    "is_box",
    "excluded_xyxy_px",
    "excluded_classes",
)


@dataclass(frozen=True)
class PairedSample:
    """One aligned pair on its canvas, with the boxes that hold for both modalities.

    Attributes:
        pixels: (H, W, 4) uint8; channels R, G, B, IR.
        boxes_xyxy_px: (N, 4) float32 on the canvas.
        classes: (N,) int64, 0-based.
        sample_id: Row of the pair in its index.
        canvas_from_original: (4,) float64 ``sx, sy, tx, ty``; identity for composed samples.
        original_size_hw: Height and width of the RGB image on disk, after EXIF rotation.
        excluded_xyxy_px: (K, 4) float32 on the canvas: regions whose objects have no boxes.
        excluded_classes: (K,) int64 of these objects, 0-based; -1 where they may be of any class.
    """

    pixels: NDArray[np.uint8]
    boxes_xyxy_px: NDArray[np.float32]
    classes: NDArray[np.int64]
    sample_id: int
    canvas_from_original: NDArray[np.float64]
    original_size_hw: tuple[int, int]
    excluded_xyxy_px: NDArray[np.float32] = field(default_factory=NO_BOXES.copy)
    excluded_classes: NDArray[np.int64] = field(default_factory=NO_CLASSES.copy)


@dataclass(frozen=True)
class Batch:
    """Samples of one canvas size; boxes padded to the longest list.

    Attributes:
        pixels: (B, H, W, 4) uint8; channels R, G, B, IR.
        boxes_xyxy_px: (B, M, 4) float32, zeros where padded.
        classes: (B, M) int64, 0 where padded.
        is_box: (B, M) bool, False where padded.
        sample_ids: (B,) int64.
        canvas_from_original: (B, 4) float64 ``sx, sy, tx, ty``.
        original_sizes_hw: (B, 2) int64.
        excluded_xyxy_px: (B, K, 4) float32, empty boxes where padded.
        excluded_classes: (B, K) int64, -1 for any class.
    """

    pixels: Tensor
    boxes_xyxy_px: Tensor
    classes: Tensor
    is_box: Tensor
    sample_ids: Tensor
    canvas_from_original: Tensor
    original_sizes_hw: Tensor
    excluded_xyxy_px: Tensor = field(default_factory=lambda: torch.zeros(0, 0, 4))
    excluded_classes: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.int64))

    @property
    def rgb(self) -> Tensor:
        """Return (B, 3, H, W) uint8, a channels-last view."""
        return self.pixels[..., :3].permute(0, 3, 1, 2)

    @property
    def ir(self) -> Tensor:
        """Return (B, 1, H, W) uint8, a channels-last view."""
        return self.pixels[..., 3:].permute(0, 3, 1, 2)

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def part(self, start: int, stop: int) -> Batch:
        """Return the pairs from ``start`` up to ``stop``, as views."""
        return Batch(*(getattr(self, part.name)[start:stop] for part in fields(self)))

    def blank(self) -> Batch:
        """Return one black pair without boxes, for a rank that a short batch leaves without any."""
        height, width = self.pixels.shape[1:3]
        return Batch(
            pixels=self.pixels.new_zeros(1, height, width, 4),
            boxes_xyxy_px=self.boxes_xyxy_px.new_zeros(1, 0, 4),
            classes=self.classes.new_zeros(1, 0),
            is_box=self.is_box.new_zeros(1, 0),
            sample_ids=self.sample_ids.new_zeros(1),
            canvas_from_original=self.canvas_from_original.new_ones(1, 4),
            original_sizes_hw=self.original_sizes_hw.new_ones(1, 2),
            excluded_xyxy_px=self.excluded_xyxy_px.new_zeros(1, 0, 4),
            excluded_classes=self.excluded_classes.new_zeros(1, 0),
        )

    def to(self, device: torch.device) -> Batch:
        """Return the batch with images and boxes on ``device``; bookkeeping stays on the CPU."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Return the batch with its images and boxes in page-locked memory (for the loader)."""
        return self._changed(torch.Tensor.pin_memory)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with what the detector and its loss look at changed."""
        return replace(self, **{name: change(getattr(self, name)) for name in LOOKED_AT})


@dataclass(frozen=True)
class RawPredictions:
    """What the head says for every anchor point, before any decision.

    Attributes:
        class_logits: (B, A, C).
        distance_logits: (B, A, 4, R); sides left, top, right, bottom; bins are in strides.
        anchors_xy_px: (A, 2) float32 cell centres on the canvas.
        strides_px: (A,) float32.
        one_to_one: What the branch that needs no suppression says; None without such a branch.
    """

    class_logits: Tensor
    distance_logits: Tensor
    anchors_xy_px: Tensor
    strides_px: Tensor
    one_to_one: RawPredictions | None = None


@dataclass(frozen=True)
class DecodedPredictions:
    """Boxes and scores of every anchor point, before suppression: what a raw ONNX file says.

    Attributes:
        boxes_xyxy_px: (B, A, 4) on the canvas.
        scores: (B, A, C) in [0, 1].
    """

    boxes_xyxy_px: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Detections:
    """The detections of one pair, best score first.

    Attributes:
        boxes_xyxy_px: (N, 4) float32, in pixels of the original RGB image unless said otherwise.
        scores: (N,) float32 in [0, 1].
        classes: (N,) int64, 0-based.
    """

    boxes_xyxy_px: Tensor
    scores: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return self.scores.shape[0]
