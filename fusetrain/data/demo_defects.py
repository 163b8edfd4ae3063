"""Plants one of each known defect into a freshly written demo, each on a pair of its own.

The codes are those of the table of checks. Defects that concern a whole set (swapped folders,
missing classes, most labels empty) would hide the others and are not planted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

# Two clean training pairs that the copies are made of.
NUM_SOURCES = 2
TINY_PX = (30, 24)
HUGE_PX = (9000, 7200)
# A thermal colour map, black over violet and orange to white, as its corners at equal distances.
IRON = ((0, 0, 0), (72, 0, 130), (196, 32, 96), (248, 140, 16), (255, 220, 80), (255, 255, 255))


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


@dataclass(frozen=True)
class _Pair:
    """Where the files of one pair lie."""

    root: Path
    split: str
    stem: str

    @property
    def rgb(self) -> Path:
        return self.root / "images" / self.split / f"{self.stem}.jpg"

    @property
    def ir(self) -> Path:
        return self.root / "imagesIR" / self.split / f"{self.stem}.jpg"

    @property
    def label(self) -> Path:
        return self.root / "labels" / self.split / f"{self.stem}.txt"


Planter = Callable[[_Pair], Path]


def plant_defects(root: Path, splits: Mapping[str, range]) -> tuple[Defect, ...]:
    """Damage a clean demo and list what was done in ``defects.json``.

    Args:
        root: The demo.
        splits: Split name to the numbers of its pairs, at least `pairs_needed` in all.
    """
    train = [_Pair(root, "train", f"{index:04d}") for index in splits["train"]]
    labelled = [pair for pair in train if pair.label.stat().st_size > 0]
    sources, victims = labelled[:NUM_SOURCES], labelled[NUM_SOURCES:]
    val = _Pair(root, "val", f"{splits['val'][0]:04d}")
    planters = {**_FILE_PLANTERS, **_LABEL_PLANTERS}
    defects = [_defect(root, code, path=plant(victims.pop(0))) for code, plant in planters.items()]
    defects.append(_defect(root, "D01", path=_copy_pair(sources[0], victims.pop(0))))
    defects.append(_defect(root, "D04", path=_copy_pair(sources[1], val)))
    document = {"schema": 1, "defects": [asdict(defect) for defect in defects]}
    text = json.dumps(document, indent=2) + "\n"
    (root / "defects.json").write_text(text, encoding="utf-8", newline="\n")
    return tuple(defects)


def pairs_needed() -> int:
    """Return how many pairs a demo must have so that each defect has one of its own.

    A fifth of the pairs is for validation, and one training pair in 26 shows no object; so this
    is some more than the number of defects.
    """
    num_train = NUM_SOURCES + len(_FILE_PLANTERS) + len(_LABEL_PLANTERS) + 1
    return (num_train + num_train // 20 + 1) * 5 // 4 + 1


def _defect(root: Path, code: str, *, path: Path) -> Defect:
    """Describe a planted defect; a bad line is always the last one of its file."""
    relative = path.relative_to(root).as_posix()
    if code not in _LABEL_LINES:
        return Defect(code, relative)
    return Defect(code, relative, len(path.read_text(encoding="utf-8").splitlines()))


def _orphan_rgb(pair: _Pair) -> Path:
    pair.ir.unlink()
    return pair.rgb


def _orphan_ir(pair: _Pair) -> Path:
    pair.rgb.unlink()
    pair.label.unlink()
    return pair.ir


def _second_rgb(pair: _Pair) -> Path:
    """Add a file of the same key and another suffix."""
    with Image.open(pair.rgb) as image:
        image.point([min(255, level + 12) for level in range(256)] * 3).save(
            pair.rgb.with_suffix(".png")
        )
    return pair.rgb


def _other_aspect(pair: _Pair) -> Path:
    with Image.open(pair.ir) as image:
        squeezed = image.resize((image.width, image.height * 4 // 5))
    squeezed.save(pair.ir, quality=95)
    return pair.ir


def _ir_is_rgb(pair: _Pair) -> Path:
    with Image.open(pair.rgb) as image:
        grey = image.convert("L")
    return _replace(pair.ir, grey)


def _pseudo_colour(pair: _Pair) -> Path:
    with Image.open(pair.ir) as image:
        levels = np.asarray(image)
    corners = np.array(IRON, np.float64)
    places = np.linspace(0, 255, len(corners))
    curve = [np.interp(np.arange(256), places, corners[:, channel]) for channel in range(3)]
    return _replace(pair.ir, Image.fromarray(np.stack(curve, axis=1).astype(np.uint8)[levels]))


def _blank_ir(pair: _Pair) -> Path:
    with Image.open(pair.ir) as image:
        blank = Image.new("L", image.size, 118)
    blank.save(pair.ir, quality=95)
    return pair.ir


def _deep_ir(pair: _Pair) -> Path:
    """Store this one image as radiometric 16-bit counts."""
    with Image.open(pair.ir) as image:
        counts = np.asarray(image).astype(np.uint16) * np.uint16(24) + np.uint16(6000)
    return _replace(pair.ir, Image.fromarray(counts))


def _unreadable(pair: _Pair) -> Path:
    pair.rgb.write_bytes(b"this was an image once\n" * 40)
    return pair.rgb


def _truncated(pair: _Pair) -> Path:
    data = pair.rgb.read_bytes()
    pair.rgb.write_bytes(data[: len(data) * 3 // 5])
    return pair.rgb


def _huge(pair: _Pair) -> Path:
    """Put a file of some kB that unpacks to far more pixels than any camera has."""
    return _replace(pair.rgb, Image.new("1", HUGE_PX))


def _wrong_suffix(pair: _Pair) -> Path:
    with Image.open(pair.rgb) as image:
        image.load()
        image.save(pair.rgb, format="PNG")
    return pair.rgb


def _tiny(pair: _Pair) -> Path:
    with Image.open(pair.rgb) as image:
        small = image.resize(TINY_PX)
    small.save(pair.rgb, quality=92)
    return pair.rgb


def _missing_label(pair: _Pair) -> Path:
    pair.label.unlink()
    return pair.label


def _copy_pair(source: _Pair, pair: _Pair) -> Path:
    for ours, theirs in ((source.rgb, pair.rgb), (source.ir, pair.ir), (source.label, pair.label)):
        shutil.copyfile(ours, theirs)
    return pair.rgb


def _replace(path: Path, image: Image.Image) -> Path:
    """Store an image without loss instead of the JPEG; the stem, and with it the pair, stays."""
    path.unlink()
    image.save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def _append_line(line: str) -> Planter:
    def plant(pair: _Pair) -> Path:
        with pair.label.open("a", encoding="utf-8", newline="\n") as file:
            file.write(line)
        return pair.label

    return plant


def _repeat_line(pair: _Pair) -> Path:
    first = pair.label.read_text(encoding="utf-8").splitlines()[0]
    return _append_line(f"{first}\n")(pair)


_FILE_PLANTERS: dict[str, Planter] = {
    "P01": _orphan_rgb,
    "P02": _orphan_ir,
    "P03": _second_rgb,
    "P06": _ir_is_rgb,
    "P04": _other_aspect,
    "P10": _pseudo_colour,
    "P11": _blank_ir,
    "P14": _deep_ir,
    "I01": _unreadable,
    "I02": _truncated,
    "I03": _huge,
    "I04": _wrong_suffix,
    "I05": _tiny,
    "L09": _missing_label,
}
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
