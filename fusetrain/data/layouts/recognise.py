"""Recognise a folder as a data set: where the modalities, the splits and the labels are.

The order of what is tried: sibling folders, suffixes in one folder, pairs that a COCO JSON states,
files with four channels. What was chosen although something else would fit as well is noted, and
where nothing is better than something else an error says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fusetrain.data.decode import ImageError
from fusetrain.data.formats.coco_json import CocoFile
from fusetrain.data.formats.voc_xml import DRONEVEHICLE_NAMES
from fusetrain.data.layouts.border import find_border
from fusetrain.data.layouts.known import Evidence, KnownLayout, name_layout
from fusetrain.data.layouts.label_places import FoundLabels, LabelFinder
from fusetrain.data.layouts.placements import (
    Placement,
    both_in_one,
    find_siblings,
    find_suffixed,
    image_folders,
    unused_folders,
)
from fusetrain.data.layouts.splits import SplitPlan, plan_splits
from fusetrain.data.layouts.stated import stated_source
from fusetrain.data.layouts.telling import images_text, labels_text, unused_notes
from fusetrain.data.layouts.unknown import several_sets, unknown_layout
from fusetrain.data.layouts.view import MAX_FOLDERS, TreeView, join
from fusetrain.data.layouts.words import SPLIT_WORDS, read_place
from fusetrain.data.pairing import pair_key
from fusetrain.data.rgbt import holds_infrared
from fusetrain.data.sources import LabelSet, Layout, Recognised, Source
from fusetrain.data.storage import AS_FILES, Storage
from fusetrain.errors import DataError

JSON_HEAD_BYTES = 4096
FOUR_CHANNEL_SAMPLE = 6


def recognise(path: Path) -> Recognised:
    """Return what a folder without a data YAML is.

    Raises:
        DataError: Nothing known fits, or several things fit equally well.
    """
    try:
        tree = TreeView.read(path)
    except OSError as error:
        raise DataError(f"cannot be listed: {error.strerror}", where=str(path)) from error
    siblings = find_siblings(tree)
    matched = [part for part in siblings if part.num_shared]
    suffixed = [] if matched else find_suffixed(tree)
    if matched or suffixed:
        return _from_placements(tree, _one_set(matched or suffixed, path))
    if (found := _stated(tree)) or (found := _four_channels(tree)):
        return found
    if siblings:
        return _from_placements(tree, _one_set(siblings, path))
    raise unknown_layout(tree, path)


def _one_set(placements: Sequence[Placement], path: Path) -> Sequence[Placement]:
    """Return the placements if they belong to one data set.

    Raises:
        DataError: They belong to several.
    """
    kinds = {_kind(part): part for part in reversed(placements)}
    starts = {part.frame[:1] for part in placements}
    if len(kinds) > 1 and len(starts) > 1:
        shown = [
            f"{part.rgb_folder or '.'} with {part.ir_folder or '.'}" for part in kinds.values()
        ]
        raise several_sets(sorted(shown), path)
    return placements


def _kind(placement: Placement) -> tuple[str, ...]:
    """Return how a placement tells its modalities apart, whatever the split."""
    words = []
    for folder in (placement.rgb_folder, placement.ir_folder):
        name = read_place(folder).modality_name.lower()
        for split in SPLIT_WORDS:
            name = name.replace(split, "")
        words.append(name)
    return (*words, placement.rgb_suffix, placement.ir_suffix)


def _from_placements(tree: TreeView, placements: Sequence[Placement]) -> Recognised:
    placements = _one_resolution(placements)
    labels, notes = _labels_of(tree, placements)
    known = name_layout(Evidence(placements, labels))
    plan = plan_splits(tree, placements, known=known)
    storage = AS_FILES
    if known.name == "dronevehicle":
        storage = Storage(border_px=_border_of(tree, placements))
        if storage.border_px:
            notes.append(f"the white frame of {storage.border_px} px is cut off all images")
    sources = [_source(part, found, known) for part, found in zip(placements, labels, strict=True)]
    splits = {
        split: tuple(
            sources[number] if names is None else replace(sources[number], names=names)
            for number, names in parts.items()
        )
        for split, parts in plan.parts.items()
    }
    sentence = f"{known.title}: {images_text(placements)}; {labels_text(labels)}"
    if not tree.is_complete:
        notes.append(f"only the first {MAX_FOLDERS} folders were looked at")
    notes = [*unused_notes(unused_folders(tree, placements), labels), *notes, *plan.notes]
    return Recognised(Layout(known.name, sentence, tuple(notes)), splits, storage=storage)


def _labels_of(
    tree: TreeView, placements: Sequence[Placement]
) -> tuple[list[FoundLabels], list[str]]:
    """Return the labels of every placement; JSON files are opened only if others are missing."""
    is_only = len({(part.split, part.frame) for part in placements}) == len(
        {part.split for part in placements}
    )
    finder = LabelFinder(tree, {}, is_one_part=is_only)
    found = [finder.find(part) for part in placements]
    if all(entry.labels for entry in found):
        return found, []
    stems, notes = _coco_stems(tree)
    if not stems:
        return found, notes
    finder = LabelFinder(tree, stems, is_one_part=is_only)
    return [finder.find(part) for part in placements], notes


def _coco_stems(tree: TreeView) -> tuple[dict[str, frozenset[str]], list[str]]:
    """Return the keys of the images that each COCO file names, and notes about unusable ones."""
    stems, notes = {}, []
    for path in _coco_files(tree):
        try:
            names = CocoFile.read(tree.root / path, name=path).file_names
        except DataError as error:
            notes.append(f"{path} is not used: {error.what}")
            continue
        stems[path] = frozenset(pair_key(name).rpartition("/")[2] for name in names)
    return stems, notes


def _coco_files(tree: TreeView) -> list[str]:
    return [
        path
        for folder, view in tree.folders.items()
        for name in view.jsons
        if _looks_like_coco(tree.root / (path := join(folder, name)))
    ]


def _looks_like_coco(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(JSON_HEAD_BYTES)
    except OSError:
        return False
    keys = (b'"images"', b'"annotations"', b'"categories"', b'"info"', b'"licenses"')
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and any(k in head for k in keys)


def _one_resolution(placements: Sequence[Placement]) -> list[Placement]:
    """Keep one folder of several that hold the same images in other sizes, as VEDAI has them."""
    kept: list[Placement] = []
    for part in placements:
        is_twin = part.rgb_folder == part.ir_folder and any(
            other.split == part.split and other.keys.keys() == part.keys.keys() for other in kept
        )
        if not is_twin:
            kept.append(part)
    return kept


def _source(placement: Placement, found: FoundLabels, known: KnownLayout) -> Source:
    guessed = _guessed_label_folder(placement)
    labels = _named(found.labels, known)
    place = labels.place if labels and labels.place is not None else guessed
    is_plain = labels is None or labels == LabelSet(place)
    return Source(
        placement.rgb_folder,
        placement.ir_folder,
        guessed if labels and labels.format == "coco" else place,
        placement.rgb_names if placement.is_picked else None,
        rgb_suffix=placement.rgb_suffix,
        ir_suffix=placement.ir_suffix,
        labels=None if is_plain else labels,
        ir_labels=_named(found.ir_labels, known),
    )


def _named(labels: LabelSet | None, known: KnownLayout) -> LabelSet | None:
    if labels is None or known.name != "dronevehicle" or labels.format != "voc":
        return labels
    return replace(labels, renamed=tuple(DRONEVEHICLE_NAMES.items()))


def _guessed_label_folder(placement: Placement) -> str:
    """Return where labels of a set without any would be looked for first."""
    name = read_place(placement.rgb_folder).modality_name or "images"
    parts = placement.rgb_folder.split("/")
    return "/".join("labels" if part in (name, "images") else part for part in parts)


def _border_of(tree: TreeView, placements: Sequence[Placement]) -> int:
    first = placements[0]
    paths = [tree.root / join(first.rgb_folder, name) for name in first.rgb_names]
    infrared = [tree.root / join(first.ir_folder, name) for name in first.ir_names]
    found = find_border(paths)
    return found if found and find_border(infrared) == found else 0


def _stated(tree: TreeView) -> Recognised | None:
    """Return the set that COCO files with both file names state, one file a split."""
    splits: dict[str, tuple[Source, ...]] = {}
    for path in _coco_files(tree):
        try:
            source = stated_source(tree.root, path)
        except DataError:
            continue
        split = read_place(path.rpartition(".")[0]).split or "train"
        splits[split] = (*splits.get(split, ()), source)
    if not splits:
        return None
    files = ", ".join(source.label_set.place or "" for parts in splits.values() for source in parts)
    plan = SplitPlan.of_names(splits)
    sentence = f"COCO JSON: {files} names the visible and the infrared image of every pair"
    return Recognised(
        Layout("coco", sentence, plan.notes), {name: splits[old] for name, old in plan.names}
    )


def _four_channels(tree: TreeView) -> Recognised | None:
    """Return the set whose files hold both modalities, if all that are looked at do."""
    folders = []
    for place in image_folders(tree):
        part = both_in_one(tree, place)
        paths = [tree.root / place.path / name for name in part.rgb_names]
        step = max(1, -(-len(paths) // FOUR_CHANNEL_SAMPLE))
        try:
            if paths and all(holds_infrared(path) for path in paths[::step]):
                folders.append(part)
        except ImageError:
            continue
    if not folders:
        return None
    found = _from_placements(tree, folders)
    labels, _ = _labels_of(tree, folders)
    shown = ", ".join(part.rgb_folder or "." for part in folders)
    sentence = f"both modalities in one file: {shown}; {labels_text(labels)}"
    return replace(
        found,
        layout=replace(found.layout, name="rgbt", sentence=sentence),
        storage=Storage(channels="rgbt"),
    )
