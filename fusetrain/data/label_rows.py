"""Read the label file of a pair, whatever its format, into boxes of the image without its border.

One row is one picklable call, so that others may read rows in processes of their own. A file that
cannot be used gives problems and no boxes; nothing is raised for what stands in a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fusetrain.data.annotations import UNIT_HW, Annotations, to_labels
from fusetrain.data.decode import ImageError
from fusetrain.data.image import read_header
from fusetrain.data.labels import MAX_CLASSES, NO_LABELS, LabelProblem, Labels, read_labels
from fusetrain.data.sources import LabelSet
from fusetrain.data.storage import AS_FILES, DRONEVEHICLE_BORDER_PX, Storage

Reader = Callable[["LabelReader", Sequence["LabelRow"]], Iterator[Labels | None]]


class LabelRow(NamedTuple):
    """One pair whose labels are read; paths are relative to the root.

    Attributes:
        label_path: The label file; empty where there is none.
        image_path: The image that the labels were drawn on.
    """

    label_path: str
    image_path: str


@dataclass(frozen=True)
class LabelReader:
    """Reads rows of one label set.

    Attributes:
        root: Absolute root of the data set.
        labels: The label set.
        class_names: Names of the classes by number.
        storage: How the pictures lie in their files; a border is taken off the boxes too.
    """

    root: str
    labels: LabelSet
    class_names: tuple[str, ...]
    storage: Storage = AS_FILES

    def __call__(self, row: LabelRow) -> Labels | None:
        """Return the labels of a pair; None where it has no label file."""
        if not row.label_path:
            return None
        path = os.path.join(self.root, row.label_path)
        if self.labels.format == "yolo" and not self.storage.border_px:
            return read_labels(path, len(self.class_names), name=row.label_path)
        return self.fit(
            read_annotations(self.labels, path, name=row.label_path, class_names=self.class_names),
            row,
        )

    def fit(self, found: Annotations, row: LabelRow) -> Labels:
        """Hold annotations against their image: px to shares, border off, classes to numbers."""
        size_hw = self._stored_size(row.image_path) if self._needs_size(found) else None
        border_px = self.storage.border_px
        if not border_px and _was_cut(found.size_hw, size_hw):
            size_hw, border_px = found.size_hw, DRONEVEHICLE_BORDER_PX
        try:
            return to_labels(
                found, size_hw=size_hw, class_names=self.class_names, border_px=border_px
            )
        except ValueError as error:
            name = found.path or row.label_path
            problem = LabelProblem("L01", name, 1, 1, f"boxes cannot be placed: {error}")
            return Labels(
                NO_LABELS.boxes_cxcywh_unit,
                NO_LABELS.classes,
                NO_LABELS.lines,
                (*found.problems, problem),
            )

    def _needs_size(self, found: Annotations) -> bool:
        return found.size_hw != UNIT_HW or self.storage.border_px > 0

    def _stored_size(self, image_path: str) -> tuple[int, int] | None:
        """Return height and width as stored, border and all; None for an unreadable image."""
        try:
            return read_header(os.path.join(self.root, image_path)).size_hw
        except ImageError:
            return None


def _was_cut(said_hw: tuple[int, int] | None, size_hw: tuple[int, int] | None) -> bool:
    """Return whether labels were drawn on an image of DroneVehicle before its frame was cut off."""
    if said_hw is None or size_hw is None:
        return False
    return all(
        said - side == 2 * DRONEVEHICLE_BORDER_PX
        for said, side in zip(said_hw, size_hw, strict=True)
    )


def read_rows(reader: LabelReader, rows: Sequence[LabelRow]) -> Iterator[Labels | None]:
    """Yield the labels of every row, in order."""
    return map(reader, rows)


def read_annotations(
    labels: LabelSet, path: str, *, name: str, class_names: Sequence[str] | None = None
) -> Annotations:
    """Read one label file as its format says; faults become problems.

    Args:
        labels: The label set; not one of COCO, whose file holds many images.
        path: The label file.
        name: How problems call it.
        class_names: Names of class numbers; None calls classes by their numbers.
    """
    if labels.format == "voc":
        from fusetrain.data.formats.voc_xml import read_voc

        return read_voc(path, name=name, renamed=dict(labels.renamed))
    if labels.format == "kaist":
        from fusetrain.data.formats.kaist_txt import read_kaist

        return read_kaist(path, name=name)
    if labels.format == "vedai":
        from fusetrain.data.formats.vedai_txt import DRAWN_ON_HW, read_vedai

        side = labels.drawn_on_px
        return read_vedai(path, name=name, drawn_on_hw=(side, side) if side else DRAWN_ON_HW)
    if labels.format == "obb":
        from fusetrain.data.formats.obb_txt import read_obb

        return read_obb(path, name=name, class_names=class_names)
    return _read_yolo(path, name, class_names)


def _read_yolo(path: str, name: str, class_names: Sequence[str] | None) -> Annotations:
    labels = read_labels(path, MAX_CLASSES if class_names is None else len(class_names), name=name)
    boxes = labels.boxes_cxcywh_unit.astype(np.float64)
    half = boxes[:, 2:] / 2.0
    numbers = labels.classes.tolist()
    return Annotations(
        np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1),
        tuple(str(number) if class_names is None else class_names[number] for number in numbers),
        labels.lines,
        UNIT_HW,
        labels.problems,
        path=name,
    )
