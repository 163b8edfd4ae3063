"""The native layout: images/, imagesIR/ and labels/ beside a data.yaml, one YOLO txt an image.

Without its imagesIR/ it is the tree that YOLO trainers read, so "as YOLO" and "native" are one
format. Reading goes through the data YAML, as training does; writing makes a new folder.

    data.yaml  images/<split>/<key>.*  imagesIR/<split>/<key>.*  labels/<split>/<key>.txt
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fusetrain.data.formats.tree import WrittenSplit, data_yaml, read_split, write_tree
from fusetrain.data.index import DatasetIndex


class YoloTxt:
    """Reader and writer of the native layout."""

    folders = ("images", "imagesIR")

    def read(self, path: Path, split: str) -> DatasetIndex:
        """Return the pairs of a split; see `read_split`."""
        return read_split(path, split)

    def write(self, indexes: Sequence[DatasetIndex], folder: Path) -> Path:
        """Write splits as a new folder and return its data YAML; see `write_tree`.

        Reading the folder gives indexes with the same fingerprints.
        """
        return write_tree(self, indexes, folder)

    def label_files(self, splits: Sequence[WrittenSplit]) -> Iterator[tuple[str, str]]:
        """Yield a txt for every pair that has labels, and the data YAML."""
        for split in splits:
            index = split.index
            for row in range(len(index)):
                if index.has_labels[row]:
                    yield f"labels/{index.split}/{index.keys[row]}.txt", _lines(index, row)
        yield data_yaml(self, splits, {})


def _lines(index: DatasetIndex, row: int) -> str:
    # Nine digits give every float32 back.
    lines = [
        f"{number} " + " ".join(f"{value:.9g}" for value in box)
        for number, box in zip(index.classes(row), index.boxes_cxcywh_unit(row), strict=True)
    ]
    return "".join(f"{line}\n" for line in lines)
