"""The native layout: images/, imagesIR/ and labels/ beside a data.yaml, one YOLO txt an image.

Reading goes through the data YAML, as training does. Writing makes a new folder and copies the
images; the source is never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from fusetrain.config.yaml import dump_yaml
from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError


class YoloTxt:
    """Reader and writer of the native layout."""

    def read(self, path: Path, split: str) -> DatasetIndex:
        """Return the pairs of a split.

        Args:
            path: Data YAML or data-set folder.
            split: train, val or test.

        Raises:
            DataError: The data set or its split cannot be used.
        """
        return scan_split(load_spec(path), split).index

    def write(self, indexes: Sequence[DatasetIndex], folder: Path) -> Path:
        """Write splits of one data set as a new folder and return its data YAML.

        Files are called by their keys. Reading the folder gives indexes with the same fingerprints.

        Raises:
            DataError: The folder exists already.
        """
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            raise DataError("the folder exists already", where=str(folder)) from error
        for index in indexes:
            for row in range(len(index)):
                _write_pair(index, row, folder=folder)
        document = {
            "path": ".",
            **{index.split: f"images/{index.split}" for index in indexes},
            "names": dict(enumerate(indexes[0].class_names)) if indexes else {},
        }
        yaml_path = folder / "data.yaml"
        yaml_path.write_text(dump_yaml(document), encoding="utf-8")
        return yaml_path


def _write_pair(index: DatasetIndex, row: int, *, folder: Path) -> None:
    key = index.keys[row]
    for part, source in (("images", index.rgb_path(row)), ("imagesIR", index.ir_path(row))):
        target = folder / part / index.split / f"{key}{source.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    if not index.has_labels[row]:
        return
    # Nine digits give every float32 back.
    lines = [
        f"{number} " + " ".join(f"{value:.9g}" for value in box)
        for number, box in zip(index.classes(row), index.boxes_cxcywh_unit(row), strict=True)
    ]
    target = folder / "labels" / index.split / f"{key}.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
