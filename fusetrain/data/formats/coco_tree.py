"""Write a data set with COCO labels: one JSON a split, each image with its infrared partner.

    data.yaml  visible/<split>/<key>.*  infrared/<split>/<key>.*  annotations/<split>.json

`file_name` and `ir_file_name` are relative to the folder, boxes are x, y, width, height in px of
the visible image, category ids count from 1 in the order of the classes, excluded boxes are crowds.
Pairs without a label file are not in the JSON. `coco_json.py` reads it, and so does any COCO tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from fusetrain.data.formats.tree import (
    WrittenSplit,
    data_yaml,
    read_split,
    write_tree,
)
from fusetrain.data.index import DatasetIndex


class CocoJson:
    """Reader and writer of COCO labels beside the images."""

    folders = ("visible", "infrared")

    def read(self, path: Path, split: str) -> DatasetIndex:
        """Return the pairs of a split; see `read_split`."""
        return read_split(path, split)

    def write(self, indexes: Sequence[DatasetIndex], folder: Path) -> Path:
        """Write splits as a new folder and return its data YAML; see `write_tree`."""
        return write_tree(self, indexes, folder)

    def label_files(self, splits: Sequence[WrittenSplit]) -> Iterator[tuple[str, str]]:
        """Yield a JSON for every split, and the data YAML that names them."""
        places = {split.index.split: f"annotations/{split.index.split}.json" for split in splits}
        for split in splits:
            yield places[split.index.split], json.dumps(_document(split), separators=(",", ":"))
        settings = {"ir": dict([self.folders]), "format": "coco", "annotations": places}
        yield data_yaml(self, splits, settings)


def _document(split: WrittenSplit) -> dict[str, list[dict[str, object]]]:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for row, pair in enumerate(split.pairs):
        if not split.index.has_labels[row]:
            continue
        height, width = pair.size_hw
        image = {"id": len(images) + 1, "file_name": pair.rgb, "ir_file_name": pair.ir}
        images.append({**image, "height": height, "width": width})
        for annotation in _annotations(split, row):
            number = len(annotations) + 1
            annotations.append({"id": number, "image_id": image["id"], **annotation})
    names = enumerate(split.index.class_names, start=1)
    categories: list[dict[str, object]] = [{"id": number, "name": name} for number, name in names]
    return {"images": images, "annotations": annotations, "categories": categories}


def _annotations(split: WrittenSplit, row: int) -> Iterator[dict[str, object]]:
    for number, (left, top, right, bottom), is_excluded in split.objects(row):
        # Differences of decimals get digits of their own.
        width, height = round(right - left, 9), round(bottom - top, 9)
        yield {
            "category_id": number + 1,
            "bbox": [left, top, width, height],
            "area": width * height,
            "iscrowd": int(is_excluded),
            "segmentation": [],
        }
