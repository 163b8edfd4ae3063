"""The labels of a whole split: which file belongs to which pair, and whose boxes are the truth.

A data set has one label set for both modalities, or one for each. `label_source` says which boxes
count: those of rgb, of ir, of either (union), or only those that both show (both).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.label_rows import LabelReader, LabelRow, Reader
from fusetrain.data.labels import NO_LABELS, LabelProblem, Labels, Regions
from fusetrain.data.listing import LabelListing, UnreadLabel, expected_label, pair_source
from fusetrain.data.pairing import Pairing, pair_key
from fusetrain.data.sources import NO_LABEL_SET, LabelSet, LabelSource, Source
from fusetrain.data.spec import DataSpec
from fusetrain.data.unread_labels import unread_labels

SAME_OBJECT_IOU = 0.5


@dataclass(frozen=True)
class SourceListing:
    """The pairs of one source and where their labels are.

    Attributes:
        source: The source.
        pairing: Its pairs and orphans.
        keys: Key of each pair, unique in the split.
        rgb_rows: Label file of each pair, in the set of the visible images or of both.
        ir_rows: Label file of each pair in the infrared set; empty where there is one set.
        expected: Where each label file of the visible images is or should be.
        ir_expected: The same for the infrared set.
        unread: Files in its label folders that nothing is read from.
    """

    source: Source
    pairing: Pairing
    keys: tuple[str, ...]
    rgb_rows: tuple[LabelRow, ...]
    ir_rows: tuple[LabelRow, ...]
    expected: tuple[str, ...]
    ir_expected: tuple[str, ...]
    unread: tuple[UnreadLabel, ...] = ()


@dataclass(frozen=True)
class SplitLabels:
    """One label set of a split.

    Attributes:
        labels: Labels of each pair; None where it has no label file.
        paths: Label file of each pair, or its place.
        problems: What was wrong with lines and files.
    """

    labels: tuple[Labels | None, ...]
    paths: tuple[str, ...]
    problems: tuple[LabelProblem, ...]


def list_split(spec: DataSpec, split: str) -> tuple[SourceListing, ...]:
    """Return the pairs of every source of a split, from names alone.

    Raises:
        DataError: The data set has no such split.
    """
    sources = spec.sources(split)
    files = LabelListing(spec.root)
    listings = []
    for number, source in enumerate(sources):
        # Keys are unique in one folder; of several folders each gets its number in front.
        prefix = f"{number:0{len(str(len(sources)))}d}/" if len(sources) > 1 else ""
        listings.append(_list_source(spec, source, files=files, prefix=prefix))
    return tuple(listings)


def gather_labels(
    spec: DataSpec,
    listing: Sequence[SourceListing],
    *,
    modality: Literal["rgb", "ir"],
    read: Reader,
) -> SplitLabels:
    """Read one label set of a split.

    Args:
        spec: The data set.
        listing: What `list_split` found.
        modality: Whose label set; with one set for both it is that of rgb.
        read: Reads the rows of a label set, in order.

    Raises:
        DataError: A COCO file cannot be used at all.
    """
    labels: list[Labels | None] = []
    paths: list[str] = []
    problems: list[LabelProblem] = []
    for label_set, parts in groupby(listing, lambda part: _label_set(part.source, modality)):
        rows: list[LabelRow] = []
        for part in parts:
            problems += _lost_entries(spec, part, label_set)
            rows += part.rgb_rows if modality == "rgb" else part.ir_rows
            paths += part.expected if modality == "rgb" else part.ir_expected
        reader = LabelReader(os.fspath(spec.root), label_set, spec.class_names, spec.storage)
        found, general = _read(reader, rows, read)
        labels += found
        problems += general
    problems += [problem for entry in labels if entry is not None for problem in entry.problems]
    return SplitLabels(tuple(labels), tuple(paths), tuple(problems))


def choose(rgb: SplitLabels, ir: SplitLabels | None, *, label_source: LabelSource) -> SplitLabels:
    """Return the labels that count; with one label set that one."""
    if ir is None or label_source == "rgb":
        return rgb
    if label_source == "ir":
        return ir
    merge = union_of if label_source == "union" else shared_by
    merged = tuple(
        None if one is None and other is None else merge(one or NO_LABELS, other or NO_LABELS)
        for one, other in zip(rgb.labels, ir.labels, strict=True)
    )
    return SplitLabels(merged, rgb.paths, rgb.problems + ir.problems)


def union_of(rgb: Labels, ir: Labels) -> Labels:
    """Return what either set shows; of a box in both, that of rgb.

    Boxes of one class that overlap with an IoU of SAME_OBJECT_IOU or more are one object, matched
    greedily from the largest overlap down. Boxes that only ir shows have line 0.
    """
    matched = {infrared for _, infrared in match(rgb, ir)}
    extra = [row for row in range(len(ir.classes)) if row not in matched]
    return Labels(
        np.concatenate([rgb.boxes_cxcywh_unit, ir.boxes_cxcywh_unit[extra]]),
        np.concatenate([rgb.classes, ir.classes[extra]]),
        np.concatenate([rgb.lines, np.zeros(len(extra), np.int64)]),
        regions=_all_regions(rgb, ir),
        entry=rgb.entry,
    )


def shared_by(rgb: Labels, ir: Labels) -> Labels:
    """Return the boxes of rgb that ir shows too; matched as in `union_of`."""
    kept = sorted(visible for visible, _ in match(rgb, ir))
    return Labels(
        rgb.boxes_cxcywh_unit[kept],
        rgb.classes[kept],
        rgb.lines[kept],
        regions=_all_regions(rgb, ir),
        entry=rgb.entry,
    )


def _all_regions(rgb: Labels, ir: Labels) -> Regions:
    """Return what is excluded in either set; boxes there cannot be told to be in both."""
    parts = (rgb.regions, ir.regions)
    return Regions(
        np.concatenate([part.boxes_cxcywh_unit for part in parts]),
        np.concatenate([part.classes for part in parts]),
    )


def match(rgb: Labels, ir: Labels) -> list[tuple[int, int]]:
    """Return the rows of boxes that show one object, largest overlap first."""
    if not len(rgb.classes) or not len(ir.classes):
        return []
    overlap = _iou(rgb.boxes_cxcywh_unit, ir.boxes_cxcywh_unit)
    overlap[rgb.classes[:, None] != ir.classes[None, :]] = 0.0
    pairs: list[tuple[int, int]] = []
    used_rgb: set[int] = set()
    used_ir: set[int] = set()
    for place in np.argsort(-overlap, axis=None, kind="stable"):
        visible, infrared = divmod(int(place), overlap.shape[1])
        if overlap[visible, infrared] < SAME_OBJECT_IOU:
            break
        if visible not in used_rgb and infrared not in used_ir:
            pairs.append((visible, infrared))
            used_rgb.add(visible)
            used_ir.add(infrared)
    return pairs


def _list_source(
    spec: DataSpec, source: Source, *, files: LabelListing, prefix: str
) -> SourceListing:
    pairing = pair_source(spec.root, source, spec.storage)
    keys = [pair_key(rgb, source.rgb_folder, suffix=source.rgb_suffix) for rgb, _ in pairing.pairs]
    rgb_rows, expected = _rows(source, source.label_set, pairing, keys=keys, files=files)
    ir_set = _label_set(source, "ir")
    ir_rows, ir_expected = _rows(source, ir_set, pairing, keys=keys, files=files)
    return SourceListing(
        source,
        pairing,
        tuple(prefix + key for key in keys),
        rgb_rows,
        ir_rows,
        expected,
        ir_expected,
        unread_labels(
            spec, source, pairing, {source.label_set: rgb_rows, ir_set: ir_rows}, files=files
        ),
    )


def _rows(
    source: Source,
    labels: LabelSet,
    pairing: Pairing,
    *,
    keys: Sequence[str],
    files: LabelListing,
) -> tuple[tuple[LabelRow, ...], tuple[str, ...]]:
    rows, expected = [], []
    for (rgb, ir), key in zip(pairing.pairs, keys, strict=True):
        name = files.find(labels, key)
        rows.append(LabelRow(name, ir if labels.drawn_on == "ir" else rgb))
        expected.append(name or expected_label(rgb, source, labels))
    return tuple(rows), tuple(expected)


def _label_set(source: Source, modality: Literal["rgb", "ir"]) -> LabelSet:
    """Return a label set of a source; where only other sources have a second one, none."""
    return source.label_set if modality == "rgb" else source.ir_labels or NO_LABEL_SET


def _read(
    reader: LabelReader, rows: Sequence[LabelRow], read: Reader
) -> tuple[Sequence[Labels | None], tuple[LabelProblem, ...]]:
    if reader.labels.format != "coco":
        return list(read(reader, rows)), ()
    from fusetrain.data.coco_rows import read_coco_rows

    return read_coco_rows(reader, rows)


def _lost_entries(spec: DataSpec, part: SourceListing, labels: LabelSet) -> Iterator[LabelProblem]:
    if labels.format == "coco":
        from fusetrain.data.coco_rows import entries_without_image

        yield from entries_without_image(spec, part.source, part.pairing, labels)


def _iou(
    first_cxcywh: NDArray[np.float32], second_cxcywh: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the (N, M) intersection over union of boxes in shares of one image."""
    first, second = first_cxcywh.astype(np.float64), second_cxcywh.astype(np.float64)
    low = np.maximum(
        (first[:, :2] - first[:, 2:] / 2)[:, None], (second[:, :2] - second[:, 2:] / 2)[None]
    )
    high = np.minimum(
        (first[:, :2] + first[:, 2:] / 2)[:, None], (second[:, :2] + second[:, 2:] / 2)[None]
    )
    shared = np.clip(high - low, 0.0, None).prod(axis=2)
    area = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1)[None]
    return np.asarray(shared / np.maximum(area - shared, 1e-12), np.float64)
