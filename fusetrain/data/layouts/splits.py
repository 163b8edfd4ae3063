"""Decide which images make up train, val and test of a recognised folder.

The folders say it, or the set has a published split, or it comes with lists; else all is train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusetrain.data.layouts.known import KnownLayout, kaist_split
from fusetrain.data.layouts.lists import find_lists
from fusetrain.data.layouts.placements import Placement
from fusetrain.data.layouts.view import TreeView
from fusetrain.data.sources import SPLITS

# Number of a placement to the names of its visible images; None takes all of them.
Parts = Mapping[int, tuple[str, ...] | None]

TEST_AS_VAL = "there is no val split: val is the published test split"
NO_SPLITS = "the set has no splits: all pairs are train; `fusetrain prepare split` makes val"


@dataclass(frozen=True)
class SplitPlan:
    """What each split consists of.

    Attributes:
        parts: Split to its parts.
        notes: What users should know about it.
        names: Split to the split that it was called before.
    """

    parts: Mapping[str, Parts]
    notes: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_names(cls, splits: Mapping[str, object]) -> SplitPlan:
        """Return what splits are called in the end; a test split stands in for a missing val."""
        ordered = [split for split in SPLITS if split in splits]
        if ordered == ["train", "test"]:
            return cls({}, (TEST_AS_VAL,), (("train", "train"), ("val", "test")))
        notes = (NO_SPLITS,) if ordered == ["train"] else ()
        return cls({}, notes, tuple((split, split) for split in ordered))


def plan_splits(
    tree: TreeView, placements: Sequence[Placement], *, known: KnownLayout
) -> SplitPlan:
    """Return the splits of a recognised folder."""
    parts: dict[str, dict[int, tuple[str, ...] | None]] = {}
    notes: list[str] = []
    if any(part.split for part in placements):
        for number, part in enumerate(placements):
            if part.split:
                parts.setdefault(part.split, {})[number] = None
            else:
                notes.append(f"{part.rgb_folder or '.'} belongs to no split and is not used")
    elif published := find_lists(tree, placements):
        parts = {split: dict(own) for split, own in published.names.items()}
        notes.append(f"splits as in {', '.join(published.files.values())}")
        if published.num_missing:
            notes.append(f"{published.num_missing} lines of these lists name no image of the set")
    elif known.name == "kaist":
        parts = _kaist_parts(placements)
        notes.append("splits as published: sets 00 to 05 are train, 06 to 11 are test")
    else:
        parts = {"train": dict.fromkeys(range(len(placements)))}
    plan = SplitPlan.of_names(parts)
    return SplitPlan({name: parts[old] for name, old in plan.names}, (*notes, *plan.notes))


def _kaist_parts(
    placements: Sequence[Placement],
) -> dict[str, dict[int, tuple[str, ...] | None]]:
    parts: dict[str, dict[int, tuple[str, ...] | None]] = {}
    for number, part in enumerate(placements):
        by_split: dict[str, list[str]] = {}
        for key, name in part.keys.items():
            by_split.setdefault(kaist_split(part, key), []).append(name)
        for split, names in by_split.items():
            own = None if len(by_split) == 1 else tuple(names)
            parts.setdefault(split, {})[number] = own
    return parts
