"""The table of codes and the one type that all checks return.

A code is part of the contract: it keeps its meaning, and a check added later takes a new one.
Kinds: P pairs, I images, L labels, D duplicates, S splits and classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["error", "warn", "info"]
LEVELS: tuple[Level, ...] = ("error", "warn", "info")


@dataclass(frozen=True)
class Code:
    """What a code stands for.

    Attributes:
        level: How bad it is, unless a finding says otherwise.
        meaning: One line for tables.
        remedy: What the user can do.
        blocks: `train` never accepts it, not even with ``--allow``.
    """

    level: Level
    meaning: str
    remedy: str
    blocks: bool = False


CODES: dict[str, Code] = {
    "P01": Code("error", "visible image without infrared partner", "Add the file or rename it."),
    "P02": Code("error", "infrared image without visible partner", "Add the file or rename it."),
    "P03": Code(
        "error", "several images with one key", "Keep one of them; case and suffix do not count."
    ),
    "P04": Code(
        "error",
        "aspect ratios of a pair differ by more than 2 %",
        "Crop both images to the same view.",
    ),
    "P05": Code("error", "visible and infrared are swapped", "Swap the two folders."),
    "P06": Code(
        "error", "infrared is a copy of the visible image", "Restore the true infrared image."
    ),
    "P07": Code(
        "warn",
        "infrared of another scene",
        "Look at both; where names slipped, `fusetrain prepare rename --by order --drop IMAGE`.",
    ),
    "P08": Code(
        "warn",
        "infrared of another moment",
        "Pair each visible frame with the infrared frame of its time.",
    ),
    "P09": Code(
        "warn",
        "visible and infrared do not lie on each other",
        "Align them: `fusetrain prepare align`.",
    ),
    "P10": Code(
        "warn", "infrared in pseudo-colour", "Export grey images; a colour map loses temperature."
    ),
    "P11": Code("warn", "blank infrared image", "Leave the pair out if the camera saw nothing."),
    "P12": Code("warn", "infrared frames repeat (camera stuck)", "Leave the repeated frames out."),
    "P13": Code(
        "warn", "dead rows, dead columns or stripes in infrared", "Leave the image out or mend it."
    ),
    "P14": Code(
        "error",
        "infrared of mixed bit depth or cut to too few levels",
        "Export all infrared images alike, from all their bits.",
    ),
    "P15": Code("error", "split without a single pair", "Check the folders of the data YAML."),
    "P16": Code(
        "error",
        "thermal window leaves too few levels of infrared",
        "Set `thermal` in the data YAML: `auto`, or `{range: [LOW, HIGH]}` of the counts.",
    ),
    "I01": Code("error", "unreadable image", "Restore the file or leave the pair out.", True),
    "I02": Code("error", "truncated image", "Restore the file or leave the pair out.", True),
    "I03": Code("error", "image too large", "Scale it below 50 megapixels.", True),
    "I04": Code("error", "suffix of another format", "Rename the file after its real format."),
    "I05": Code("error", "image under 32 px", "Leave the pair out."),
    "I06": Code("info", "very dark image", "Look whether it shows anything; night may be meant."),
    "I07": Code("info", "over-exposed image", "Look whether it shows anything."),
    "I08": Code("info", "blurred image", "Look whether it is in focus."),
    "I09": Code("info", "image with little in it", "Look whether it shows anything."),
    "I10": Code(
        "warn",
        "files of a format that is not read",
        "Convert them to PNG or TIFF, with all their bits; or move them elsewhere.",
    ),
    "L01": Code(
        "error",
        "unreadable label line",
        "Write `class cx cy w h` on each line, or mend what JSON and XML lack.",
        True,
    ),
    "L02": Code(
        "error",
        "class outside names",
        "Mend the line, or add the class to `names`; the first has number 0.",
    ),
    "L03": Code("error", "label value not finite", "Mend the number.", True),
    "L04": Code(
        "error",
        "label value outside [0, 1]",
        "Write shares of the visible image in text files, px in JSON and XML.",
    ),
    "L05": Code("warn", "box without area, left out", "Mend or delete the box."),
    "L06": Code("info", "box under 4 px at training size", "Train at a larger `imgsz`."),
    "L07": Code("info", "box as large as the image", "Look whether the box is meant so."),
    "L08": Code("warn", "duplicate box", "Delete one of the two."),
    "L09": Code("warn", "missing label file", "Add it; an empty file says: background."),
    "L10": Code("info", "more than half of the label files empty", "Check the export."),
    "L11": Code(
        "warn",
        "visible and infrared labels disagree",
        "Choose whose boxes are the truth with `label_source`: rgb, ir or union.",
    ),
    "L12": Code(
        "warn",
        "boxes look like corners, not centre and size",
        "Write `class cx cy w h`: centre = corner + size / 2.",
    ),
    "L13": Code(
        "warn",
        "label file that is not read",
        "Give it the name of its image, bring the image back, or delete the file.",
    ),
    "L14": Code(
        "error",
        "labels shared by two pictures",
        "Give each split a label folder or file of its own, or name images with their folders.",
    ),
    "D01": Code("warn", "file twice in a split", "Delete one of the two pairs."),
    "D02": Code("warn", "picture twice in a split", "Delete one of the two pairs."),
    "D03": Code("info", "near duplicate in a split", "Keep one of them if they are one scene."),
    "D04": Code(
        "error", "picture in two splits", "Keep it in one; `fusetrain prepare split` splits anew."
    ),
    "D05": Code(
        "warn",
        "neighbours of one sequence in two splits",
        "Split by recording: `fusetrain prepare split`.",
    ),
    "S01": Code("warn", "class absent from a split", "Move some pairs with it there."),
    "S02": Code("info", "class imbalance over 50 : 1", "Collect more of the rare class."),
    "S03": Code(
        "warn",
        "class never used",
        "Delete it if it is the last of `names`; else the numbers of the later ones would change.",
    ),
    "S04": Code("error", "data YAML cannot be used", "See datasets/README.md."),
    "S05": Code("warn", "class names that differ only in case", "Write one name everywhere."),
}


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        code: Key of CODES.
        level: error, warn or info.
        split: Split it belongs to; empty when it concerns the whole set.
        path: File, relative to the root; empty when it concerns no single file.
        line: Line in the file, from 1, or None.
        message: What is wrong with this file, as one sentence.
        numbers: What was measured.
        remedy: What the user can do.
    """

    code: str
    level: Level
    split: str
    path: str
    line: int | None
    message: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    remedy: str = ""


def finding(
    code: str,
    message: str,
    *,
    split: str = "",
    path: str = "",
    line: int | None = None,
    numbers: Mapping[str, float] | None = None,
    level: Level | None = None,
) -> Finding:
    """Return a finding with the level and the remedy of its code."""
    entry = CODES[code]
    return Finding(
        code, level or entry.level, split, path, line, message, numbers or {}, entry.remedy
    )
