"""Judge trained weights on a split: as it is, with a camera missing or moved, part by part.

Two detectors may be judged together, joined by probability. The numbers are made in `results/`,
printing is left to the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fusetrain.checks.darkness import dark_pairs
from fusetrain.config.load import load_config
from fusetrain.data.index import DatasetIndex, SplitScan, scan_split
from fusetrain.data.letterboxed import ValDataset
from fusetrain.data.loader import val_batches
from fusetrain.data.spec import load_spec
from fusetrain.engine.infer import Validation, validate
from fusetrain.engine.misalign import DIRECTIONS, misaligned
from fusetrain.engine.stages import Inputs
from fusetrain.engine.weights import TrainedWith, WeightsInfo, weights_file
from fusetrain.errors import DataError, RunError
from fusetrain.inference.loading import (
    BATCH,
    FLOOR,
    OVERLAP,
    Loaded,
    Progress,
    counted,
    load_weights,
    load_with,
)
from fusetrain.inference.questions import Blank, Part, Questions
from fusetrain.inference.shortfalls import shortfalls
from fusetrain.loss.detection import DetectionLoss
from fusetrain.results.confusion import confusion_matrix
from fusetrain.results.late_fusion import join_detections
from fusetrain.results.metrics import evaluate
from fusetrain.results.miss_rate import ANY_HEIGHT_PX, MissRates, miss_rates
from fusetrain.results.overlaps import Ints
from fusetrain.results.score_rows import (
    Judged,
    ScoreRow,
    class_rows,
    mean_row,
    part_rows,
    score,
    size_rows,
)

SHOWN_WITHOUT: dict[Blank, Inputs] = {"rgb": "ir", "ir": "rgb"}
NO_LOSSES = (float("nan"),) * 3
AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Judgement:
    """What judging found.

    Attributes:
        result: On the pairs as they are.
        info: Of the weights.
        index: The pairs.
        conditions: Rows with a modality blank or moved, the pairs as they are first; empty where
            nothing of the kind was asked.
        parts: (part, row) over parts of the pairs.
        notes: What of the split was not judged, and infrared that the weights can hardly see.
    """

    result: Validation
    info: WeightsInfo
    index: DatasetIndex
    conditions: tuple[ScoreRow, ...] = ()
    parts: tuple[tuple[Part, ScoreRow], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def judged(self) -> Judged:
        """Return truth and detections on the pairs as they are."""
        return Judged(self.result.truth, self.result.found, len(self.index), self.info.class_names)

    def miss_rates(self, *, height_range_px: tuple[float, float] = ANY_HEIGHT_PX) -> MissRates:
        """Return the miss rates, of all boxes or of those of some heights."""
        return miss_rates(
            self.result.truth,
            self.result.found,
            num_classes=len(self.info.class_names),
            num_images=len(self.index),
            height_range_px=height_range_px,
        )

    def confusion(self) -> Ints:
        """Return (C + 1, C + 1) counts at the confidence of best F1, background last."""
        return confusion_matrix(
            self.result.truth,
            self.result.found,
            num_classes=len(self.info.class_names),
            confidence=self.result.metrics.best_confidence,
        )


def validate_weights(
    path: Path,
    *,
    data: Path | None,
    split: str,
    questions: Questions | None = None,
    partner: Path | None = None,
    overlap: float | None = OVERLAP,
    progress: Progress = lambda done, total: None,
) -> Judgement:
    """Judge weights on a split.

    Args:
        path: Run folder or weights file.
        data: Data YAML or folder; None takes that of the run.
        split: Name of the split.
        questions: What else is asked.
        partner: Weights of a second detector of the same classes, whose detections are joined with
            those of the first; there are no losses then.
        overlap: IoU above which the lower score of a class is dropped; None drops none and asks
            the head that needs no suppression.
        progress: Called with the number of pairs done and of all pairs, over all passes.

    Raises:
        RunError: The weights cannot be used, or no data set is known.
        DataError: The data set or split is missing, or of other classes.
    """
    asked = questions or Questions()
    loaded = load_with(load_weights(path, overlap=overlap), partner, overlap=overlap)
    info = loaded[0].info
    scan = _scanned(path, data, split, info)
    index = scan.index
    total = len(index) * num_passes(asked) * len(loaded)
    bench = _Bench(loaded, index, progress, total=total, overlap=overlap)
    result = bench.judge()
    judgement = Judgement(result, info, index)
    return replace(
        judgement,
        conditions=tuple(_conditions(bench, judgement.judged, asked)),
        parts=tuple(_parts(judgement.judged, index, asked.by)),
        notes=shortfalls(scan, info.window if info.detector.kind != "rgb" else None),
    )


def num_passes(asked: Questions) -> int:
    """Return how often every pair is looked at."""
    shifts = len(DIRECTIONS) if asked.shift_px is not None else 0
    return 1 + (asked.blank is not None) + shifts


def _scanned(path: Path, data: Path | None, split: str, info: WeightsInfo) -> SplitScan:
    """Return a split, which has pairs and the classes of the weights.

    Raises:
        RunError: No data set is known.
        DataError: There is none, or it has other classes.
    """
    spec = load_spec(data or _data_of_run(path))
    scan = scan_split(spec, split)
    index = scan.index
    if not len(index):
        raise DataError(f"the {split} split has no pair", where=str(spec.path))
    if index.class_names != info.class_names:
        raise DataError(
            f"the data set has the classes {', '.join(index.class_names)}",
            where=str(spec.path),
            expected=f"those of the weights: {', '.join(info.class_names)}",
        )
    return scan


def _data_of_run(path: Path) -> Path:
    """Return the data set that the run of a weights file was trained with."""
    folder = weights_file(path).parent
    config = folder.parent / "config.yaml"
    if folder.name == "weights" and config.is_file():
        data = load_config(config).data_path
        if data is not None:
            return data
    raise RunError(f"{path} does not say which data set to use", remedy="--data DATA")


class _Bench:
    """Judges the same detectors on the same pairs, under one condition after the other."""

    def __init__(
        self,
        loaded: Sequence[Loaded],
        index: DatasetIndex,
        progress: Progress,
        *,
        total: int,
        overlap: float | None,
    ) -> None:
        self.loaded = loaded
        self.index = index
        self.progress = progress
        self.total = total
        self.overlap = overlap
        self.done = 0

    def judge(
        self, *, inputs: Inputs = "both", shift_xy_px: tuple[float, float] = (0.0, 0.0)
    ) -> Validation:
        """Return what the detectors, together, make of the pairs."""
        each = [self._one(one, inputs, shift_xy_px) for one in self.loaded]
        if len(each) == 1:
            return each[0]
        truth, found = each[0].truth, join_detections([one.found for one in each])
        metrics = evaluate(truth, found, num_classes=len(self.index.class_names))
        return Validation(metrics, NO_LOSSES, found, truth)

    def _one(self, one: Loaded, inputs: Inputs, shift_xy_px: tuple[float, float]) -> Validation:
        dataset = ValDataset(self.index, imgsz=one.info.imgsz, window=one.info.window)
        batches = misaligned(val_batches(dataset, batch=BATCH), shift_xy_px)
        before = self.done

        def told(done: int, _: int) -> None:
            self.done = before + done
            self.progress(self.done, self.total)

        return validate(
            one.detector,
            counted(batches, len(self.index), told),
            one.machine,
            loss=loss_of(one.info.training),
            num_classes=len(self.index.class_names),
            confidence=FLOOR,
            overlap=self.overlap,
            inputs=inputs,
            regions=self.index.regions,
        )


def loss_of(training: TrainedWith | None) -> DetectionLoss:
    """Return the loss that weights were trained with, as far as they tell."""
    known = training or TrainedWith()
    return DetectionLoss(
        box_gain=known.box,
        class_gain=known.cls,
        dfl_gain=known.dfl,
        label_smoothing=known.label_smoothing,
    )


def _conditions(bench: _Bench, judged: Judged, asked: Questions) -> Iterator[ScoreRow]:
    """Yield the rows with a modality blank or moved, the pairs as they are first."""
    if num_passes(asked) > 1:
        yield score(judged, AS_IT_IS)
    if asked.blank is not None:
        result = bench.judge(inputs=SHOWN_WITHOUT[asked.blank])
        yield score(replace(judged, found=result.found), f"{asked.blank} blank")
    if asked.shift_px is not None:
        rows = []
        for direction, (right, down) in DIRECTIONS:
            shift = (asked.shift_px * right, asked.shift_px * down)
            result = bench.judge(shift_xy_px=shift)
            name = f"ir {asked.shift_px:g} px {direction}"
            rows.append(score(replace(judged, found=result.found), name))
        yield from rows
        yield mean_row(rows, f"ir {asked.shift_px:g} px, mean of {len(rows)}")


def _parts(
    judged: Judged, index: DatasetIndex, by: Sequence[Part]
) -> Iterator[tuple[Part, ScoreRow]]:
    """Yield the rows of the parts that were asked for."""
    is_dark = dark_pairs(index) if {"day", "night"} & set(by) else np.zeros(0, np.bool_)
    rows: dict[Part, Callable[[], list[ScoreRow]]] = {
        "day": lambda: part_rows(judged, [("day", ~is_dark)]),
        "night": lambda: part_rows(judged, [("night", is_dark)]),
        "size": lambda: size_rows(judged),
        "class": lambda: class_rows(judged),
    }
    for part in by:
        yield from ((part, row) for row in rows[part]())
