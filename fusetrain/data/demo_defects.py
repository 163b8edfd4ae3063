"""Plants one of each known defect into a freshly written demo, each on a pair of its own.

The codes are those of the table of checks. Defects that concern a whole set (swapped folders,
missing classes, most labels empty) would hide the others and are not planted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fusetrain.data.demo_damage import (
    FILE_PLANTERS,
    Pair,
    Planter,
    brighten_pair,
    copy_pair,
    recode_pair,
)

# Clean training pairs that the copies are made of: D01, D02, D03, D04.
NUM_SOURCES = 4
STUCK_FRAMES = 3


@dataclass(frozen=True)
class Defect:
    """One planted defect.

    Attributes:
        code: Key of the table of checks.
        path: The file that is wrong, relative to the root, with forward slashes.
        line: Line of a label file, from 1; none where no line is meant.
    """

    code: str
    path: str
    line: int | None = None


def plant_defects(root: Path, splits: Mapping[str, range]) -> tuple[Defect, ...]:
    """Damage a clean demo and list what was done in ``defects.json``.

    Args:
        root: The demo.
        splits: Split name to the numbers of its pairs, at least `pairs_needed` in all.
    """
    train = [Pair(root, "train", f"{index:04d}") for index in splits["train"]]
    labelled = [pair for pair in train if pair.label.stat().st_size > 0]
    sources, victims = labelled[:NUM_SOURCES], labelled[NUM_SOURCES:]
    val = Pair(root, "val", f"{splits['val'][0]:04d}")
    defects = [_defect(root, "P12", path=_stuck(_in_a_row(victims)))]
    planters = {**FILE_PLANTERS, **_LABEL_PLANTERS}
    defects += [_defect(root, code, path=plant(victims.pop(0))) for code, plant in planters.items()]
    copies = (("D01", copy_pair), ("D02", recode_pair), ("D03", brighten_pair))
    for (code, copy), source in zip(copies, sources, strict=False):
        defects.append(_defect(root, code, path=copy(source, victims.pop(0))))
    defects.append(_defect(root, "D04", path=copy_pair(sources[-1], val)))
    document = {"schema": 1, "defects": [asdict(defect) for defect in defects]}
    text = json.dumps(document, indent=2) + "\n"
    (root / "defects.json").write_text(text, encoding="utf-8", newline="\n")
    return tuple(defects)


def pairs_needed() -> int:
    """Return how many pairs a demo must have so that each defect has one of its own.

    A fifth of the pairs is for validation, and one training pair in 26 shows no object; so this
    is some more than the number of defects.
    """
    num_copies = NUM_SOURCES - 1
    num_victims = STUCK_FRAMES + len(FILE_PLANTERS) + len(_LABEL_PLANTERS) + num_copies
    num_train = NUM_SOURCES + num_victims
    return (num_train + num_train // 20 + 1) * 5 // 4 + 1


def _defect(root: Path, code: str, *, path: Path) -> Defect:
    """Describe a planted defect; a bad line is always the last one of its file."""
    relative = path.relative_to(root).as_posix()
    if code not in _LABEL_LINES:
        return Defect(code, relative)
    return Defect(code, relative, len(path.read_text(encoding="utf-8").splitlines()))


def _in_a_row(victims: list[Pair]) -> list[Pair]:
    """Take pairs out of ``victims`` that follow one another without a gap."""
    for start in range(len(victims) - STUCK_FRAMES, -1, -1):
        taken = victims[start : start + STUCK_FRAMES]
        if int(taken[-1].stem) - int(taken[0].stem) == STUCK_FRAMES - 1:
            del victims[start : start + STUCK_FRAMES]
            return taken
    raise AssertionError("pairs_needed() leaves room for some pairs in a row")


def _stuck(pairs: list[Pair]) -> Path:
    """Let the infrared camera repeat its first frame."""
    for pair in pairs[1:]:
        shutil.copyfile(pairs[0].ir, pair.ir)
    return pairs[0].ir


def _append_line(line: str) -> Planter:
    def plant(pair: Pair) -> Path:
        with pair.label.open("a", encoding="utf-8", newline="\n") as file:
            file.write(line)
        return pair.label

    return plant


def _repeat_line(pair: Pair) -> Path:
    first = pair.label.read_text(encoding="utf-8").splitlines()[0]
    return _append_line(f"{first}\n")(pair)


_LABEL_LINES = {
    "L01": "0 0.500000 0.500000 0.200000\n",
    "L02": "7 0.500000 0.500000 0.200000 0.300000\n",
    "L03": "0 0.500000 nan 0.200000 0.300000\n",
    "L04": "1 1.300000 0.500000 0.200000 0.300000\n",
    "L05": "2 0.500000 0.500000 0.000000 0.300000\n",
    "L06": "0 0.400000 0.600000 0.004000 0.005000\n",
    "L07": "1 0.500000 0.500000 1.000000 1.000000\n",
    "L08": "",
}
_LABEL_PLANTERS: dict[str, Planter] = {
    code: _append_line(line) if line else _repeat_line for code, line in _LABEL_LINES.items()
}
