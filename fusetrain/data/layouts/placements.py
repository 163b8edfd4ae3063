"""Find where the two modalities of a data set lie: sibling folders, or suffixes in one folder.

Several ways may fit one folder. The most specific wins and the others are named; of two that are
equally good none is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fusetrain.data.layouts.view import TreeView, is_below, join
from fusetrain.data.layouts.words import Place, read_place, without_modality
from fusetrain.data.pairing import has_suffix, pair_key
from fusetrain.errors import DataError, Problem

# Visible and infrared suffix of file stems, the most specific first.
SUFFIX_PAIRS: tuple[tuple[str, str], ...] = (
    ("_RGB", "_PreviewData"),
    ("_visible", "_lwir"),
    ("_visible", "_infrared"),
    ("_visible", "_thermal"),
    ("_visible", "_ir"),
    ("_co", "_ir"),
    ("_rgb", "_thermal"),
    ("_rgb", "_lwir"),
    ("_rgb", "_infrared"),
    ("_rgb", "_tir"),
    ("_rgb", "_ir"),
    ("_rgb", "_t"),
    ("_vis", "_lwir"),
    ("_vis", "_ir"),
    ("_vi", "_ir"),
    ("-visible", "-infrared"),
    ("-rgb", "-thermal"),
    ("-rgb", "-ir"),
    ("-vis", "-ir"),
    ("_V", "_T"),
    ("", "_ir"),
    ("", "_lwir"),
    ("", "_thermal"),
    ("", "_infrared"),
)
# Where a folder holds several versions of a modality: names of those that belong together, in
# lower case, the first to be preferred. FLIR draws its boxes on the 8-bit images.
PREFERRED: tuple[tuple[str, str], ...] = (
    ("images", "imagesir"),
    ("crop_lr_visible", "cropinfrared"),
    ("rgb", "thermal_8_bit"),
    ("vis", "ir"),
    ("visible", "infrared"),
    ("visible", "lwir"),
    ("rgb", "ir"),
    ("vi", "ir"),
)
ENOUGH_SHARED = 0.5


@dataclass(frozen=True)
class Placement:
    """Visible and infrared folder of one part of the set.

    Attributes:
        rgb_folder: Visible images, recursively.
        ir_folder: Infrared images.
        split: train, val or test, or "" where the folders do not say.
        frame: What tells parts of one split apart.
        rgb_suffix: What visible stems have behind their key.
        ir_suffix: What infrared stems have behind their key.
        rgb_names: Visible images below ``rgb_folder``.
        ir_names: Infrared images below ``ir_folder``.
        is_picked: Other images lie below the folders too; only those named belong to the set.
    """

    rgb_folder: str
    ir_folder: str
    split: str
    frame: tuple[str, ...]
    rgb_names: tuple[str, ...]
    ir_names: tuple[str, ...]
    rgb_suffix: str = ""
    ir_suffix: str = ""
    is_picked: bool = False

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """Return key to name of every visible image."""
        return {pair_key(name, suffix=self.rgb_suffix): name for name in self.rgb_names}

    @cached_property
    def num_shared(self) -> int:
        """Return how many keys both modalities have."""
        infrared = {pair_key(name, suffix=self.ir_suffix) for name in self.ir_names}
        return len(self.keys.keys() & infrared)


def find_siblings(tree: TreeView) -> list[Placement]:
    """Return the pairs of sibling folders, in any order of split and modality.

    Raises:
        DataError: Several folders of a modality fit equally well.
    """
    slots: dict[tuple[tuple[str, ...], str], dict[str, list[Place]]] = {}
    for place in _image_places(tree):
        if place.modality is not None:
            slot = slots.setdefault((place.frame, place.split), {"rgb": [], "ir": []})
            slot[place.modality].append(place)
    placements: list[Placement] = []
    problems: list[Problem] = []
    for slot in slots.values():
        _add_plain_folders(tree, slot)
        if slot["rgb"] and slot["ir"]:
            chosen = _choose(tree, slot["rgb"], slot["ir"])
            if isinstance(chosen, Problem):
                problems.append(chosen)
            elif chosen is not None:
                placements.append(chosen)
    if problems and not placements:
        raise DataError(
            "several folders could be a modality; say in a data.yaml which are meant",
            problems=problems,
        )
    return sorted(placements, key=lambda part: part.rgb_folder)


def find_suffixed(tree: TreeView) -> list[Placement]:
    """Return the folders whose files carry their modality as a suffix."""
    placements = []
    for path, view in tree.folders.items():
        place = read_place(path)
        if not view.images or place.is_labels:
            continue
        # Recordings below a known folder stay apart: their stems may be the same.
        inner = path[len(place.path) :].strip("/").lower()
        place = replace(place, path=path, frame=(*place.frame, *filter(None, inner.split("/"))))
        names = view.images
        for rgb_suffix, ir_suffix in SUFFIX_PAIRS:
            placement = _by_suffix(place, names, rgb_suffix, ir_suffix)
            if placement is not None:
                placements.append(placement)
                break
    return placements


def unused_folders(tree: TreeView, placements: Sequence[Placement]) -> list[str]:
    """Return the folders with images that are part of no placement."""
    used = {folder for part in placements for folder in (part.rgb_folder, part.ir_folder)}
    return [
        path or "."
        for path, view in tree.folders.items()
        if view.images
        and not read_place(path).is_labels
        and not any(above in used for above in _upward(path))
    ]


def _upward(path: str) -> Iterator[str]:
    """Yield a path and every folder above it."""
    yield path
    while path:
        path = path.rpartition("/")[0]
        yield path


def image_folders(tree: TreeView) -> list[Place]:
    """Return the folders of images that name no modality, such as those of four-channel files."""
    return [place for place in _image_places(tree) if place.modality is None]


def both_in_one(tree: TreeView, place: Place) -> Placement:
    """Return a folder of files that hold both modalities; pictures among the labels are none."""
    names = _names_below(tree, place.path)
    kept = tuple(
        name
        for name in names
        if not read_place(join(place.path, name).rpartition("/")[0]).is_labels
    )
    return Placement(
        place.path, place.path, place.split, place.frame, kept, kept, is_picked=kept != names
    )


def _image_places(tree: TreeView) -> list[Place]:
    """Return the places that hold images, each once; those of labels are left out."""
    found = {}
    for path, view in tree.folders.items():
        if view.images:
            place = read_place(path)
            if not place.is_labels:
                found[place.path] = place
    return list(found.values())


def _add_plain_folders(tree: TreeView, slot: dict[str, list[Place]]) -> None:
    """Add what is visible only because its sibling is infrared: images beside imagesIR."""
    for place in slot["ir"]:
        parts = place.path.split("/")
        for number, name in enumerate(parts):
            plain = without_modality(name)
            path = "/".join([*parts[:number], plain, *parts[number + 1 :]])
            if plain and path in tree.folders and _names_below(tree, path):
                slot["rgb"].append(replace(read_place(path), path=path, modality_name=plain))


def _choose(
    tree: TreeView, rgb_places: Sequence[Place], ir_places: Sequence[Place]
) -> Placement | Problem | None:
    """Return the pair of folders that share most names; None where none share any."""
    fitting = [
        (placement, _rank(rgb, ir))
        for rgb in rgb_places
        for ir in ir_places
        if (placement := _fitted(tree, rgb, ir)).num_shared
    ]
    if not fitting:
        rgb, ir = rgb_places[0], ir_places[0]
        alone = len(rgb_places) == len(ir_places) == 1
        return _fitted(tree, rgb, ir) if alone else None
    best = min(rank for _, rank in fitting)
    winners = [placement for placement, rank in fitting if rank == best]
    if len(winners) > 1:
        shown = " or ".join(f"{one.rgb_folder} with {one.ir_folder}" for one in winners)
        return Problem(f"two layouts fit equally well: {shown}")
    return winners[0]


def _fitted(tree: TreeView, rgb: Place, ir: Place) -> Placement:
    """Return two folders as a placement, with the suffixes that make their names agree."""
    plain = Placement(
        rgb.path,
        ir.path,
        rgb.split or ir.split,
        rgb.frame,
        _names_below(tree, rgb.path, without=ir.path),
        _names_below(tree, ir.path, without=rgb.path),
    )
    smaller = max(1, min(len(plain.rgb_names), len(plain.ir_names)))
    if plain.num_shared >= ENOUGH_SHARED * smaller:
        return plain
    suffixed = [
        replace(plain, rgb_suffix=rgb_suffix, ir_suffix=ir_suffix)
        for rgb_suffix, ir_suffix in SUFFIX_PAIRS
    ]
    best = max(suffixed, key=lambda placement: placement.num_shared)
    return best if best.num_shared > plain.num_shared else plain


def _rank(rgb: Place, ir: Place) -> int:
    names = (rgb.modality_name.lower(), ir.modality_name.lower())
    return PREFERRED.index(names) if names in PREFERRED else len(PREFERRED)


def _by_suffix(
    place: Place, names: Sequence[str], rgb_suffix: str, ir_suffix: str
) -> Placement | None:
    ir_names = tuple(name for name in names if has_suffix(name, ir_suffix))
    if not ir_names:
        return None
    rgb_names = tuple(
        name
        for name in names
        if (has_suffix(name, rgb_suffix) if rgb_suffix else not has_suffix(name, ir_suffix))
    )
    placement = Placement(
        place.path,
        place.path,
        place.split,
        place.frame,
        rgb_names,
        ir_names,
        rgb_suffix,
        ir_suffix,
    )
    smaller = min(len(rgb_names), len(ir_names))
    is_one = smaller and placement.num_shared >= ENOUGH_SHARED * smaller
    return placement if is_one else None


def _names_below(tree: TreeView, folder: str, *, without: str = "") -> tuple[str, ...]:
    """Return the images below a folder, relative to it; not those below another one in it."""
    start = len(folder) + 1 if folder else 0
    inner = without and without != folder and is_below(without, folder)
    return tuple(
        join(view.path, name)[start:]
        for view in tree.below(folder)
        if not (inner and is_below(view.path, without))
        for name in view.images
    )
