"""The rows of a COCO file that belong to the pairs of a split, joined by the names of the images.

A file name of the JSON may stand for an image with its folders, with some of them, or by its stem
alone; a stem that several images of the file share joins only with its folders. Of several images
that would join with one name, the one that shares most of its folders does, or none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fusetrain.data.formats.coco_json import CocoFile
from fusetrain.data.label_rows import LabelReader, LabelRow
from fusetrain.data.labels import LabelProblem, Labels
from fusetrain.data.pairing import Pairing, pair_key
from fusetrain.data.sources import LabelSet, Source
from fusetrain.data.spec import DataSpec
from fusetrain.data.unread_labels import image_stems, is_alone


def read_coco_rows(
    reader: LabelReader, rows: Sequence[LabelRow]
) -> tuple[list[Labels | None], tuple[LabelProblem, ...]]:
    """Return the labels of every row, and the problems that speak of no image.

    Args:
        reader: Its label set names the JSON.
        rows: The images; their label paths are not looked at.

    Raises:
        DataError: The JSON cannot be used at all.
    """
    place = reader.labels.place or ""
    found = CocoFile.read(Path(reader.root, place), name=place)
    by_name = _rows_by_name(found, reader.labels.suffix)
    keys = [pair_key(row.image_path, suffix=reader.labels.suffix) for row in rows]
    labels: list[Labels | None] = []
    for row, number in zip(rows, _rows_of(by_name, keys), strict=True):
        if number is None:
            labels.append(None)
        else:
            own = reader.fit(found.annotations(number), row._replace(label_path=place))
            named = tuple(_naming(problem, found.file_names[number]) for problem in own.problems)
            labels.append(replace(own, problems=named, entry=number))
    return labels, found.problems


def _naming(problem: LabelProblem, image: str) -> LabelProblem:
    """Return a problem of a file without lines with the image that it is found by."""
    return replace(problem, column=0, message=f"image {image[-80:]!r}: {problem.message}")


def entries_without_image(
    spec: DataSpec, source: Source, pairing: Pairing, labels: LabelSet
) -> Iterator[LabelProblem]:
    """Yield a problem for each image of a COCO file that has boxes and is not there.

    As for files among labels, only where the file speaks of the images of one source alone.
    """
    if labels.place is None or not is_alone(spec, source, labels):
        return
    found = CocoFile.read(Path(spec.root, labels.place), name=labels.place)
    there = {key.rpartition("/")[2] for key in image_stems(source, pairing)}
    for row, name in enumerate(found.file_names):
        count = len(found.boxes.of(row)[1])
        if count and pair_key(name, suffix=labels.suffix).rpartition("/")[2] not in there:
            boxes = "1 box is" if count == 1 else f"{count} boxes are"
            message = f"image {name[:80]!r} is not there: its {boxes} not read"
            yield LabelProblem("L13", labels.place, 0, 0, message)


def _rows_by_name(found: CocoFile, suffix: str) -> dict[str, int]:
    """Return key of a file name, and key of its stem where no two share it, to the row."""
    keys = [pair_key(name, suffix=suffix) for name in found.file_names]
    stems = [key.rpartition("/")[2] for key in keys]
    counts = Counter(stems)
    by_stem = {stem: row for row, stem in enumerate(stems) if counts[stem] == 1}
    return by_stem | {key: row for row, key in enumerate(keys)}


def _rows_of(by_name: dict[str, int], keys: Sequence[str]) -> Iterator[int | None]:
    """Yield the row of each image; None where there is none, or it is that of another image."""
    names = [next((name for name in _endings(key) if name in by_name), "") for key in keys]
    depths: dict[int, int] = {}
    owners: dict[int, str | None] = {}
    for key, name in zip(keys, names, strict=True):
        row, depth = by_name.get(name, -1), name.count("/")
        if depth > depths.get(row, -1):
            depths[row], owners[row] = depth, key
        elif depth == depths[row] and owners[row] != key:
            owners[row] = None
    for key, name in zip(keys, names, strict=True):
        row = by_name.get(name, -1)
        yield row if row >= 0 and owners[row] == key else None


def _endings(key: str) -> Iterator[str]:
    """Yield a key with all its folders, then with fewer and fewer of them."""
    while key:
        yield key
        key = key.partition("/")[2]
