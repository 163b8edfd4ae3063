"""What the names of folders say: split, modality, container of images, container of labels.

A path is read component by component; the order of split and modality does not matter. What is
left, such as the recordings of KAIST, tells folders of one split apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Modality = Literal["rgb", "ir"]

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "trn": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "testset": "test",
    "tst": "test",
}
RGB_WORDS = frozenset(
    {"visible", "visual", "vis", "vi", "viz", "vl", "rgb", "color", "colour", "eo", "tv"}
)
IR_WORDS = frozenset(
    {"infrared", "infra", "ir", "lwir", "thermal", "therm", "tir", "nir", "swir", "mwir", "t", "th"}
)
IMAGE_WORDS = frozenset(
    {"images", "image", "imgs", "img", "jpegimages", "pngimages", "data", "frames", "pictures"}
)
LABEL_WORDS = frozenset({"xml", "xmls", "bbox", "bboxes", "gt", "groundtruth", "anno", "annos"})
LABEL_STARTS = ("label", "annot")
# Written in one word with something else, as in `cropinfrared`.
INNER_WORDS: tuple[tuple[str, Modality], ...] = (
    ("visible", "rgb"),
    ("infrared", "ir"),
    ("thermal", "ir"),
)
# DroneVehicle: trainimg, trainimgr, trainlabel, trainlabelr, and the same for val and test.
DRONEVEHICLE = re.compile(r"(train|val|test)(img|label)(r?)", re.IGNORECASE)
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@dataclass(frozen=True)
class Component:
    """What one name of a folder says.

    Attributes:
        name: The name.
        split: train, val or test, or "".
        modality: rgb or ir, or None.
        is_images: It says that images are in it.
        is_labels: It says that labels are in it.
        rest: What else it says, in lower case.
    """

    name: str
    split: str = ""
    modality: Modality | None = None
    is_images: bool = False
    is_labels: bool = False
    rest: str = ""

    @property
    def says_something(self) -> bool:
        """Return whether any of its words is known."""
        return bool(self.split or self.modality or self.is_images or self.is_labels)


@dataclass(frozen=True)
class Place:
    """What the path of a folder says, up to its last known component.

    Attributes:
        path: The path as far as it says something; deeper folders belong to it.
        split: train, val or test, or "".
        modality: rgb or ir, or None.
        is_labels: Some component says that labels are in it.
        frame: What tells folders of one split and modality apart, in lower case.
        modality_name: The component that names the modality.
        variant: What that component says besides, such as ``8 bit``.
    """

    path: str
    split: str
    modality: Modality | None
    is_labels: bool
    frame: tuple[str, ...]
    modality_name: str = ""
    variant: str = ""


def read_component(name: str) -> Component:
    """Read one name of a folder."""
    if found := DRONEVEHICLE.fullmatch(name):
        split, kind, ir = found.groups()
        return Component(
            name,
            SPLIT_WORDS[split.lower()],
            "ir" if ir else "rgb",
            is_images=kind.lower() == "img",
            is_labels=kind.lower() == "label",
        )
    whole = name.lower()
    words = [whole] if whole in RGB_WORDS | IR_WORDS | IMAGE_WORDS else _words(name)
    split, rest = "", []
    modality: Modality | None = None
    is_images = is_labels = False
    for word in words:
        if word in SPLIT_WORDS:
            split = SPLIT_WORDS[word]
        elif word in RGB_WORDS or word in IR_WORDS:
            modality = "rgb" if word in RGB_WORDS else "ir"
        elif word in IMAGE_WORDS:
            is_images = True
        elif word in LABEL_WORDS or word.startswith(LABEL_STARTS):
            is_labels = True
        else:
            rest.append(word)
    if modality is None:
        for inner, meaning in INNER_WORDS:
            if any(inner in word for word in rest):
                modality = meaning
                rest = [word.replace(inner, "") for word in rest]
    return Component(name, split, modality, is_images, is_labels, " ".join(filter(None, rest)))


def read_place(path: str) -> Place:
    """Read the path of a folder."""
    components = [read_component(name) for name in path.split("/")] if path else []
    while components and not components[-1].says_something:
        components.pop()
    split = next((part.split for part in reversed(components) if part.split), "")
    named = [part for part in components if part.modality]
    modality_part = named[-1] if named else None
    frame = tuple(
        part.name.lower() if not part.says_something else part.rest
        for part in components
        if part is not modality_part and part.rest and not part.is_labels
    )
    return Place(
        "/".join(part.name for part in components),
        split,
        modality_part.modality if modality_part else None,
        any(part.is_labels for part in components),
        frame,
        modality_part.name if modality_part else "",
        modality_part.rest if modality_part else "",
    )


def without_modality(name: str) -> str:
    """Return the name of a folder without its infrared word: images for imagesIR or images_ir."""
    for word in sorted(IR_WORDS, key=len, reverse=True):
        found = re.fullmatch(rf"(.*[^_\-. ])[_\-. ]?{word}", name, re.IGNORECASE)
        if found and read_component(found[1]).is_images:
            return found[1]
    return ""


def _words(name: str) -> list[str]:
    """Split a name at its separators, at changes of case, and between letters and digits."""
    return [word.lower() for word in PARTS.findall(name)]
