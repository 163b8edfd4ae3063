"""What to say of a folder that is no known layout: what was seen, what is known, what to write."""

from __future__ import annotations

from pathlib import Path

from fusetrain.data.layouts.view import TreeView
from fusetrain.errors import DataError, Problem

KNOWN_TREES = (
    "images/ + imagesIR/ (+ labels/), with or without train/, val/, test/ below them",
    "visible|vis|vi|rgb beside infrared|ir|lwir|thermal|tir, before or after train/val/test",
    "one folder with suffixes, such as *_visible + *_lwir, *_co + *_ir, *_RGB + *_PreviewData",
    "a COCO JSON whose images have `file_name` and `ir_file_name`",
    "TIFF or PNG with four channels (R, G, B, infrared) or pages",
)
DATA_YAML = (
    "`train: FOLDER_OF_VISIBLE`, `val: ANOTHER`, `ir: {VISIBLE: INFRARED}` (the folder name that "
    "differs), `labels: {VISIBLE: LABELS}`, `names: auto`"
)


def unknown_layout(tree: TreeView, path: Path) -> DataError:
    """Return the error for a folder that nobody recognises."""
    num_images = sum(len(view.images) for view in tree.folders.values())
    folders = len(tree.folders) - 1
    seen = f"seen: {tree.top()} ({num_images} images in all, {folders} folders)"
    return DataError(
        "the folder is no known layout of a visible-infrared data set and has no data.yaml",
        where=str(path),
        problems=[Problem(seen), *(Problem(f"known: {text}") for text in KNOWN_TREES)],
        expected=f"one of the layouts above, or a data.yaml with {DATA_YAML}",
        remedy="datasets/README.md shows every layout and key",
    )


def several_sets(parts: list[str], path: Path) -> DataError:
    """Return the error for a folder that holds several data sets."""
    return DataError(
        "the folder holds several data sets; name one of them",
        where=str(path),
        problems=[Problem(part) for part in parts],
        remedy="give the folder of one set, or write a data.yaml that says what belongs together",
    )
