"""Pictures of what a validation found: curves, confusions, batches with boxes, the worst pairs.

Numbers and batches are brought together here, and drawn in `results/`. When these pictures are made
is decided in `artifacts.py`.
Shape legend: C classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain import build
from fusetrain.data.index import DatasetIndex
from fusetrain.data.loader import val_batches
from fusetrain.engine.infer import Validation
from fusetrain.results.album import Album
from fusetrain.results.confidence_plot import save_confidence_figure
from fusetrain.results.confusion import confusion_matrix
from fusetrain.results.confusion_plot import save_confusion_figure
from fusetrain.results.metrics import ScoredBoxes
from fusetrain.results.pictures import DrawnBox
from fusetrain.results.plots import save_pr_figure
from fusetrain.results.sheets import SheetPair, keyed_sheet, pair_sheet, short_names
from fusetrain.results.worst_pairs import WorstPair, worst_pairs
from fusetrain.runs.batches import VAL_BATCH_FACTOR, BatchSource
from fusetrain.sample import Batch

NUM_BATCHES = 3
VAL_PAIRS = 12
WORST_PAIRS = 12
VAL_SHEETS = tuple(
    f"val_batch{number}_{kind}.jpg" for number in range(NUM_BATCHES) for kind in ("labels", "pred")
)
CURVES = ("PR_curve.png", "confidence_curves.png", "confusion_matrix.png")
WORST_SHEET, WORST_TABLE = "worst_pairs.jpg", "worst_pairs.json"
VAL_PICTURES = (*CURVES, VAL_SHEETS[0], WORST_TABLE)
# Where no detection is right, no confidence is the best; then that of `predict` is used.
FALLBACK_CONFIDENCE = 0.25
MAX_DRAWN_DETECTIONS = 60
MAX_DRAWN_ERRORS = 15  # of each kind on one pair; more would hide what is below them
JPEG_QUALITY = 88
# Numbers of colours: orange, blue, yellow, green. Lines and labels tell them apart without colour.
MISSED, FALSE_ALARM, WRONG_CLASS, FOUND = 0, 1, 3, 2
ERROR_KEY = (
    ("missed (dashed)", MISSED),
    ("false alarm", FALSE_ALARM),
    ("wrong class", WRONG_CLASS),
    ("found", FOUND),
)


def write_validation(album: Album, source: BatchSource, validation: Validation) -> None:
    """Write the curves, the confusion matrix, the first batches and the worst pairs."""
    metrics, names = validation.metrics, source.val_data.index.class_names
    confidence = metrics.best_confidence if metrics.map50 else FALLBACK_CONFIDENCE
    pr_curve, confidence_curves, confusions = CURVES
    with album.pages(pr_curve) as (path,):
        save_pr_figure(path, metrics.curves, class_names=names, ap50=metrics.per_class.ap50)
    with album.pages(confidence_curves) as (path,):
        save_confidence_figure(path, metrics, class_names=names)
    with album.pages(confusions) as (path,):
        matrix = confusion_matrix(
            validation.truth, validation.found, num_classes=len(names), confidence=confidence
        )
        save_confusion_figure(path, matrix, class_names=names, confidence=confidence)
    with album.pages(*VAL_SHEETS) as paths:
        _save_batches(paths, source, validation.found, confidence=confidence)
    with album.pages(WORST_SHEET, WORST_TABLE) as (sheet, table):
        album.discard(WORST_SHEET)  # that of an earlier judgement shows other pairs
        _save_worst(sheet, table, source, validation, confidence=confidence)


def true_pairs(batch: Batch, class_names: Sequence[str]) -> list[SheetPair]:
    """Return the pairs of a batch with their true boxes."""
    pairs = []
    for row in range(len(batch)):
        is_box = batch.is_box[row]
        boxes = _drawn(
            batch.boxes_xyxy_px[row, is_box].tolist(),
            batch.classes[row, is_box].tolist(),
            class_names=class_names,
        )
        pairs.append(SheetPair(batch.pixels[row].numpy(), boxes))
    return pairs


def save_sheet(
    path: Path, pairs: Sequence[SheetPair], *, title: str, class_names: Sequence[str]
) -> None:
    """Write pairs as a JPEG sheet."""
    sheet = pair_sheet(pairs, title=title, class_names=class_names)
    # Without 4:4:4 the thin coloured lines fade into the grey of the IR images.
    sheet.save(path, format="JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")


def _save_batches(
    paths: Sequence[Path], source: BatchSource, found: ScoredBoxes, *, confidence: float
) -> None:
    """Write the first validation batches, each once with labels and once with detections."""
    names = source.val_data.index.class_names
    size = min(VAL_PAIRS, VAL_BATCH_FACTOR * build.batch_size(source.config))
    for number, batch in enumerate(islice(val_batches(source.val_data, batch=size), NUM_BATCHES)):
        title = f"Validation batch {number + 1}, {len(batch)} pairs"
        true, said = paths[2 * number : 2 * number + 2]
        save_sheet(true, true_pairs(batch, names), title=f"{title}: labels", class_names=names)
        pairs = _found_pairs(batch, found, names, confidence=confidence)
        title = f"{title}: detections with a score of {confidence:.3g} or more"
        save_sheet(said, pairs, title=title, class_names=names)


def _save_worst(
    sheet: Path, table: Path, source: BatchSource, validation: Validation, *, confidence: float
) -> None:
    """Write the pairs with the worst errors, and where on the sheet each of them is."""
    index = source.val_data.index
    worst = worst_pairs(validation.truth, validation.found, confidence=confidence, most=WORST_PAIRS)
    rows = [_worst_row(pair, index) for pair in worst]
    if worst:
        made = keyed_sheet(
            [_worst_pair(pair, source, validation) for pair in worst],
            title=f"The {len(worst)} worst validation pairs, "
            f"detections with a score of {confidence:.3g} or more",
            key=ERROR_KEY,
        )
        made.picture.save(sheet, format="JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")
        rows = [row | {"place": place} for row, place in zip(rows, made.places, strict=True)]
    told = {"schema": 1, "split": index.split, "confidence": confidence, "pairs": rows}
    table.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _worst_row(pair: WorstPair, index: DatasetIndex) -> dict[str, Any]:
    return {
        "rgb": index.rgb_paths[pair.image_id],
        "ir": index.ir_paths[pair.image_id],
        "missed": len(pair.missed),
        "false_alarms": len(pair.false_alarms),
        "wrong_class": len(pair.wrong_class),
        "found": len(pair.right),
    }


def _worst_pair(pair: WorstPair, source: BatchSource, validation: Validation) -> SheetPair:
    """Return a pair with its errors; what is right is drawn below them, without a label."""
    sample = source.val_data[pair.image_id]
    truth, found, names = validation.truth, validation.found, source.val_data.index.class_names

    def drawn(
        boxes: NDArray[Any], labels: Sequence[str], colour: int, *, is_dashed: bool = False
    ) -> Iterator[DrawnBox]:
        moved = _on_canvas(boxes, sample.canvas_from_original)
        for (left, top, right, bottom), label in zip(moved.tolist(), labels, strict=True):
            yield DrawnBox((left, top, right, bottom), colour, label, is_dashed)

    def said(rows: NDArray[Any], word: str) -> list[str]:
        return [f"{word} {names[found.classes[row]]} {found.scores[row]:.2f}" for row in rows]

    missed, false, wrong, right = (
        rows[:MAX_DRAWN_ERRORS]
        for rows in (pair.missed, pair.false_alarms, pair.wrong_class, pair.right)
    )
    unseen = [f"missed {names[truth.classes[row]]}" for row in missed]
    boxes = [
        *drawn(truth.boxes_xyxy_px[missed], unseen, MISSED, is_dashed=True),
        *drawn(found.boxes_xyxy_px[wrong], said(wrong, "wrong"), WRONG_CLASS),
        *drawn(found.boxes_xyxy_px[false], said(false, "false"), FALSE_ALARM),
        *drawn(found.boxes_xyxy_px[right], [""] * len(right), FOUND),
    ]
    name = source.val_data.index.rgb_paths[pair.image_id]
    counts = (
        f"{len(rows)} {word}{_drawn_share(len(rows))}"
        for rows, word in (
            (pair.missed, "missed"),
            (pair.false_alarms, "false"),
            (pair.wrong_class, "wrong class"),
            (pair.right, "found"),
        )
        if len(rows)
    )
    return SheetPair(sample.pixels, boxes, f"{name}: {', '.join(counts)}")


def _drawn_share(count: int) -> str:
    return f" ({MAX_DRAWN_ERRORS} drawn)" if count > MAX_DRAWN_ERRORS else ""


def _found_pairs(
    batch: Batch, found: ScoredBoxes, class_names: Sequence[str], *, confidence: float
) -> list[SheetPair]:
    """Return the pairs of a batch with their best detections, moved from originals to canvas."""
    rows = np.flatnonzero(found.scores >= confidence)
    rows = rows[np.argsort(-found.scores[rows], kind="stable")]
    pairs = []
    for row, sample_id in enumerate(batch.sample_ids.tolist()):
        members = rows[found.image_ids[rows] == sample_id][:MAX_DRAWN_DETECTIONS]
        moved = _on_canvas(found.boxes_xyxy_px[members], batch.canvas_from_original[row].numpy())
        boxes = _drawn(
            moved.tolist(),
            found.classes[members].tolist(),
            scores=found.scores[members].tolist(),
            class_names=class_names,
        )
        pairs.append(SheetPair(batch.pixels[row].numpy(), boxes))
    return pairs


def _on_canvas(boxes_xyxy_px: NDArray[Any], canvas_from_original: NDArray[Any]) -> NDArray[Any]:
    """Return boxes in pixels of the original as boxes in pixels of the canvas."""
    scale_x, scale_y, left, top = canvas_from_original.tolist()
    scale, shift = np.array((scale_x, scale_y) * 2), np.array((left, top) * 2)
    moved: NDArray[Any] = boxes_xyxy_px * scale + shift
    return moved


def _drawn(
    boxes_xyxy_px: Sequence[Sequence[float]],
    classes: Sequence[int],
    *,
    class_names: Sequence[str],
    scores: Sequence[float] | None = None,
) -> list[DrawnBox]:
    """Return boxes with what tells their classes, and with their scores, if any."""
    short = short_names(class_names)
    names = [short[number] for number in classes]
    if scores is not None:
        names = [f"{name} {score:.2f}".strip() for name, score in zip(names, scores, strict=True)]
    return [
        DrawnBox((box[0], box[1], box[2], box[3]), number, name)
        for box, number, name in zip(boxes_xyxy_px, classes, names, strict=True)
    ]
