"""Say in a sentence what was recognised: where images and labels lie, and what was not used."""

from __future__ import annotations

from collections.abc import Sequence

from fusetrain.data.layouts.label_places import FoundLabels
from fusetrain.data.layouts.placements import Placement

SHOWN_NAMES = 8
LABEL_TITLES = {
    "yolo": "YOLO txt",
    "voc": "VOC XML",
    "coco": "COCO JSON",
    "kaist": "bbGt txt",
    "vedai": "VEDAI txt",
    "obb": "oriented boxes (read as the upright boxes around them)",
}


def images_text(placements: Sequence[Placement]) -> str:
    """Return where the images lie."""
    first = placements[0]
    rgb, ir = first.rgb_folder or ".", first.ir_folder or "."
    if first.rgb_folder == first.ir_folder:
        text = f"*{first.rgb_suffix} with *{first.ir_suffix} in {rgb}"
    else:
        text = f"{rgb} with {ir}"
    more = len(placements) - 1
    return f"{text} and {more} more such {'folder' if more == 1 else 'folders'}" if more else text


def labels_text(labels: Sequence[FoundLabels]) -> str:
    """Return where the labels lie and how they are written."""
    found = next((entry for entry in labels if entry.labels), None)
    if found is None or found.labels is None:
        return "no labels"
    text = f"{LABEL_TITLES[found.labels.format]} in {found.labels.place or '.'}"
    if found.ir_labels is None:
        return text
    return f"{text}, of infrared in {found.ir_labels.place or '.'}"


def unused_notes(folders: Sequence[str], labels: Sequence[FoundLabels]) -> list[str]:
    """Return notes on what would have fitted as well, or is left over."""
    notes = []
    if folders:
        notes.append(f"also there, not used: {_some(folders)}")
    if others := list(dict.fromkeys(other for entry in labels for other in entry.others)):
        notes.append(f"other labels, not used: {_some(others)}")
    return notes


def _some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:SHOWN_NAMES])
    more = len(names) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
