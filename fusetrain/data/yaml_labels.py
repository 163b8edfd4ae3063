"""Where a data YAML says that labels lie and how they are written, for each modality.

What is wrong is said with the entry that says it; `yaml_sources.py` finds the images.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from fusetrain.config.schema import DataSettings
from fusetrain.data.layouts.words import read_component
from fusetrain.data.sources import LabelSet
from fusetrain.data.yaml_paths import replaced, safe_relative
from fusetrain.errors import DataError

# Files of a label folder that are looked at before it is believed to hold no text files.
LOOKED_AT = 1000


def label_set(
    folder: str, root: Path, *, split: str, settings: DataSettings, label_folder: str
) -> LabelSet | None:
    """Return how the labels are written; None for YOLO txt where `labels:` says.

    Raises:
        DataError: `annotations:` leads nowhere, or the folder holds files of another format.
    """
    label_format = settings.label_format
    if settings.annotations is not None:
        given = settings.annotations
        return _placed(given, folder, root, split=split, settings=settings, key="annotations")
    if label_format == "coco":
        raise DataError("format coco needs `annotations:` with the JSON of every split")
    if label_format == "yolo":
        if settings.format is None and _holds_xml_only(root / label_folder):
            raise DataError(f"{label_folder!r} holds XML files, no .txt; write `format: voc`")
        return None
    return _formatted(label_folder, settings)


def ir_label_set(
    ir_folder: str, root: Path, *, split: str, settings: DataSettings, label_folder: str
) -> LabelSet | None:
    """Return the labels drawn on the infrared images, where there are some.

    Raises:
        DataError: What the YAML names is not there.
    """
    if settings.ir_annotations is not None:
        given = settings.ir_annotations
        found = _placed(
            given, ir_folder, root, split=split, settings=settings, key="ir_annotations"
        )
        return _on_infrared(found)
    if settings.ir_labels is not None:
        place = replaced(ir_folder, settings.ir_labels)
        if place == ir_folder or not (root / place).is_dir():
            raise DataError(f"{ir_folder!r} has no labels of its own: {place!r} is not there")
        return _on_infrared(_formatted(place, settings))
    # The same rule as for the visible images may lead to a second set, as in rgb/labels, ir/labels.
    place = replaced(ir_folder, settings.labels)
    is_second = place not in (ir_folder, label_folder) and (root / place).is_dir()
    is_second = is_second and settings.annotations is None
    return _on_infrared(_formatted(place, settings)) if is_second else None


def _on_infrared(labels: LabelSet) -> LabelSet:
    return LabelSet(
        labels.place,
        labels.format,
        labels.prefix,
        labels.suffix,
        drawn_on_px=labels.drawn_on_px,
        drawn_on="ir",
    )


Stated = str | Mapping[Literal["train", "val", "test"], str]


def _annotations(given: Stated, root: Path, *, split: str, key: str) -> str:
    """Return what `annotations:` says for a split: a folder or a JSON below the root.

    Raises:
        DataError: Nothing, or something that is not there.
    """
    entry = given if isinstance(given, str) else dict(given).get(split)  # type: ignore[call-overload]
    if entry is None:
        raise DataError(f"`{key}:` has no entry for {split}")
    relative = safe_relative(entry, root)
    is_json = relative.lower().endswith(".json")
    if not ((root / relative).is_file() if is_json else (root / relative).is_dir()):
        kind = "file" if is_json else "folder"
        raise DataError(f"`{key}:` names {entry!r}, which is no {kind} below {root}")
    return relative


def _placed(
    given: Stated, folder: str, root: Path, *, split: str, settings: DataSettings, key: str
) -> LabelSet:
    """Return labels in a stated folder, which may mirror the folders of the images.

    A folder that is named for one split alone is taken as it is.

    Raises:
        DataError: It is not there, or format and file do not go together.
    """
    place = _annotations(given, root, split=split, key=key)
    is_json = place.lower().endswith(".json")
    if is_json != (settings.label_format == "coco"):
        raise DataError(f"{place!r} does not go with format {settings.label_format}")
    if is_json:
        return LabelSet(place, "coco")
    if not isinstance(given, str):
        return _formatted(place, settings)
    parts = PurePosixPath(folder).parts
    kept = [part for part in parts if not (read_component(part).modality or part in settings.ir)]
    unsaid = [part for part in kept if not read_component(part).is_images]
    for inner in ("/".join(kept), "/".join(unsaid), split):
        candidate = (PurePosixPath(place) / inner).as_posix()
        if inner and (root / candidate).is_dir():
            return _formatted(candidate, settings)
    return _formatted(place, settings)


def _formatted(place: str, settings: DataSettings) -> LabelSet:
    is_half = settings.label_format == "vedai" and "512" in place
    return LabelSet(place, settings.label_format, drawn_on_px=512 if is_half else 0)


def _holds_xml_only(folder: Path) -> bool:
    has_xml = False
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(LOOKED_AT), entries, strict=False):
                suffix = os.path.splitext(entry.name)[1].lower()
                if suffix == ".txt":
                    return False
                has_xml = has_xml or suffix == ".xml"
    except OSError:
        return False
    return has_xml
