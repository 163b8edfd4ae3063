"""The lists of train, val and test that come with a data set, as text files of names.

A line may be a stem, a file name or a path; it is looked up among the images of the set. Lists are
used only where the folders themselves do not say the split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fusetrain.data.labels import read_label_text
from fusetrain.data.layouts.placements import Placement
from fusetrain.data.layouts.view import TreeView, join
from fusetrain.data.layouts.words import PARTS, SPLIT_WORDS, read_component
from fusetrain.data.pairing import pair_key
from fusetrain.data.sources import SPLITS

LIST_FOLDERS = frozenset({"main", "imagesets", "imageset", "split", "splits", "lists", "list"})
# VEDAI publishes ten folds; the first stands for all.
FIRST_FOLD = {"fold01": "train", "fold1": "train", "fold01test": "val", "fold1test": "val"}
ENOUGH_FOUND = 0.5


@dataclass(frozen=True)
class PublishedSplits:
    """Which images each list asks for.

    Attributes:
        names: Split to number of the placement to names of visible images below its folder.
        files: Split to the list it comes from, relative to the root.
        num_missing: Lines that name no image of the set.
    """

    names: Mapping[str, Mapping[int, tuple[str, ...]]]
    files: Mapping[str, str]
    num_missing: int


def find_lists(tree: TreeView, placements: Sequence[Placement]) -> PublishedSplits | None:
    """Return the published splits of a set; None where there are no lists that fit."""
    known = _known_images(placements)
    names: dict[str, dict[int, tuple[str, ...]]] = {}
    files: dict[str, str] = {}
    num_missing = 0
    for split, path in sorted(_candidates(tree), key=lambda found: _order(found[1])):
        if split in names:
            continue
        lines = _read_lines(tree, path)
        found = [image for line in lines if (image := _look_up(known, line)) is not None]
        if not lines or len(found) < ENOUGH_FOUND * len(lines):
            continue
        picked: dict[int, dict[str, None]] = {}
        for number, name in found:
            picked.setdefault(number, {})[name] = None
        names[split] = {number: tuple(sorted(own)) for number, own in sorted(picked.items())}
        files[split] = path
        num_missing += len(lines) - len(found)
    ordered = {split: names[split] for split in SPLITS if split in names}
    return PublishedSplits(ordered, files, num_missing) if "train" in ordered else None


def _candidates(tree: TreeView) -> Iterator[tuple[str, str]]:
    """Yield the split and path of every text file that could be a list."""
    for path, view in tree.folders.items():
        name = path.rpartition("/")[2]
        component = read_component(name) if path else None
        is_expected = not path or name.lower() in LIST_FOLDERS
        is_expected = is_expected or bool(component and component.is_labels)
        if not is_expected and (view.images or path.count("/") > 1):
            continue
        for text in view.texts:
            if split := _split_of(text.rpartition(".")[0]):
                yield split, join(path, text)


def _split_of(stem: str) -> str:
    if stem.lower() in FIRST_FOLD:
        return FIRST_FOLD[stem.lower()]
    words = [word.lower() for word in PARTS.findall(stem)]
    found = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else ""


def _order(path: str) -> tuple[int, int, str]:
    """Put the plainest name first: train.txt before train_day.txt."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return len(re.findall("[A-Za-z]+", stem)), len(stem), path


def _read_lines(tree: TreeView, path: str) -> list[str]:
    try:
        text = read_label_text(tree.root / path)
    except (OSError, ValueError):
        return []
    return [line.strip().replace("\\", "/") for line in text.split("\n") if line.strip()]


def _known_images(placements: Sequence[Placement]) -> dict[str, tuple[int, str] | None]:
    """Return what an image may be called in a list to the image; None where that is unclear."""
    known: dict[str, tuple[int, str] | None] = {}
    for number, placement in enumerate(placements):
        for key, name in placement.keys.items():
            stem = key.rpartition("/")[2]
            framed = "/".join((*placement.frame, key))
            raw = pair_key(name)
            calls = {key, stem, framed, raw, raw.rpartition("/")[2], framed.replace("/", "_")}
            for suffix in (placement.ir_suffix, placement.rgb_suffix):
                calls |= {f"{key}{suffix.casefold()}", f"{stem}{suffix.casefold()}"}
            calls.add(pair_key(join(placement.rgb_folder, name)))
            calls.add(pair_key(join(placement.ir_folder, name)))
            for call in calls:
                known[call] = (
                    (number, name) if call not in known else _same(known[call], number, name)
                )
    return known


def _same(other: tuple[int, str] | None, number: int, name: str) -> tuple[int, str] | None:
    return other if other == (number, name) else None


def _look_up(known: Mapping[str, tuple[int, str] | None], line: str) -> tuple[int, str] | None:
    key = pair_key(line.removeprefix("./"))
    while key:
        if key in known:
            return known[key]
        key = key.partition("/")[2]
    return None
