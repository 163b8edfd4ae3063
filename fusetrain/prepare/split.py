"""Splits that do not leak: the plan of `prepare split`.

Frames of one recording and near duplicates stay together; what is dealt are such groups, so that
classes and dark scenes are shared out evenly. Splits that a set has, and lists, are kept.
How groups are found and dealt stands in `grouping.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.sources import SPLITS
from fusetrain.errors import DataError
from fusetrain.prepare.grouping import LEFT_OUT, TO_DEAL, Dealing, deal_pairs
from fusetrain.prepare.likeness import Likeness, measure_likeness
from fusetrain.prepare.listed import UNLISTED, listed_splits
from fusetrain.prepare.notes import counted
from fusetrain.prepare.plans import (
    NewPair,
    Plan,
    SourceSet,
    native_plan,
    open_set,
    stem_of,
)
from fusetrain.prepare.recordings import frames

RATIOS = (0.8, 0.1, 0.1)
# A share of pairs this far from what was asked for is worth a word.
FAR_OFF = 0.05


@dataclass(frozen=True)
class Wish:
    """How a set should be split.

    Attributes:
        ratios: Wanted shares of train, val and test; 0 makes no such split.
        seed: Decides between equally good ways.
        gap: Numbers between two frames from which on they are of two recordings; 0: far beyond the
            usual step.
        block: Frames of a piece into which recordings may be cut; 0 keeps them whole.
        looks_at_pixels: Near duplicates and darkness count; False goes by names and labels alone.
        keeps_splits: Splits that the set has stay as they are; only train is dealt out.
        lists: Files that name the pairs of some splits.
    """

    ratios: tuple[float, float, float] = RATIOS
    seed: int = 0
    gap: int = 0
    block: int = 0
    looks_at_pixels: bool = True
    keeps_splits: bool = True
    lists: tuple[Path, ...] = ()


def plan_split(
    path: Path,
    wish: Wish,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Return the plan of a set with new splits.

    Args:
        path: Data YAML or folder.
        wish: What is wanted.
        workers: Processes that decode; one a core if None.
        progress: Is told the pairs that are measured and their total.

    Raises:
        DataError: The set cannot be used, has these splits already, or cannot be split without
            leaks.
    """
    source = open_set(path)
    stems = _stems(source)
    fixed = _fixed(source, stems, wish)
    likeness = None
    if wish.looks_at_pixels:
        likeness = measure_likeness(source, workers=workers, progress=progress)
    features = _features(source, likeness)
    dealing = deal_pairs(
        features,
        wish.ratios,
        fixed=fixed,
        recorded=frames(stems, gap=wish.gap),
        likeness=likeness,
        block=wish.block,
        seed=wish.seed,
    )
    pairs = [
        NewPair(scan, row, SPLITS[dealing.splits[number]], stems[number])
        for number, (scan, row) in enumerate(source.pairs)
        if dealing.splits[number] >= 0
    ]
    pairs.sort(key=lambda pair: SPLITS.index(pair.split))
    facts = _facts(features, dealing, source.spec.class_names)
    notes = _notes(facts, dealing, wish, fixed)
    return native_plan("split", source, pairs, options=_options(wish), facts=facts, notes=notes)


def _stems(source: SourceSet) -> list[str]:
    """Return the name of every pair; with its old split in front where splits share names."""
    names = [stem_of(scan.index, row) for scan, row in source.pairs]
    if max(Counter(name.casefold() for name in names).values()) == 1:
        return names
    splits = (scan.index.split for scan, _ in source.pairs)
    return [f"{split}/{name}" for split, name in zip(splits, names, strict=True)]


def _fixed(source: SourceSet, stems: Sequence[str], wish: Wish) -> NDArray[np.int64]:
    """Return (N,) the splits that pairs must be in; TO_DEAL where they are free.

    Raises:
        DataError: The set has all splits that are wanted.
    """
    if wish.lists:
        listed = listed_splits(wish.lists, stems)
        filled = set(listed[listed != UNLISTED].tolist())
        is_open = any(ratio and split not in filled for split, ratio in enumerate(wish.ratios))
        return np.where(listed == UNLISTED, TO_DEAL if is_open else LEFT_OUT, listed)
    splits = [SPLITS.index(scan.index.split) for scan, _ in source.pairs]
    present = set(splits)
    if len(present) < 2 or not wish.keeps_splits:
        return np.full(len(splits), TO_DEAL, np.int64)
    if all(split in present for split, ratio in enumerate(wish.ratios) if ratio):
        shown = ", ".join(SPLITS[split] for split in sorted(present))
        raise DataError(
            f"the data set has the splits {shown} already",
            where=str(source.spec.path),
            expected="a split that is missing, or a set without splits",
            remedy="--redo deals all pairs anew",
        )
    train = SPLITS.index("train")
    return np.array([TO_DEAL if split == train else split for split in splits], np.int64)


def _features(source: SourceSet, likeness: Likeness | None) -> NDArray[np.float64]:
    """Return (N, 2 + classes): one, dark or not, boxes of each class."""
    num_classes = len(source.spec.class_names)
    features = np.zeros((len(source.pairs), 2 + num_classes))
    features[:, 0] = 1.0
    if likeness is not None:
        features[:, 1] = likeness.is_dark
    for number, (scan, row) in enumerate(source.pairs):
        features[number, 2:] = np.bincount(scan.index.classes(row), minlength=num_classes)
    return features


def _facts(
    features: NDArray[np.float64], dealing: Dealing, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return what each split got."""
    total = max(1, int((dealing.splits >= 0).sum()))
    shares = {}
    for number, split in enumerate(SPLITS):
        members = features[dealing.splits == number]
        if len(members):
            boxes = members[:, 2:].sum(axis=0).astype(int).tolist()
            shares[split] = {
                "pairs": len(members),
                "share": round(len(members) / total, 4),
                "dark": round(float(members[:, 1].mean()), 4),
                "boxes": dict(zip(class_names, boxes, strict=True)),
            }
    return {"splits": shares, "groups": dealing.num_groups}


def _notes(
    facts: Mapping[str, Any], dealing: Dealing, wish: Wish, fixed: NDArray[np.int64]
) -> list[str]:
    notes = [f"{counted(dealing.num_groups, 'group')} of frames that belong together were dealt"]
    if (fixed >= 0).any():
        notes.append(f"{counted(int((fixed >= 0).sum()), 'pair')} stay in the split they had")
    if dealing.num_leaks:
        notes.append(
            f"{counted(dealing.num_leaks, 'pair')} that had to stay apart look like, or were "
            "recorded with, pairs of another split"
        )
    unlisted = int((fixed == LEFT_OUT).sum())
    if unlisted:
        notes.append(f"{counted(unlisted, 'pair')} that no list names will be left out")
    if wish.block:
        notes.append(
            f"recordings are cut into blocks of {wish.block} frames; {dealing.num_guarded} frames "
            "beside a cut will be left out"
        )
    if not (fixed >= 0).any():
        for split, ratio in zip(SPLITS, wish.ratios, strict=True):
            share = facts["splits"].get(split, {}).get("share", 0.0)
            if abs(share - ratio) > FAR_OFF:
                notes.append(
                    f"{split} gets {share:.0%} of the pairs instead of {ratio:.0%}: the groups "
                    "leave no better choice"
                )
    return notes


def _options(wish: Wish) -> dict[str, Any]:
    return {
        "ratios": list(wish.ratios),
        "seed": wish.seed,
        "gap": wish.gap,
        "block": wish.block,
        "looks_at_pixels": wish.looks_at_pixels,
        "redo": not wish.keeps_splits,
        "lists": [str(path) for path in wish.lists],
    }
