"""Pairs that a user names on the command line: two files or two folders, outside of a data set.

They are matched by key as those of a data set are; only a few are decoded, for `oddities`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fusetrain.checks.images import PairTask, measure_pair
from fusetrain.checks.pairs import ASPECT_TOLERANCE, check_swapped
from fusetrain.checks.window import unfit_infrared
from fusetrain.data.decode import ImageError
from fusetrain.data.files import relative_files
from fusetrain.data.image import ThermalWindow, read_header
from fusetrain.data.index import IMAGE_SUFFIXES, DatasetIndex, PackedPaths
from fusetrain.data.layouts.border import find_border
from fusetrain.data.pairing import pair_by_key
from fusetrain.data.rgbt import WANTED, infrared_mode
from fusetrain.data.storage import AS_FILES, Channels, Storage
from fusetrain.errors import DataError, UsageError

Pair = tuple[Path, Path]
# Pairs that are decoded before all others, to tell what was given.
MAX_LOOKED_AT = 8


@dataclass(frozen=True)
class GivenPairs:
    """What two paths, or one, stand for.

    Attributes:
        pairs: Visible and infrared file of each pair, ordered by key; one file twice where one
            modality is given alone, or where one file holds both.
        note: One sentence about images that belong to no pair; empty where all do.
        storage: How the pictures lie in the files.
    """

    pairs: tuple[Pair, ...]
    note: str = ""
    storage: Storage = AS_FILES

    def without_border(self, border_px: int) -> GivenPairs:
        """Return them with a frame of so many px cut off, if all that are looked at have it.

        It may be of any one colour; with 0 px there is none.
        """
        sides = zip(*self.pairs, strict=True)
        if border_px and all(find_border(side, border_px, any_colour=True) for side in sides):
            return replace(self, storage=replace(self.storage, border_px=border_px))
        return self

    def oddities(self, window: ThermalWindow | None) -> Iterator[str]:
        """Yield sentences on how they are read, and on infrared that hardly shows anything so.

        Args:
            window: Of the weights; None where they do not look at infrared.
        """
        if self.storage.border_px:
            yield f"a frame of {self.storage.border_px} px is left out, as in training"
        yield from self._exchanged()
        if window is not None and self.storage.channels != "rgb":
            yield from unfit_infrared([ir for _, ir in self.pairs], window, self.storage)

    def _exchanged(self) -> Iterator[str]:
        """Yield a question if some of the pairs look as if they were given the wrong way round."""
        some = self.pairs[:: max(1, -(-len(self.pairs) // MAX_LOOKED_AT))]
        tasks = [
            PairTask("", "", row, str(rgb), str(ir), self.storage)
            for row, (rgb, ir) in enumerate(some)
            if rgb != ir
        ]
        if any(not finding.path for finding in check_swapped(list(map(measure_pair, tasks)))):
            yield "visible images are grey, infrared ones in full colour: --rgb and --ir exchanged?"


def find_pairs(rgb: Path | None, ir: Path | None) -> GivenPairs:
    """Return the pairs of two files, or of two folders by key.

    Args:
        rgb: Visible image or folder; None where there is infrared alone.
        ir: Infrared image or folder; None where there is the visible alone; the same path as
            ``rgb`` where its files hold both modalities.

    Raises:
        DataError: A path is missing, one is a file and the other a folder, or nothing matches.
        UsageError: No path at all, or one path for both that holds no infrared.
    """
    given = [path for path in (rgb, ir) if path is not None]
    if not given:
        raise UsageError("no image is given", expected="--rgb PATH, --ir PATH or both")
    for path in given:
        if not (path.is_file() or path.is_dir()):
            raise DataError("no such image or folder", where=str(path))
    if rgb is None or ir is None or rgb == ir:
        channels: Channels = "ir" if rgb is None else "rgb" if ir is None else "rgbt"
        pairs = _twice(given[0])
        if channels == "rgbt":
            _require_both(given[0], [path for path, _ in pairs])
        return GivenPairs(pairs, storage=Storage(channels=channels))
    if rgb.is_file() and ir.is_file():
        return GivenPairs(((rgb, ir),))
    if rgb.is_file() or ir.is_file():
        raise DataError(
            "one of --rgb and --ir is a file, the other a folder",
            expected="two files or two folders",
        )
    return _by_key(rgb, ir)


def _twice(path: Path) -> tuple[Pair, ...]:
    """Return every image of a file or folder as a pair with itself.

    Raises:
        DataError: The folder has none.
    """
    if path.is_file():
        return ((path, path),)
    names = sorted(relative_files(path, "", suffixes=IMAGE_SUFFIXES))
    if not names:
        raise DataError("the folder has no image", where=str(path))
    return tuple((path / name, path / name) for name in names)


def _require_both(path: Path, images: Sequence[Path]) -> None:
    """Refuse a file or folder that is named for both modalities and holds one of them alone.

    Raises:
        UsageError: The first images hold no infrared.
    """
    if any(_may_hold_both(image) for image in images[:MAX_LOOKED_AT]):
        return
    kind = "file" if path.is_file() else "folder"
    raise UsageError(
        f"--rgb and --ir name the same {kind}, which does not hold both",
        where=str(path),
        expected=f"a {kind} for each of them, or both in each file: {WANTED}",
        remedy="leave --ir out if it holds the visible alone, --rgb if infrared alone",
    )


def _may_hold_both(image: Path) -> bool:
    """Return whether an image has infrared beside the visible, or cannot be read at all."""
    try:
        return infrared_mode(image) is not None
    except ImageError:
        return True  # is told as what it is, where it is read


@contextmanager
def given_alone() -> Iterator[None]:
    """Let errors of images that belong to no data set name no command that wants one."""
    try:
        yield
    except ImageError as error:
        error.remedy = ""
        raise


def _by_key(rgb: Path, ir: Path) -> GivenPairs:
    """Return the pairs of two folders.

    Raises:
        DataError: Nothing matches.
    """
    found = pair_by_key(
        relative_files(rgb, "", suffixes=IMAGE_SUFFIXES),
        relative_files(ir, "", suffixes=IMAGE_SUFFIXES),
    )
    if not found.pairs:
        raise DataError(
            f"{rgb} and {ir} share no pair",
            expected="images of the same names (suffixes may differ) in both folders",
        )
    alone = [
        *(rgb / orphan.path for orphan in found.rgb_only),
        *(ir / orphan.path for orphan in found.ir_only),
        *(rgb / path for clash in found.ambiguous for path in clash.rgb_paths),
        *(ir / path for clash in found.ambiguous for path in clash.ir_paths),
    ]
    pairs = tuple((rgb / visible, ir / infrared) for visible, infrared in found.pairs)
    if not alone:
        return GivenPairs(pairs)
    images = _count(alone, "image")
    return GivenPairs(pairs, f"left out: {images} without one partner (first: {alone[0]})")


def aspect_note(pairs: Sequence[Pair]) -> str:
    """Return a sentence about pairs whose two images show views of other shapes, or "".

    Raises:
        ImageError: An image has no readable header.
    """
    stretched = []
    for rgb, ir in pairs:
        if rgb == ir:
            continue
        ratios = [
            width / height for height, width in (read_header(path).size_hw for path in (rgb, ir))
        ]
        if max(ratios) / min(ratios) - 1.0 > ASPECT_TOLERANCE:
            stretched.append(ir)
    if not stretched:
        return ""
    return (
        f"{_count(stretched, 'infrared image')} of another aspect ratio than the visible one: "
        f"stretched to fit (first: {stretched[0]})"
    )


def index_of(
    pairs: Sequence[Pair], class_names: tuple[str, ...], *, storage: Storage = AS_FILES
) -> DatasetIndex:
    """Return an index of pairs without labels."""
    count = len(pairs)
    return DatasetIndex(
        split="predict",
        root="",
        class_names=class_names,
        keys=PackedPaths.pack([rgb.stem for rgb, _ in pairs]),
        rgb_paths=PackedPaths.pack([str(rgb) for rgb, _ in pairs]),
        ir_paths=PackedPaths.pack([str(ir) for _, ir in pairs]),
        rgb_bytes=np.zeros(count, np.int64),
        ir_bytes=np.zeros(count, np.int64),
        has_labels=np.zeros(count, np.bool_),
        box_ends=np.zeros(count, np.int64),
        boxes=np.zeros((0, 4), np.float32),
        box_classes=np.zeros(0, np.int64),
        storage=storage,
    )


def output_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: its stem, with a number where that is taken."""
    taken: set[str] = set()
    names = []
    for path in paths:
        name, number = path.stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
