"""Decode a pair and measure it, in a child process, so that a crash of a decoder is contained.

What is measured here travels back as `PairFacts`; the checks in `pairs.py`, `quality.py` and
`duplicates.py` decide on it. Whether a file can be used at all (I01 to I05) is told on the spot.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.flow.columns import Column, Numbers
from fusetrain.checks.flow.facts import FactsTable
from fusetrain.checks.flow.packing import optional, pack, records
from fusetrain.checks.measures import Measures, agreements, measure
from fusetrain.checks.samples import Samples, take_samples
from fusetrain.checks.views import View, open_both, open_view
from fusetrain.data.decode import ImageError
from fusetrain.data.image import SUFFIX_FORMATS, Header
from fusetrain.data.storage import AS_FILES, Storage

MIN_SIDE_PX = 32
FAULT_CODES = {"unreadable": "I01", "truncated": "I02", "too large": "I03"}
# Long side in px that a JPEG keeps when it is reduced while it is decoded. Infrared needs its
# pixels for lines and stripes.
MIN_RGB_SIDE = 60
MIN_IR_SIDE = 240


@dataclass(frozen=True)
class ImageFacts:
    """What one image measures.

    Attributes:
        size_hw: Height and width in px after EXIF rotation, without border.
        bits: Bits a sample.
        checksum: CRC-32 of the file, less 2^31; tells files of one ``picture`` apart.
        chroma: Mean of |R - G| + |G - B| in levels; 0 for grey.
        num_colours: 5-bit colours that 95 % of the pixels have; 1 for grey.
        spread: From the 0.5 to the 99.5 percentile of luma, in counts.
        format: Format of the file, whatever its suffix.
        picture: Digest of the picture, independent of how it is compressed and of other contents
            of the file; differs between a JPEG and other formats.
        phash: 64-bit frequency hash.
        dhash: 64-bit gradient hash.
        means: 8 x 8 block means of luma in levels, row by row.
        coloured: Share of strongly coloured pixels.
        low: Luma in levels that 5 % of the pixels reach.
        median: Median luma in levels.
        high: Luma in levels that 95 % of the pixels reach.
        clipped_low: Share of pixels at the smallest value.
        clipped_high: Share of pixels at the largest value.
        entropy: Entropy of luma in bits, 0 to 8.
        num_levels: Different levels in a sample of an infrared image; 0 for a visible one.
        sharpness: Difference of neighbours over that of pixels 2 apart, in a copy of 44 to 88 px
            (visible), or 8 apart (infrared); about 1/2 and 1/8 where blurred.
        dead_rows: Rows of an infrared image that show nothing.
        dead_columns: The same for columns.
        row_pattern: Strength of a fixed pattern from row to row of an infrared image, in levels.
        column_pattern: The same from column to column.
    """

    size_hw: tuple[int, int]
    bits: int
    checksum: int
    chroma: float
    num_colours: int
    spread: float
    format: str = ""
    picture: bytes = b""
    phash: bytes = b""
    dhash: bytes = b""
    means: bytes = b""
    coloured: float = 0.0
    low: float = 0.0
    median: float = 0.0
    high: float = 0.0
    clipped_low: float = 0.0
    clipped_high: float = 0.0
    entropy: float = 0.0
    num_levels: int = 0
    sharpness: float = 0.0
    dead_rows: int = 0
    dead_columns: int = 0
    row_pattern: float = 0.0
    column_pattern: float = 0.0


@dataclass(frozen=True)
class PairFacts:
    """What one pair measures; an image that cannot be used is None.

    Attributes:
        split: Split of the pair.
        row: Row in its index.
        rgb_path: Visible image, relative to the root.
        ir_path: Infrared image, relative to the root.
        rgb: Facts of the visible image.
        ir: Facts of the infrared image.
        luma_difference: Mean difference of the two in grey, in levels; None where one is blank or
            has more than 8 bits.
        luma_correlation: Correlation of the two in grey, -1 to 1; None where one is blank.
        findings: What single images have wrong (I01 to I05, P14).
    """

    split: str
    row: int
    rgb_path: str
    ir_path: str
    rgb: ImageFacts | None = None
    ir: ImageFacts | None = None
    luma_difference: float | None = None
    luma_correlation: float | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class PairTask:
    """One pair to measure; picklable."""

    root: str
    split: str
    row: int
    rgb_path: str
    ir_path: str
    storage: Storage = AS_FILES


class ImagePixels(NamedTuple):
    """What was taken from an image when it was decoded; `ImageFacts` says what the fields are."""

    size_hw: tuple[int, int]
    bits: int
    checksum: int
    format: str
    samples: Samples


class PairPixels(NamedTuple):
    """What was taken from a pair when it was decoded.

    Attributes:
        task: The pair.
        images: The visible and the infrared one; None where it cannot be used.
        findings: What single images have wrong (I01 to I05, P14).
    """

    task: PairTask
    images: tuple[ImagePixels | None, ...]
    findings: tuple[Finding, ...]


def decode_pair(task: PairTask) -> PairPixels:
    """Decode both images of a pair in full and take the pixels that are looked at."""
    views, found = _open_pair(task)
    images = tuple(
        None if view is None else _taken(view, is_ir=role == 1) for role, view in enumerate(views)
    )
    return PairPixels(task, images, tuple(found))


def measure_pixels(pairs: Sequence[PairPixels]) -> FactsTable[PairFacts]:
    """Measure pairs that were decoded, all at once."""
    is_there = np.array([[image is not None for image in pair.images] for pair in pairs])
    images = [image for pair in pairs for image in pair.images if image is not None]
    difference, correlation = np.full((2, len(pairs)), np.nan, np.float32)
    columns: list[Column] = [pack(ImageFacts, [])] * 2
    if images:
        measures = measure([image.samples for image in images])
        numbers = is_there.ravel().cumsum().reshape(-1, 2) - 1
        columns = [_image_columns(images, measures, numbers[is_there[:, n], n]) for n in (0, 1)]
        whole = is_there.all(axis=1)
        deep = np.array([image.bits > 8 for image in images])
        rgb, ir = numbers[whole].T
        found, correlation[whole] = agreements(measures.grids, rgb, ir)
        difference[whole] = np.where(deep[rgb] | deep[ir], np.float32(np.nan), found)
    tasks = [pair.task for pair in pairs]
    facts = records(
        PairFacts,
        {
            "split": [task.split for task in tasks],
            "row": [task.row for task in tasks],
            "rgb_path": [task.rgb_path for task in tasks],
            "ir_path": [task.ir_path for task in tasks],
            "rgb": optional(columns[0], is_there[:, 0]),
            "ir": optional(columns[1], is_there[:, 1]),
            "luma_difference": _known(difference),
            "luma_correlation": _known(correlation),
            "findings": [pair.findings for pair in pairs],
        },
    )
    return FactsTable(PairFacts, facts)


def measure_pair(task: PairTask) -> PairFacts:
    """Decode both images of a pair in full and measure them."""
    return measure_pixels([decode_pair(task)])[0]


def crashed_pair(task: PairTask) -> PairFacts:
    """Return the facts of a pair whose decoding ended the process."""
    message = f"decoding this file or {task.ir_path} crashed the decoder"
    found = finding("I01", message, split=task.split, path=task.rgb_path)
    return PairFacts(task.split, task.row, task.rgb_path, task.ir_path, findings=(found,))


def _open_pair(task: PairTask) -> tuple[list[View | None], list[Finding]]:
    """Return both views, None where one cannot be used, and what is wrong with the files."""
    found: list[Finding] = []
    if task.storage.channels == "rgbt":
        try:
            both = open_both(os.path.join(task.root, task.rgb_path), storage=task.storage)
        except ImageError as error:
            return [None, None], [_fault(task, task.rgb_path, error)]
        return list(both), check_file(task, task.rgb_path, both[0])
    views: list[View | None] = []
    for relative, min_side in ((task.rgb_path, MIN_RGB_SIDE), (task.ir_path, MIN_IR_SIDE)):
        path = os.path.join(task.root, relative)
        try:
            view = open_view(path, min_side=min_side, storage=task.storage)
        except ImageError as error:
            found.append(_fault(task, relative, error))
            views.append(None)
        else:
            found += check_file(task, relative, view)
            views.append(view)
    return views, found + _check_depth(task, views[1])


def _fault(task: PairTask, relative: str, error: ImageError) -> Finding:
    return finding(FAULT_CODES[error.fault], error.what, split=task.split, path=relative)


def _check_depth(task: PairTask, ir: View | None) -> list[Finding]:
    """P14: all bits of infrared are read."""
    if ir is None or not ir.cut_bits:
        return []
    message = f"{ir.cut_bits} bits in several channels, of which the upper 8 are read: export one"
    numbers = {"bits": ir.cut_bits}
    path = task.ir_path
    return [finding("P14", message, split=task.split, path=path, numbers=numbers, level="warn")]


def check_file(task: PairTask, relative: str, view: View | Header) -> list[Finding]:
    """I04, I05: the suffix tells the format, and the image is large enough."""
    found = []
    suffix = os.path.splitext(relative)[1]
    if SUFFIX_FORMATS.get(suffix.lower()) != view.format:
        message = f"the suffix is {suffix}, the file is {view.format}"
        found.append(finding("I04", message, split=task.split, path=relative))
    height, width = view.size_hw
    if min(height, width) < MIN_SIDE_PX:
        message = f"{width} x {height} px"
        numbers = {"height": height, "width": width}
        found.append(finding("I05", message, split=task.split, path=relative, numbers=numbers))
    return found


def _taken(view: View, *, is_ir: bool) -> ImagePixels:
    samples = take_samples(view.image, view.size_hw, is_ir=is_ir)
    return ImagePixels(view.size_hw, view.bits, view.checksum, view.format, samples)


def _image_columns(
    images: Sequence[ImagePixels], measures: Measures, numbers: NDArray[np.int64]
) -> Column:
    """Return the facts of some of the images."""
    rows = numbers.tolist()
    return records(
        ImageFacts,
        {
            "size_hw": [images[row].size_hw for row in rows],
            "bits": [images[row].bits for row in rows],
            "checksum": [images[row].checksum for row in rows],
            "format": [images[row].format for row in rows],
            **{name: Numbers(own[numbers]) for name, own in measures.numbers.items()},
            **{name: [own[row] for row in rows] for name, own in measures.digests.items()},
        },
    )


def _known(numbers: NDArray[np.float32]) -> Column:
    """Return numbers as a column, without those that are NaN."""
    is_known = ~np.isnan(numbers)
    return optional(Numbers(numbers[is_known]), is_known)
