"""The table of layouts: what tells a published set from any other folder, and how it is called.

The first row that fits names the layout. Names are a courtesy to users, except that KAIST brings
its published split and DroneVehicle its frame and its spellings; what is read follows from the
folders themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fusetrain.data.layouts.label_places import FoundLabels
from fusetrain.data.layouts.placements import Placement
from fusetrain.data.layouts.words import DRONEVEHICLE

KAIST_FRAME = re.compile(r"set\d\d")
KAIST_STEM = re.compile(r"set(\d\d)_v\d\d\d_i\d+", re.IGNORECASE)
# Sets 00 to 05 are the training recordings of KAIST, 06 to 11 its test recordings.
KAIST_TRAIN_SETS = 6
MSRS_STEM = re.compile(r"\d{5}[dn]", re.IGNORECASE)
LLVIP_STEM = re.compile(r"(?:train/|test/)?\d{6}", re.IGNORECASE)
LOOKED_AT = 50


@dataclass(frozen=True)
class Evidence:
    """What the table looks at.

    Attributes:
        placements: Where the modalities lie.
        labels: Labels of each placement.
    """

    placements: Sequence[Placement]
    labels: Sequence[FoundLabels]

    @property
    def names(self) -> tuple[str, str]:
        """Return the last components of the visible and the infrared folder, in lower case."""
        first = self.placements[0]
        return _last(first.rgb_folder), _last(first.ir_folder)

    @property
    def formats(self) -> set[str]:
        """Return the formats of all label sets."""
        return {
            labels.format
            for found in self.labels
            for labels in (found.labels, found.ir_labels)
            if labels
        }

    def has_folders(self, rgb: str, ir: str) -> bool:
        """Return whether the modalities are called so, exactly but for case."""
        return all(
            rgb in part.rgb_folder.lower().split("/") and ir in part.ir_folder.lower().split("/")
            for part in self.placements
        )

    def has_suffixes(self, rgb: str, ir: str) -> bool:
        """Return whether stems end so."""
        return all((part.rgb_suffix, part.ir_suffix) == (rgb, ir) for part in self.placements)

    def has_stems(self, pattern: re.Pattern[str]) -> bool:
        """Return whether the first keys of every part fit a pattern."""
        keys = [key for part in self.placements for key in list(part.keys)[:LOOKED_AT]]
        return bool(keys) and all(pattern.fullmatch(key) for key in keys)


@dataclass(frozen=True)
class KnownLayout:
    """A row of the table.

    Attributes:
        name: Short name.
        title: How sentences call it.
        fits: Whether a folder is one.
        pattern: Where images lie, as the set itself has it; empty tells it from the folder.
    """

    name: str
    title: str
    fits: Callable[[Evidence], bool]
    pattern: str = ""


def _is_kaist(found: Evidence) -> bool:
    in_sets = all(
        any(KAIST_FRAME.fullmatch(name) for name in part.frame) for part in found.placements
    )
    return in_sets or found.has_stems(KAIST_STEM)


def _is_dronevehicle(found: Evidence) -> bool:
    original = any(DRONEVEHICLE.fullmatch(name) for name in found.names)
    two_sets = all(entry.ir_labels is not None for entry in found.labels)
    return original or (two_sets and found.has_folders("rgb", "ir"))


def _is_llvip(found: Evidence) -> bool:
    splits = {part.split for part in found.placements}
    return (
        found.has_folders("visible", "infrared")
        and splits <= {"", "train", "test"}
        and found.has_stems(LLVIP_STEM)
    )


KNOWN: tuple[KnownLayout, ...] = (
    KnownLayout("fusetrain", "fusetrain", lambda found: found.has_folders("images", "imagesir")),
    KnownLayout("kaist", "KAIST", _is_kaist),
    KnownLayout(
        "flir-aligned", "FLIR-aligned", lambda found: found.has_suffixes("_RGB", "_PreviewData")
    ),
    KnownLayout("flir-adas", "FLIR ADAS", lambda found: found.has_folders("rgb", "thermal_8_bit")),
    KnownLayout("vedai", "VEDAI", lambda found: found.has_suffixes("_co", "_ir")),
    KnownLayout("dronevehicle", "DroneVehicle", _is_dronevehicle),
    KnownLayout("llvip", "LLVIP", _is_llvip),
    KnownLayout("m3fd", "M3FD", lambda found: found.has_folders("vis", "ir")),
    KnownLayout(
        "msrs",
        "MSRS",
        lambda found: found.has_folders("vi", "ir") and found.has_stems(MSRS_STEM),
    ),
    KnownLayout(
        "roadscene",
        "RoadScene",
        lambda found: found.has_folders("crop_lr_visible", "cropinfrared"),
    ),
    KnownLayout(
        "suffixes",
        "suffixes",
        lambda found: all(part.rgb_folder == part.ir_folder for part in found.placements),
    ),
    KnownLayout("siblings", "sibling folders", lambda found: True),
)


def name_layout(found: Evidence) -> KnownLayout:
    """Return the first row of the table that fits; the last one always does."""
    return next(row for row in KNOWN if row.fits(found))


def kaist_split(placement: Placement, key: str) -> str:
    """Return the published split of an image of KAIST: train or test."""
    framed = next((name for name in placement.frame if KAIST_FRAME.fullmatch(name)), "")
    found = KAIST_STEM.fullmatch(key)
    number = int(framed[3:]) if framed else int(found[1]) if found else 0
    return "train" if number < KAIST_TRAIN_SETS else "test"


def _last(path: str) -> str:
    return path.rpartition("/")[2].lower()
