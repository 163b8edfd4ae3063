"""Write pairs in the way the peer reads them: one modality alone, or both as images of 4 channels.

The data sets of the peer are copies in a folder of their own; the pairs stay as they are. A
4-channel image is an uncompressed TIFF with a page for each channel, R, G, B and IR, which is what
its documentation calls multispectral. Images are named by the row of their pair in the index, so
that detections find their way back.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.build import TrainingData
from fusetrain.data.index import DatasetIndex
from fusetrain.data.placement import Size
from fusetrain.data.reader import PairReader

NUM_CHANNELS = 4


def write_one_modality(demo: Path, folder: Path, *, images: str, names: tuple[str, ...]) -> Path:
    """Copy one modality of the synthetic pairs with their labels; return the data YAML.

    Args:
        demo: The pairs, as `write_demo` writes them.
        folder: New folder.
        images: Folder of the modality below ``demo``.
        names: Of the classes.
    """
    shutil.copytree(demo / images, folder / "images")
    shutil.copytree(demo / "labels", folder / "labels")
    return _write_yaml(folder, names, channels=3)


def write_four_channels(data: TrainingData, folder: Path) -> Path:
    """Write both splits of a data set as images of 4 channels; return the data YAML.

    Infrared of another size than the visible image is brought to the size of that one; deep counts
    pass through the thermal window, as they do in our training.

    Args:
        data: The pairs.
        folder: New folder.
    """
    for split, index in (("train", data.train), ("val", data.val)):
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        reader = PairReader(index, _as_it_is, data.window)
        for row in range(len(index)):
            pixels, _ = reader.read(row)
            write_pages(images / f"{row:06d}.tif", pixels)
            text = "".join(label_lines(index, row))
            (labels / f"{row:06d}.txt").write_text(text, encoding="utf-8")
    return _write_yaml(folder, data.spec.class_names, channels=NUM_CHANNELS)


def _as_it_is(size_hw: Size) -> Size:
    return size_hw


def write_pages(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write an image (H, W, C) as a TIFF with one grey page for each channel."""
    first, *others = (
        Image.fromarray(np.ascontiguousarray(page)) for page in np.rollaxis(pixels, 2)
    )
    first.save(path, save_all=True, append_images=others)


def label_lines(index: DatasetIndex, row: int) -> list[str]:
    """Return the boxes of a pair as lines of ``class cx cy w h``."""
    classes, boxes = index.classes(row).tolist(), index.boxes_cxcywh_unit(row).tolist()
    return [
        f"{number} {' '.join(f'{value:.7g}' for value in box)}\n"
        for number, box in zip(classes, boxes, strict=True)
    ]


def _write_yaml(folder: Path, names: tuple[str, ...], *, channels: int) -> Path:
    path = folder / "data.yaml"
    path.write_text(
        f"path: {json.dumps(str(folder.absolute()))}\ntrain: images/train\nval: images/val\n"
        f"channels: {channels}\nnames: {json.dumps(names)}\n",
        encoding="utf-8",
    )
    return path
