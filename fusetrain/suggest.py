"""Settings to begin with for a data set, from what it holds: pairs, sizes, boxes and classes.

Rules and no search: each looks at one fact and says why. What they rest on was measured on folds of
a small set (`benchmarks/folds.py`); for more pairs the defaults stand but for their length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.config.yaml import dump_yaml
from fusetrain.data.decode import ImageError
from fusetrain.data.image import RAW_WINDOW, read_header
from fusetrain.data.index import DatasetIndex
from fusetrain.data.spec import DataSpec
from fusetrain.data.transforms import up_to_stride
from fusetrain.errors import DataError

# Fewer pairs than the first are soon known by heart; fewer than the second make few steps an epoch.
FEW_PAIRS, MANY_PAIRS = 500, 5000
# Steps that a detector gets for so many pairs; between them they grow by a power.
LENGTHS = ((200, 2200), (2000, 12_000), (20_000, 60_000))
LEAST_EPOCHS, MOST_EPOCHS = 30, 300
SMALLEST_CANVAS_PX, LARGEST_CANVAS_PX = 64, 640
# A box narrower than this covers no more than two cells of the finest usual level, of stride 8.
SMALL_BOX_PX = 16.0
RARE_CLASS = 20.0
MEASURED_SIZES = 64


@dataclass(frozen=True)
class SetFacts:
    """What a data set holds, as far as settings follow from it.

    Attributes:
        train_pairs: Pairs to train on.
        val_pairs: Pairs to validate on.
        long_side_px: Median of the long sides of the visible images.
        box_share: Median of the short sides of boxes, as a share of the long side of their image.
        imbalance: How many times as often as the rarest class the most frequent one is labelled.
        has_ir_boxes: The boxes that count were drawn on infrared.
    """

    train_pairs: int
    val_pairs: int
    long_side_px: int
    box_share: float
    imbalance: float
    has_ir_boxes: bool = False


@dataclass(frozen=True)
class Suggestion:
    """Settings that follow from one fact.

    Attributes:
        values: Dotted keys to values.
        reason: The fact and what follows from it, a sentence without a full stop.
    """

    values: Mapping[str, Any]
    reason: str


def facts_of(path: Path) -> SetFacts:
    """Read names, labels and some headers of a data set.

    Args:
        path: Data YAML or data-set folder.

    Raises:
        DataError: It cannot be used, has no such split, or nothing to train on.
    """
    data = build.open_data(Config(data=path.as_posix()), window=RAW_WINDOW)
    train = data.train
    sizes_hw = np.array(list(_sizes(train)))
    if not len(sizes_hw):
        raise DataError(
            "no visible image of the train split can be read",
            where=str(path),
            remedy="`fusetrain check-data DATA` lists all such files",
        )
    longer, shorter = np.median(sizes_hw.max(axis=1)), np.median(sizes_hw.min(axis=1))
    is_wide = np.median(sizes_hw[:, 1] - sizes_hw[:, 0]) >= 0
    size_wh = (longer, shorter) if is_wide else (shorter, longer)
    sides = train.boxes[:, 2:].astype(np.float64) * size_wh
    counts = np.bincount(train.box_classes)
    return SetFacts(
        train_pairs=len(train),
        val_pairs=len(data.val),
        long_side_px=round(float(longer)),
        box_share=float(np.median(sides.min(axis=1)) / longer),
        imbalance=float(counts.max() / counts[counts > 0].min()),
        has_ir_boxes=_has_ir_boxes(data.spec),
    )


def suggest(facts: SetFacts) -> list[Suggestion]:
    """Return settings for a data set; all others stay at their defaults."""
    canvas = _canvas(facts)
    return [canvas, _length(facts), *_few(facts), *_details(facts, canvas.values["train.imgsz"])]


def suggested_yaml(facts: SetFacts, suggestions: list[Suggestion], data: Path) -> str:
    """Return a config with its reasons in comments.

    Args:
        facts: Of the data set.
        suggestions: What follows from them.
        data: Where the data set lies; it is named by its absolute path.
    """
    head = [
        f"# To begin with {facts.train_pairs} training and {facts.val_pairs} validation pairs.",
        "# `fusetrain config show FILE` prints the settings that are not named here.",
        *(f"# - {suggestion.reason}." for suggestion in suggestions),
    ]
    nested: dict[str, Any] = {"data": data.absolute().as_posix()}
    for suggestion in suggestions:
        for key, value in suggestion.values.items():
            section, name = key.split(".")
            nested.setdefault(section, {})[name] = value
    return "\n".join(head) + "\n" + dump_yaml(nested)


def _canvas(facts: SetFacts) -> Suggestion:
    seen_px = facts.long_side_px
    side = min(max(up_to_stride(seen_px), SMALLEST_CANVAS_PX), LARGEST_CANVAS_PX)
    why = "a larger one shows no more" if seen_px <= side else "a larger one costs time"
    text = f"images have a long side of {seen_px} px: a canvas of {side} px, {why}"
    return Suggestion({"train.imgsz": side}, text)


def _length(facts: SetFacts) -> Suggestion:
    """Fewer pairs want smaller batches, so that an epoch has steps, and more epochs."""
    pairs = facts.train_pairs
    batch = 4 if pairs < FEW_PAIRS else 8 if pairs < MANY_PAIRS else 16
    numbers, lengths = np.log(LENGTHS).T
    steps = math.ceil(math.exp(np.interp(math.log(pairs), numbers, lengths)) - 1e-6)
    an_epoch = -(-pairs // batch)
    epochs = min(max(-(-steps // an_epoch), LEAST_EPOCHS), MOST_EPOCHS)
    return Suggestion(
        {"train.epochs": epochs, "train.batch": batch},
        f"{pairs} pairs: {epochs} epochs of {an_epoch} steps",
    )


def _few(facts: SetFacts) -> Iterator[Suggestion]:
    """What was chosen on folds of a set of 86 pairs."""
    if facts.train_pairs < FEW_PAIRS:
        yield Suggestion(
            {
                "model.size": "n",
                "optim.name": "muon",
                "optim.lr0": 2.0e-3,
                "optim.weight_decay": 0.05,
                "loss.cls": 1.0,
            },
            "few pairs make few steps: an optimizer that makes more of each, more decay, and more "
            "weight on telling objects from background",
        )
        yield Suggestion(
            {"augment.mixup": 0.5, "augment.copy_paste": 0.5, "augment.close_mosaic": 0},
            "few pairs are soon known by heart: they are mixed, up to the last epoch",
        )


def _details(facts: SetFacts, canvas_px: int) -> Iterator[Suggestion]:
    box_px = facts.box_share * canvas_px
    if box_px < SMALL_BOX_PX:
        yield Suggestion(
            {"model.finest": "p2"},
            f"half of the boxes are narrower than {box_px:.0f} px on that canvas: a level at "
            "stride 4 sees them",
        )
    if facts.imbalance > RARE_CLASS:
        yield Suggestion(
            {"train.balance": 0.5},
            f"one class has {facts.imbalance:.0f} times the boxes of another: rare ones are shown "
            "more often",
        )
    if facts.has_ir_boxes:
        yield Suggestion(
            {"augment.drop_rgb": 0.3},
            "boxes were drawn on infrared: it has to do without the visible image at times",
        )


def _has_ir_boxes(spec: DataSpec) -> bool:
    if any(source.ir_labels is not None for source in spec.sources("train")):
        return spec.label_source == "ir"
    return all(source.label_set.drawn_on == "ir" for source in spec.sources("train"))


def _sizes(index: DatasetIndex) -> Iterator[tuple[int, int]]:
    """Yield height and width of some visible images, evenly spaced; of those that can be read."""
    for row in range(0, len(index), max(1, len(index) // MEASURED_SIZES)):
        try:
            yield read_header(index.rgb_path(row), storage=index.storage).size_hw
        except ImageError:
            continue
