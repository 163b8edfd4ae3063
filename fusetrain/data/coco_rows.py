"""The rows of a COCO file that belong to the pairs of a split, joined by the names of the images.

A file name of the JSON may stand for an image with its folders, with some of them, or by its stem
alone; a stem that several images of the file share joins only with its folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fusetrain.data.formats.coco_json import CocoFile
from fusetrain.data.label_rows import LabelReader, LabelRow
from fusetrain.data.labels import LabelProblem, Labels
from fusetrain.data.pairing import pair_key


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
    labels: list[Labels | None] = []
    for row in rows:
        number = _row_of(by_name, row.image_path, reader.labels.suffix)
        if number is None:
            labels.append(None)
        else:
            labels.append(reader.fit(found.annotations(number), row._replace(label_path=place)))
    return labels, found.problems


def _rows_by_name(found: CocoFile, suffix: str) -> dict[str, int]:
    """Return key of a file name, and key of its stem where no two share it, to the row."""
    keys = [pair_key(name, suffix=suffix) for name in found.file_names]
    stems = [key.rpartition("/")[2] for key in keys]
    counts = Counter(stems)
    by_stem = {stem: row for row, stem in enumerate(stems) if counts[stem] == 1}
    return by_stem | {key: row for row, key in enumerate(keys)}


def _row_of(by_name: dict[str, int], image_path: str, suffix: str) -> int | None:
    for name in _endings(pair_key(image_path, suffix=suffix)):
        if name in by_name:
            return by_name[name]
    return None


def _endings(key: str) -> Iterator[str]:
    """Yield a key with all its folders, then with fewer and fewer of them."""
    while key:
        yield key
        key = key.partition("/")[2]
