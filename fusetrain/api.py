"""The detector as a Python object: images in, boxes out.

    from fusetrain import Detector
    found = Detector.load("runs/fuse/exp")("street.jpg", "street_ir.png")
    for box, score, name in found: ...

Images pass through the same steps as those of `predict`. `val` and `predict` here are the commands
of these names as functions; they print nothing.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.letterboxed import unlabelled
from fusetrain.data.loader import collate
from fusetrain.engine.infer import as_columns, detect
from fusetrain.engine.stages import Inputs
from fusetrain.errors import UsageError
from fusetrain.inference.given_images import Picture, given_images
from fusetrain.inference.judging import Judgement, validate_weights
from fusetrain.inference.loading import CONFIDENCE, OVERLAP, Loaded, load_weights
from fusetrain.inference.predicting import Predicted, Wanted, check_inputs
from fusetrain.inference.predicting import predict as predict_files
from fusetrain.inference.questions import questions_of

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Found:
    """What a detector found on one pair, best score first.

    Attributes:
        boxes: (N, 4) float64 left, top, right, bottom in pixels of the visible image (of the
            infrared one where there is no other).
        scores: (N,) float64 in [0, 1].
        labels: (N,) int64, numbers of the classes.
        names: (N) names of the classes.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[tuple[tuple[float, ...], float, str]]:
        """Yield box, score and name of each detection."""
        for box, score, name in zip(
            self.boxes.tolist(), self.scores.tolist(), self.names, strict=True
        ):
            yield tuple(box), score, name


class Detector:
    """A trained detector.

    Args:
        loaded: What `inference.load_weights` returned; users call `Detector.load`.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    @classmethod
    def load(cls, path: PathLike) -> Detector:
        """Return the detector of a run folder, weights or an exported file, on the GPU if any.

        Raises:
            RunError: The weights cannot be used.
        """
        return cls(load_weights(Path(path), confidence=CONFIDENCE))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the classes by number."""
        return self._loaded.info.class_names

    @property
    def kind(self) -> str:
        """Return the fusion kind, such as ``mid``."""
        return self._loaded.info.detector.kind

    @property
    def imgsz(self) -> int:
        """Return the long side in px that images are resized to."""
        return self._loaded.info.imgsz

    def __call__(
        self,
        rgb: Picture | None = None,
        ir: Picture | None = None,
        *,
        confidence: float = CONFIDENCE,
        overlap: float = OVERLAP,
    ) -> Found:
        """Detect objects on one pair, or on one image alone.

        Args:
            rgb: Path, Pillow image, (H, W, 3) or (H, W) array, or (3, H, W) tensor; uint8, or
                floats in [0, 1]. None where there is infrared alone. The same path as ``ir`` where
                its file holds both.
            ir: Path, Pillow image, (h, w) or (h, w, 1) array, or (1, h, w) or (h, w) tensor: uint8
                levels, or raw counts of any other type, which pass through the thermal window of
                the weights. None where there is the visible image alone.
            confidence: Lowest score that counts, in [0, 1].
            overlap: IoU above which the lower score of a class is dropped, in [0, 1].

        Warns:
            UserWarning: One image is missing that the detector was not trained to do without.

        Raises:
            DataError: An image cannot be read, or has another shape or type.
            UsageError: No image, or only one that the detector does not look at; or a threshold
                outside of its range.
        """
        for name, value in (("confidence", confidence), ("overlap", overlap)):
            if not 0 <= value <= 1:
                raise UsageError(f"{name} is {value}", expected="a number in [0, 1]")
        if rgb is None and ir is None:
            raise UsageError("no image is given", expected="rgb, ir or both")
        inputs: Inputs = "rgb" if ir is None else "ir" if rgb is None else "both"
        check_inputs([self._loaded], inputs, lambda text: warnings.warn(text, stacklevel=4))
        given = given_images(rgb, ir, self._loaded.info)
        sample = unlabelled(
            given.rgb, given.ir, imgsz=self.imgsz, sample_id=0, original_hw=given.original_hw
        )
        found = detect(
            self._loaded.detector,
            [collate([sample])],
            self._loaded.machine,
            confidence=confidence,
            overlap=overlap,
            inputs=inputs,
        )
        columns = as_columns(list(found))
        return Found(
            columns.boxes_xyxy_px.astype(np.float64) + given.border_px,
            columns.scores.astype(np.float64),
            columns.classes.astype(np.int64),
            tuple(self.names[number] for number in columns.classes.tolist()),
        )


def val(
    weights: PathLike,
    *,
    data: PathLike | None = None,
    split: str = "val",
    blank: str | None = None,
    shift: float | None = None,
    by: Sequence[str] = (),
    partner: PathLike | None = None,
) -> Judgement:
    """Measure a trained detector, as the command `val` does; see docs/val.md.

    Args:
        weights: Run folder or weights file.
        data: Data YAML or folder; None takes that of the run.
        split: Split to measure on.
        blank: rgb or ir: also with this modality grey.
        shift: Also with infrared moved so far, in px of the visible image.
        by: Also over parts of the pairs: some of day, night, size, class.
        partner: Weights of a second detector to join with.

    Raises:
        FusetrainError: Whatever a user can mend.
    """
    return validate_weights(
        Path(weights),
        data=None if data is None else Path(data),
        split=split,
        questions=questions_of(blank, shift, ",".join(by)),
        partner=None if partner is None else Path(partner),
    )


def predict(
    weights: PathLike,
    *,
    rgb: PathLike | None = None,
    ir: PathLike | None = None,
    out: PathLike = "predictions",
    wanted: Wanted | None = None,
    partner: PathLike | None = None,
) -> Predicted:
    """Detect on images, folders or films and write results, as `predict` does; see docs/predict.md.

    Args:
        weights: Run folder or weights file.
        rgb: Visible image, folder or film.
        ir: Infrared image, folder or film.
        out: Folder to write to.
        wanted: How to detect, and what to write.
        partner: Weights of a second detector to join with.

    Raises:
        FusetrainError: Whatever a user can mend.
    """
    return predict_files(
        Path(weights),
        rgb=None if rgb is None else Path(rgb),
        ir=None if ir is None else Path(ir),
        out=Path(out),
        wanted=wanted,
        partner=None if partner is None else Path(partner),
    )
