"""The same pairs and boxes in another layout: the plan of `prepare convert`.

What label files hold and where images go is said by `data/formats`. Frames are cut off, oriented
boxes have become enclosing ones when they were read, common files are taken apart.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusetrain.config.yaml import dump_yaml
from fusetrain.data.formats import FORMATS
from fusetrain.data.formats.tree import Format, WrittenPair, WrittenSplit
from fusetrain.data.image import read_header
from fusetrain.data.index import PackedPaths, SplitScan
from fusetrain.data.spec import DataSpec
from fusetrain.prepare.notes import label_notes
from fusetrain.prepare.plans import (
    YAML_NAME,
    NewPair,
    Plan,
    PlannedFile,
    SourceSet,
    ir_file,
    native_plan,
    open_set,
    rgb_file,
    stem_of,
)

# What users call the formats; the tree of fusetrain is the one that YOLO trainers read.
NAMES: Mapping[str, str] = {
    "fusetrain": "yolo_txt",
    "yolo": "yolo_txt",
    "coco": "coco_json",
    "voc": "voc_xml",
}


def plan_convert(path: Path, to: str) -> Plan:
    """Return the plan of a set in another layout.

    Args:
        path: Data YAML or folder.
        to: One of NAMES.

    Raises:
        DataError: The set cannot be used, or the layout cannot hold it.
    """
    source = open_set(path)
    options = {"to": to}
    pairs = {
        split: [
            NewPair(scan, row, split, stem_of(scan.index, row)) for row in range(len(scan.index))
        ]
        for split, scan in source.scans.items()
    }
    if NAMES[to] == "yolo_txt":
        every = [pair for group in pairs.values() for pair in group]
        return native_plan("convert", source, every, options=options)
    layout: Format = FORMATS.get(NAMES[to])()
    files: list[PlannedFile] = []
    written: list[WrittenSplit] = []
    for split, group in pairs.items():
        if group:
            images, placed = _split(source.scans[split], group, layout)
            files += images
            written.append(placed)
    files += [_text(name, text, source.spec) for name, text in layout.label_files(written)]
    num_pairs = {split: len(group) for split, group in pairs.items() if group}
    notes = (*label_notes(source, with_excluded=True), *_notes(source, to))
    return Plan("convert", source.spec, tuple(files), num_pairs, options=options, notes=notes)


def _split(
    scan: SplitScan, pairs: list[NewPair], layout: Format
) -> tuple[list[PlannedFile], WrittenSplit]:
    """Return the images of a split, and where its labels find them."""
    files, places = [], []
    index = scan.index
    for pair in pairs:
        rgb = rgb_file(pair, folder=layout.folders[0])
        ir = ir_file(pair, folder=layout.folders[1])
        header = read_header(index.rgb_path(pair.row), storage=index.storage)
        places.append(WrittenPair(rgb.target, ir.target, header.size_hw))
        files += [rgb, ir]
    stems = PackedPaths.pack([pair.stem for pair in pairs])
    return files, WrittenSplit(replace(index, keys=stems), tuple(places))


def _text(name: str, text: str, spec: DataSpec) -> PlannedFile:
    if name == YAML_NAME and spec.thermal != "auto":
        thermal: Any = spec.thermal
        thermal = thermal if isinstance(thermal, str) else {"range": list(thermal)}
        text += dump_yaml({"thermal": thermal})
    return PlannedFile(name, num_bytes=len(os.fsencode(text)), text=text)


def _notes(source: SourceSet, to: str) -> list[str]:
    missing = sum(int((~scan.index.has_labels).sum()) for scan in source.scans.values())
    if not missing:
        return []
    return [f"{missing} pairs have no labels; in {to} they look like pairs that nobody labelled"]
