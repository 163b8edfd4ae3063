"""Infrared images warped onto their visible ones: the plan of `prepare align`.

The transform is given, or estimated from the images; one transform holds for a recording, because
cameras on one mount do not move against each other and many frames are surer than one. What is
moved is infrared alone; visible images stay as they are unless the common view is cut out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.image import read_counts, read_header
from fusetrain.data.sources import SPLITS
from fusetrain.errors import DataError, Problem
from fusetrain.prepare.estimates import Per, estimated_moves
from fusetrain.prepare.given_moves import GivenMove, read_moves
from fusetrain.prepare.notes import counted, label_notes
from fusetrain.prepare.pixels import Box, Crop, Warp
from fusetrain.prepare.plans import (
    NewPair,
    Plan,
    PlannedFile,
    SourceSet,
    boxes_text,
    ir_file,
    label_file,
    open_set,
    rgb_file,
    stem_of,
    yaml_file,
)
from fusetrain.prepare.views import Size, common_view, farthest_move_px, moved_boxes

BoxesOn = Literal["rgb", "ir"]
BOXES_ON: tuple[BoxesOn, ...] = ("rgb", "ir")
# A move below this many visible px is not worth the blur of another resampling.
MIN_MOVE_PX = 0.5
MIN_COMMON_SHARE = 0.1

Matrix = NDArray[np.float64]


class Sizes(NamedTuple):
    """Height and width of the images of a pair as they are, without frames."""

    rgb_hw: Size
    ir_hw: Size


@dataclass(frozen=True)
class Placed:
    """How one pair is changed.

    Attributes:
        warp: How infrared is moved; None copies it.
        crop_xyxy_px: Part of the visible image that stays; None keeps all of it.
        rgb_hw: Size of the new visible image.
        boxes_from_unit: (3, 3) from shares of the image that the boxes were drawn on to px of the
            new visible image; None leaves the boxes as they are.
    """

    warp: Warp | None
    crop_xyxy_px: Box | None
    rgb_hw: Size
    boxes_from_unit: Matrix | None


def plan_align(
    path: Path,
    *,
    transform: Path | None = None,
    per: Per = "sequence",
    crop: bool = False,
    boxes_on: BoxesOn | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Return the plan of a set whose infrared images lie on the visible ones.

    Args:
        path: Data YAML or folder.
        transform: JSON of given transforms; None estimates them from the images.
        per: Estimated for each sequence, each pair, or the whole set.
        crop: Cut both images to what both show.
        boxes_on: Which images the boxes were drawn on; None: as `label_source` says.
        workers: Processes that estimate; one a core if None.
        progress: Is told the pairs that are measured and their total.

    Raises:
        DataError: The set cannot be used, or a pair has no transform or no common view.
    """
    source = open_set(path)
    drawn_on = boxes_on or _drawn_on(source)
    pairs = [
        NewPair(scan, row, scan.index.split, stem_of(scan.index, row)) for scan, row in source.pairs
    ]
    sizes = [_sizes(pair) for pair in pairs]
    notes: list[str] = []
    if transform is not None:
        moves = _given(pairs, transform)
    else:
        found, notes = estimated_moves(source, pairs, per=per, workers=workers, progress=progress)
        moves = [
            None if move is None else GivenMove(move.matrix(size.ir_hw, size.rgb_hw))
            for move, size in zip(found, sizes, strict=True)
        ]
    placed = _all_placed(pairs, sizes, moves, crop=crop, drawn_on=drawn_on)
    options = {"transform": str(transform) if transform else "estimated", "per": per, "crop": crop}
    return _plan(source, pairs, placed, options={**options, "boxes_on": drawn_on}, notes=notes)


def _plan(
    source: SourceSet,
    pairs: Sequence[NewPair],
    placed: Sequence[Placed],
    *,
    options: dict[str, object],
    notes: list[str],
) -> Plan:
    files: list[PlannedFile] = []
    num_dropped = 0
    for pair, place in zip(pairs, placed, strict=True):
        storage = pair.scan.index.storage
        crop = None if place.crop_xyxy_px is None else Crop(place.crop_xyxy_px, storage)
        files += [rgb_file(pair, transform=crop), ir_file(pair, transform=place.warp)]
        text, dropped = _label_text(pair, place)
        num_dropped += dropped
        if (labels := label_file(pair, text=text)) is not None:
            files.append(labels)
    num_moved = sum(place.warp is not None for place in placed)
    notes.append(f"infrared will be moved in {counted(num_moved, 'pair')} of {len(pairs)}")
    if num_dropped:
        notes.append(f"boxes that the new view hardly shows will be missing: {num_dropped}")
    counts = Counter(pair.split for pair in pairs)
    num_pairs = {split: counts[split] for split in SPLITS if counts[split]}
    files.append(yaml_file(source.spec, tuple(num_pairs)))
    return Plan(
        "align",
        source.spec,
        tuple(files),
        num_pairs,
        options=options,
        facts={"moved": num_moved, "dropped_boxes": num_dropped},
        notes=(*label_notes(source), *notes),
    )


def _drawn_on(source: SourceSet) -> BoxesOn:
    """Return which images the boxes of a set were drawn on.

    Raises:
        DataError: On both.
    """
    label_source = source.spec.label_source
    if label_source == "rgb" or label_source == "ir":
        return label_source
    raise DataError(
        f"label_source {label_source} joins boxes that lie apart before the images are aligned",
        where=str(source.spec.path),
        expected="label_source rgb or ir",
    )


def _sizes(pair: NewPair) -> Sizes:
    """Return the sizes of both images.

    Raises:
        ImageError: One cannot be read.
    """
    index = pair.scan.index
    rgb_hw = read_header(index.rgb_path(pair.row), storage=index.storage).size_hw
    path = index.ir_path(pair.row)
    if index.storage.channels == "rgbt":
        height, width = read_counts(path, storage=index.storage).shape
        return Sizes(rgb_hw, (height, width))
    return Sizes(rgb_hw, read_header(path, storage=index.storage).size_hw)


def _given(pairs: Sequence[NewPair], path: Path) -> list[GivenMove | None]:
    """Return the transform of each pair from a file.

    Raises:
        DataError: A pair has none.
    """
    given = read_moves(path)
    moves = [given.find(pair.stem) for pair in pairs]
    missing = [pair.stem for pair, move in zip(pairs, moves, strict=True) if move is None]
    if missing:
        raise DataError(
            f"{counted(len(missing), 'pair')} of {len(pairs)} have no transform",
            where=str(path),
            problems=[Problem("no entry of this name", name) for name in missing],
            expected="an entry for every pair, or one for all",
        )
    return moves


def _all_placed(
    pairs: Sequence[NewPair],
    sizes: Sequence[Sizes],
    moves: Sequence[GivenMove | None],
    *,
    crop: bool,
    drawn_on: BoxesOn,
) -> list[Placed]:
    """Return how every pair is changed.

    Raises:
        DataError: Images have too little in common.
    """
    placed, problems = [], []
    for pair, size, move in zip(pairs, sizes, moves, strict=True):
        try:
            placed.append(_placed(pair, size, move, crop=crop, drawn_on=drawn_on))
        except ValueError as error:
            problems.append(Problem(str(error), str(pair.scan.index.rgb_path(pair.row))))
    if problems:
        raise DataError(
            "images cannot be aligned",
            problems=problems,
            remedy="check the transform: it takes infrared px to visible px",
        )
    return placed


def _placed(
    pair: NewPair, sizes: Sizes, move: GivenMove | None, *, crop: bool, drawn_on: BoxesOn
) -> Placed:
    """Return how a pair is changed.

    Raises:
        ValueError: The two images have too little in common.
    """
    rgb_hw, ir_hw = sizes
    view_hw = rgb_hw if move is None or move.view_hw is None else move.view_hw
    plain = _stretch(ir_hw, rgb_hw)
    to_rgb = plain if move is None else _stretch(view_hw, rgb_hw) @ move.matrix
    common = common_view(to_rgb, ir_hw, rgb_hw)
    if common is None or _area(common) < MIN_COMMON_SHARE * rgb_hw[0] * rgb_hw[1]:
        raise ValueError("the visible and the moved infrared image have too little in common")
    is_moved = farthest_move_px(to_rgb, ir_hw, rgb_hw) >= MIN_MOVE_PX
    if not is_moved:
        return Placed(None, None, rgb_hw, None)
    box = common if crop and common != (0, 0, rgb_hw[1], rgb_hw[0]) else None
    left, top, right, bottom = box or (0, 0, rgb_hw[1], rgb_hw[0])
    new_hw = (bottom - top, right - left)
    # Infrared keeps its own resolution, or gets that of the view that was given.
    share = max(view_hw if move is not None and move.view_hw else ir_hw) / max(rgb_hw)
    new_ir_hw = (max(1, round(new_hw[0] * share)), max(1, round(new_hw[1] * share)))
    cut = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
    matrix = _stretch(new_hw, new_ir_hw) @ cut @ to_rgb
    warp = Warp(tuple(matrix.ravel().tolist()), new_ir_hw, pair.scan.index.storage)
    boxes = None
    if drawn_on == "ir":
        boxes = cut @ to_rgb @ _stretch((1, 1), ir_hw)
    elif box is not None:
        boxes = cut @ _stretch((1, 1), rgb_hw)
    return Placed(warp, box, new_hw, boxes)


def _label_text(pair: NewPair, place: Placed) -> tuple[str | None, int]:
    """Return the new boxes of a pair, None where they stay, and how many are dropped."""
    if place.boxes_from_unit is None:
        return None, 0
    index = pair.scan.index
    boxes = index.boxes_cxcywh_unit(pair.row).astype(np.float64)
    half = boxes[:, 2:] / 2.0
    corners = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    there, kept = moved_boxes(corners, place.boxes_from_unit, place.rgb_hw)
    there /= np.array([place.rgb_hw[1], place.rgb_hw[0]] * 2, np.float64)
    low, high = there[kept, :2], there[kept, 2:]
    unit = np.concatenate([(low + high) / 2.0, high - low], axis=1)
    return boxes_text(index.classes(pair.row)[kept], unit), int((~kept).sum())


def _stretch(from_hw: Size, to_hw: Size) -> Matrix:
    return np.diag([to_hw[1] / from_hw[1], to_hw[0] / from_hw[0], 1.0])


def _area(box_xyxy: Box) -> int:
    return (box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1])
