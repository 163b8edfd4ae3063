"""Names of the classes from the labels themselves, where nobody wrote them down.

Formats that name their classes give those that are used, sorted; a COCO file gives them in the
order of its categories. Formats that only number them give the numbers, unless a `classes.txt`
beside the labels names them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from fusetrain.data.files import relative_files
from fusetrain.data.formats.coco_json import CocoFile
from fusetrain.data.label_rows import read_annotations
from fusetrain.data.labels import class_numbers, read_label_text
from fusetrain.data.listing import XML_FORMATS
from fusetrain.data.sources import LabelSet, Source

NAME_FILES = ("classes.txt", "obj.names")
NUMBERED = frozenset({"yolo", "obb"})


def collect_class_names(root: Path, sources: Iterable[Source]) -> tuple[str, ...]:
    """Return the names of all classes that any label set of the sources uses.

    Args:
        root: Absolute root of the data set.
        sources: Sources of all splits, so that every split has the same classes.

    Raises:
        DataError: A COCO file cannot be used at all.
    """
    found: dict[str, None] = {}
    sets = {
        labels: None
        for source in sources
        for labels in (source.label_set, source.ir_labels)
        if labels is not None and labels.place is not None
    }
    # One folder is read once, however many recordings share it.
    places = {(labels.place, labels.format): labels for labels in sets}
    for labels in places.values():
        found |= dict.fromkeys(_used_names(root, labels))
    names = tuple(found)
    if sets and all(labels.format in NUMBERED for labels in sets) and all(map(_is_number, names)):
        count = max(map(int, names), default=-1) + 1
        return _written_names(root, places.values(), count) or tuple(map(str, range(count)))
    return names if all(labels.format == "coco" for labels in sets) else tuple(sorted(names))


def _used_names(root: Path, labels: LabelSet) -> list[str]:
    place = labels.place or ""
    if labels.format == "coco":
        coco = CocoFile.read(root / place, name=place)
        used = set(coco.boxes.classes.tolist())
        return [name for number, name in enumerate(coco.class_names) if number in used]
    if not (root / place).is_dir():
        return []
    suffix = ".xml" if labels.format in XML_FORMATS else ".txt"
    found: dict[str, None] = {}
    for path in relative_files(root, place, suffixes=frozenset({suffix})):
        full = os.path.join(root, path)
        if labels.format == "yolo":
            found |= dict.fromkeys(map(str, sorted(class_numbers(full))))
            continue
        found |= dict.fromkeys(read_annotations(labels, full, name=path).names)
    return list(found)


def _written_names(root: Path, sets: Iterable[LabelSet], count: int) -> tuple[str, ...]:
    """Return the names that a file beside the labels, or at the root, gives to the numbers."""
    folders = [labels.place or "" for labels in sets]
    for folder in dict.fromkeys([*folders, *map(os.path.dirname, folders), ""]):
        for name in NAME_FILES:
            try:
                lines = read_label_text(root / folder / name).split("\n")
            except (OSError, ValueError):
                continue
            names = tuple(line.strip() for line in lines if line.strip())
            if len(names) >= max(1, count) and len(set(names)) == len(names):
                return names
    return ()


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()
