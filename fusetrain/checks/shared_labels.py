"""Labels that two different pictures would be given (L14).

Splits that each number their images from 0 and have one folder of labels between them, or one COCO
file that names images without their folders: one of the two pictures is trained on the boxes of
the other, and nothing else looks wrong. Told from names and digests; nothing is opened here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fusetrain.checks.findings import Finding, Level, finding
from fusetrain.checks.images import ImageFacts, PairFacts
from fusetrain.data.index import SplitScan
from fusetrain.data.labels import NO_ENTRY

# Bits of 64 in which the hashes of pictures of one view differ at most; strangers differ in about
# 32 (`similarity.py`). A set may give one label to a picture and to what was made from it.
ONE_VIEW_BITS = 16


class _Labelled(NamedTuple):
    """A pair that has boxes.

    Attributes:
        split: Its split.
        label_path: Label file, or COCO file.
        entry: Which image of a COCO file it is.
        rgb_path: Its visible image.
        row: Where it stands in the facts of the whole set.
    """

    split: str
    label_path: str
    entry: int
    rgb_path: str
    row: int


def check_shared(scans: Sequence[SplitScan], facts: Sequence[PairFacts]) -> list[Finding]:
    """L14: one label file, or one entry of a COCO file, for two pictures.

    Only a warning where both pictures show one view, as a copy with synthetic fog would.

    Args:
        scans: All splits that are checked.
        facts: What each pair measures, in the order of the splits and their rows.
    """
    found = []
    owners: dict[tuple[str, int], _Labelled] = {}
    for own in _labelled(scans):
        owner = owners.setdefault((own.label_path, own.entry), own)
        if owner.rgb_path != own.rgb_path:
            first, second = facts[owner.row].rgb, facts[own.row].rgb
            if not _is_same_picture(first, second):
                message = f"read for {own.rgb_path}, and for another picture, {owner.rgb_path}"
                level: Level | None = "warn" if _is_one_view(first, second) else None
                path = own.label_path
                found.append(finding("L14", message, split=own.split, path=path, level=level))
    return found


def _labelled(scans: Sequence[SplitScan]) -> Iterator[_Labelled]:
    """Yield the pairs with boxes whose label file is not theirs alone."""
    counts = Counter(path for scan in scans for path in scan.label_paths)
    start = 0
    for scan in scans:
        index = scan.index
        has_boxes = np.diff(index.box_ends, prepend=0) > 0
        for row in np.flatnonzero(has_boxes).tolist():
            path, entry = scan.label_paths[row], int(scan.label_entries[row])
            # Of two COCO files whose boxes are joined, one may know no such image.
            is_known = entry != NO_ENTRY or not path.lower().endswith(".json")
            if counts[path] > 1 and is_known:
                yield _Labelled(index.split, path, entry, index.rgb_paths[row], start + row)
        start += len(index)


def _is_same_picture(one: ImageFacts | None, other: ImageFacts | None) -> bool:
    return one is not None and other is not None and b"" != one.picture == other.picture


def _is_one_view(one: ImageFacts | None, other: ImageFacts | None) -> bool:
    if one is None or other is None or not one.phash or not other.phash:
        return False
    first, second = (np.frombuffer(image.phash, np.uint64)[0] for image in (one, other))
    return int(np.bitwise_count(first ^ second)) <= ONE_VIEW_BITS
