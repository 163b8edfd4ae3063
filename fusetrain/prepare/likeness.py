"""Which pairs show nearly the same, and which are dark, from what pairs measure.

What counts as near is what `check-data` finds across splits, so that a set that is split by it
passes those checks.
Shape legend: N pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.darkness import are_dark
from fusetrain.checks.flow.measuring import PIXELS, Effort, measure
from fusetrain.checks.flow.tasks import all_tasks
from fusetrain.checks.images import ImageFacts, PairFacts
from fusetrain.checks.infrared import BLANK_SPREAD
from fusetrain.checks.similarity import NONE, Looks, first_near
from fusetrain.prepare.plans import SourceSet

NOTHING = (bytes(8), bytes(8), bytes(64))

Link = tuple[int, int]


@dataclass(frozen=True)
class Likeness:
    """What all pairs of a set look like, in the order of `SourceSet.pairs`.

    Attributes:
        looks: N rows: of the visible image, of infrared where that shows nothing.
        is_dark: (N,) bool.
        same: Pairs that hold an equal picture, each with the one before it.
    """

    looks: Looks
    is_dark: NDArray[np.bool_]
    same: tuple[Link, ...]

    def links(self) -> Iterator[Link]:
        """Yield pairs that are near; of several near ones some, so that groups form."""
        yield from self.same
        rows = np.arange(len(self.looks), dtype=np.int64)
        yield from _as_links(rows, first_near(self.looks, targets=rows, sources=rows))

    def links_across(self, parts: NDArray[np.int64]) -> list[Link]:
        """Return a link for every pair that is near to one of another part.

        Args:
            parts: (N,) part of each pair; negative ones are not looked at.
        """
        found: list[Link] = []
        looks = self.looks
        for part in np.unique(parts[parts >= 0]):
            ours = np.flatnonzero(parts == part)
            theirs = np.flatnonzero((parts >= 0) & (parts != part))
            order = np.concatenate([theirs, ours])  # only what stands before counts
            targets = np.arange(len(theirs), len(order), dtype=np.int64)
            sources = np.arange(len(theirs), dtype=np.int64)
            there = Looks(looks.phashes[order], looks.dhashes[order], looks.means[order])
            partners = first_near(there, targets=targets, sources=sources)
            found += ((int(order[a]), int(order[b])) for a, b in _as_links(targets, partners))
        return found


def measure_likeness(
    source: SourceSet,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Likeness:
    """Decode all pairs in child processes and return what they look like.

    Pairs that cannot be read look like nothing else, and are not dark.
    """
    tasks = all_tasks([scan.index for scan in source.scans.values()])
    effort = Effort(workers, progress=progress, total=len(tasks))
    facts = measure(PIXELS, tasks, effort=effort)
    shown = [_shown(fact) for fact in facts]
    phashes, dhashes, means = (
        b"".join(part)
        for part in zip(
            *((s.phash, s.dhash, s.means) if s else NOTHING for s in shown), strict=True
        )
    )
    looks = Looks(
        np.frombuffer(phashes, np.uint64),
        np.frombuffer(dhashes, np.uint64),
        np.frombuffer(means, np.uint8).reshape(-1, 64),
    )
    return Likeness(looks, are_dark(facts), tuple(_same(facts)))


def _shows(image: ImageFacts | None) -> bool:
    return image is not None and image.spread > BLANK_SPREAD and len(image.means) == 64


def _shown(fact: PairFacts) -> ImageFacts | None:
    """Return the image that tells what a pair shows."""
    return fact.rgb if _shows(fact.rgb) else fact.ir if _shows(fact.ir) else None


def _same(facts: Sequence[PairFacts]) -> Iterator[Link]:
    """Yield pairs of which an image is the same picture as an image of an earlier pair."""
    seen: dict[bytes, int] = {}
    for row, fact in enumerate(facts):
        for image in (fact.rgb, fact.ir):
            if image is not None and _shows(image):
                earlier = seen.setdefault(image.picture, row)
                if earlier != row:
                    yield row, earlier


def _as_links(rows: NDArray[np.int64], partners: NDArray[np.int64]) -> Iterator[Link]:
    found = partners != NONE
    return zip(rows[found].tolist(), partners[found].tolist(), strict=True)
