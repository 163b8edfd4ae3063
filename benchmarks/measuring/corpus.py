"""Grow small data sets with known defects and ask the checks about them; used by `defects.py`.

A kind of defect says which codes must come, and where. Kinds that concern one pair share a set,
each with a pair of its own; kinds that concern a whole set get one each. Everything is measured in
this process, so that hundreds of small sets take minutes. The sources are only read.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from fusetrain.checks.audit import audit_path
from fusetrain.checks.findings import Finding, Level
from fusetrain.checks.flow.judging import Evidence, judge
from fusetrain.checks.flow.tasks import all_tasks
from fusetrain.checks.images import measure_pair
from fusetrain.checks.registration.partners import measure_partners, partner_tasks
from fusetrain.checks.registration.shifts import measure_registration
from fusetrain.checks.window import measure_window, window_tasks
from fusetrain.data.index import scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError

MAX_SHIFT_PX = 10.0


@dataclass(frozen=True)
class Pair:
    """Where the files of a pair lie."""

    rgb: Path
    ir: Path
    label: Path

    def image(self, role: str) -> Image.Image:
        """Return the decoded visible (rgb) or infrared (ir) image."""
        with Image.open(self.rgb if role == "rgb" else self.ir) as image:
            image.load()
            return image.copy()

    def lines(self) -> list[str]:
        """Return the lines of the label file."""
        return self.label.read_text(encoding="utf-8").splitlines()

    def write_lines(self, lines: Iterable[str]) -> None:
        """Replace the label file."""
        self.label.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@dataclass
class Set:
    """A data set that defects are planted into.

    Attributes:
        root: Its folder.
        train: Pairs of the training split that are still as they were.
        val: The same for validation.
        rng: What is drawn is drawn from here.
    """

    root: Path
    train: list[Pair]
    val: list[Pair]
    rng: random.Random
    taken: list[Pair] = field(default_factory=list)

    def take(self) -> Pair:
        """Return a training pair that nobody else will touch."""
        self.taken.append(self.train.pop(self.rng.randrange(len(self.train))))
        return self.taken[-1]

    def pairs(self) -> list[Pair]:
        """Return all pairs that are still as they were."""
        return [*self.train, *self.val]

    def name(self, path: Path) -> str:
        """Return a path as findings give it."""
        return path.relative_to(self.root).as_posix()


# What a planter says: the file that a finding must name; None where it names a split or the set.
Planter = Callable[[Set], Path | None]


@dataclass(frozen=True)
class Kind:
    """A kind of defect.

    Attributes:
        name: For the table.
        codes: One of these must be found.
        level: How bad it must be called at least, which says how many may be missed.
        plant: Does the damage.
        whole_set: It needs a set of its own.
        num_pairs: Training pairs of that set.
        registration: Shifts and partners are looked at.
        only_real: The synthetic pairs do not show it.
    """

    name: str
    codes: tuple[str, ...]
    level: Level
    plant: Planter
    whole_set: bool = False
    num_pairs: int = 16
    registration: bool = False
    only_real: bool = False


@dataclass(frozen=True)
class Source:
    """Pairs with labels that sets are grown from.

    Attributes:
        pairs: All of them.
        names: Classes.
        is_real: They were photographed.
    """

    pairs: tuple[Pair, ...]
    names: tuple[str, ...]
    is_real: bool


def read_source(path: Path, *, is_real: bool) -> Source:
    """Return the training pairs of a data set that have boxes."""
    spec = load_spec(path)
    scan = scan_split(spec, "train")
    pairs = [
        Pair(spec.root / rgb, spec.root / ir, spec.root / label)
        for row, (rgb, ir, label) in enumerate(
            zip(scan.index.rgb_paths, scan.index.ir_paths, scan.label_paths, strict=True)
        )
        if len(scan.index.classes(row))
    ]
    return Source(tuple(pairs), spec.class_names, is_real)


def grow(source: Source, root: Path, *, rng: random.Random, train: int, val: int = 8) -> Set:
    """Copy pairs, drawn at random, into a new data set; they keep the order of their names."""
    drawn = sorted(rng.sample(range(len(source.pairs)), train + val))
    splits: dict[str, list[Pair]] = {"train": [], "val": []}
    for place, number in enumerate(drawn):
        split = "train" if place < train else "val"
        splits[split].append(_copy(source.pairs[number], root, split))
    text = f"path: .\ntrain: images/train\nval: images/val\nnames: {json.dumps(source.names)}\n"
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return Set(root, splits["train"], splits["val"], rng)


def _copy(pair: Pair, root: Path, split: str) -> Pair:
    copies = []
    parts = ("images", "imagesIR", "labels")
    for part, path in zip(parts, (pair.rgb, pair.ir, pair.label), strict=True):
        target = root / part / split / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        copies.append(target)
    return Pair(*copies)


def findings_of(root: Path, *, registration: bool = False) -> tuple[Finding, ...]:
    """Return what the checks find, all in this process."""
    try:
        spec = load_spec(root / "data.yaml")
    except DataError:
        return audit_path(root / "data.yaml", workers=1).findings
    scans = {split: scan_split(spec, split) for split in spec.splits}
    tasks = all_tasks([scan.index for scan in scans.values()])
    facts = [measure_pair(task) for task in tasks]
    shifts = [measure_registration(task) for task in tasks] if registration else []
    blocks = [replace(task, storage=spec.storage) for task in partner_tasks(shifts, str(spec.root))]
    partners = [measure_partners(block) for block in blocks]
    seen = [found for task in window_tasks(spec, scans, facts) for found in measure_window(task)]
    evidence = Evidence(scans, facts, shifts, partners, windows=seen)
    return judge(evidence, imgsz=640, max_shift_px=MAX_SHIFT_PX)


def is_found(kind: Kind, place: str | None, findings: Iterable[Finding]) -> bool:
    """Say whether a defect is among the findings, at least as bad as its kind."""
    accepted = {"error": ("error",), "warn": ("error", "warn")}.get(kind.level)
    return any(
        entry.code in kind.codes
        and (place is None or entry.path == place)
        and (accepted is None or entry.level in accepted)
        for entry in findings
    )
