"""Pictures that stand more than once in a set: the same file, the same picture, nearly the same.

Within a split they waste effort; across splits validation measures memory. Nothing is opened here:
everything is told from digests and hashes. Of a million pairs only arrays are kept; objects are
made for findings alone.
Shape legend: N pairs, M pictures that show something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.flow.facts import FactsTable, as_table
from fusetrain.checks.images import ImageFacts, PairFacts
from fusetrain.checks.infrared import BLANK_SPREAD, MIN_STUCK_FRAMES
from fusetrain.checks.similarity import NONE, Looks, first_near, mean_difference

# A picture stored in another format: how far its block means may be off.
SAME_LEVELS = 1.0
ROLES = ("rgb", "ir")


def check_duplicates(facts: Sequence[PairFacts]) -> list[Finding]:
    """D01, D02, D03, D04: files and pictures that stand in a split twice, or in two splits."""
    digests, shown = _gathered(facts)
    found = list(_repeated(facts, digests))
    known = {(entry.split, entry.path) for entry in found}
    return found + list(_near(facts, shown, known))


@dataclass(frozen=True)
class _Digests:
    """What the pictures of N pairs are told apart by; a visible and an infrared one a row.

    Attributes:
        values: (N, 2) uint64, 0 where a picture shows nothing.
        splits: (N,) number of the split.
    """

    values: NDArray[np.uint64]
    splits: NDArray[np.int64]

    def without_stuck(self) -> NDArray[np.uint64]:
        """Return the values, 0 for infrared pictures that repeat for long: these are P12."""
        ir = self.values[:, 1]
        is_new = np.ones(len(ir), bool)
        is_new[1:] = (ir[1:] != ir[:-1]) | (self.splits[1:] != self.splits[:-1])
        starts = np.flatnonzero(is_new)
        lengths = np.diff(np.append(starts, len(ir)))
        values = self.values.copy()
        values[np.repeat(lengths >= MIN_STUCK_FRAMES, lengths), 1] = 0
        return values


def _repeated(facts: Sequence[PairFacts], digests: _Digests) -> Iterator[Finding]:
    """D01, D02, D04: the same bytes, or the same picture compressed in another way."""
    values = digests.without_stuck().ravel()
    places = np.flatnonzero(values)
    order = places[np.argsort(values[places], kind="stable")]
    edges = np.flatnonzero(np.diff(values[order])) + 1
    for start, stop in pairwise([0, *edges.tolist(), len(order)]):
        if stop - start > 1:
            first = _picture(facts, int(order[start]))
            for other in order[start + 1 : stop]:
                yield from _repetition(first, _picture(facts, int(other)))


@dataclass(frozen=True)
class _Picture:
    """One image of a pair; the pair stands in a row of the facts."""

    row: int
    split: str
    path: str
    facts: ImageFacts


def _picture(facts: Sequence[PairFacts], place: int) -> _Picture:
    fact = facts[place // 2]
    image = fact.ir if place % 2 else fact.rgb
    assert image is not None
    return _Picture(place // 2, fact.split, fact.ir_path if place % 2 else fact.rgb_path, image)


def _repetition(first: _Picture, other: _Picture) -> Iterator[Finding]:
    if first.facts.picture != other.facts.picture:
        return
    if (first.row, first.path) == (other.row, other.path):  # one file for both modalities
        return
    is_file = first.facts.checksum == other.facts.checksum
    what = "file" if first.path == other.path else "bytes" if is_file else "picture"
    message = f"same {what} as {first.path} ({first.split})"
    code = "D04" if first.split != other.split else "D01" if is_file else "D02"
    yield finding(code, message, split=other.split, path=other.path)


def _shows(facts: FactsTable[PairFacts], role: str) -> NDArray[np.bool_]:
    return (facts.numbers(role, "spread") > BLANK_SPREAD) & (facts.lengths(role, "means") > 0)


@dataclass(frozen=True)
class _Shown:
    """What the pairs of a set show, told from the visible image, or infrared where it is blank.

    Attributes:
        rows: (M,) where the pairs stand in the facts.
        is_ir: (M,) the infrared image tells.
        splits: (M,) number of the split.
        looks: Of the M images.
    """

    rows: NDArray[np.int64]
    is_ir: NDArray[np.bool_]
    splits: NDArray[np.int64]
    looks: Looks

    def picture(self, facts: Sequence[PairFacts], number: int) -> _Picture:
        """Return the image that tells what a pair shows."""
        return _picture(facts, 2 * int(self.rows[number]) + int(self.is_ir[number]))


def _gathered(facts: Sequence[PairFacts]) -> tuple[_Digests, _Shown]:
    """Return what is needed of all facts, column by column."""
    table = as_table(PairFacts, facts)
    numbers: dict[str, int] = {}
    texts = (numbers.setdefault(split, len(numbers)) for split in table.texts("split"))
    splits = np.fromiter(texts, np.int64, len(table))
    shows = np.stack([_shows(table, role) for role in ROLES], axis=1)
    pictures = [table.heads(role, "picture", width=8).view(np.uint64)[:, 0] for role in ROLES]
    values = np.where(shows, np.stack(pictures, axis=1), np.uint64(0))
    rows = np.flatnonzero(shows.any(axis=1))
    is_ir = ~shows[rows, 0]

    def shown(name: str, width: int) -> NDArray[np.uint8]:
        rgb, ir = (table.heads(role, name, width=width)[rows] for role in ROLES)
        return np.where(is_ir[:, None], ir, rgb)

    looks = Looks(
        shown("phash", 8).view(np.uint64)[:, 0],
        shown("dhash", 8).view(np.uint64)[:, 0],
        shown("means", 64),
    )
    return _Digests(values, splits), _Shown(rows, is_ir, splits[rows], looks)


def _near(
    facts: Sequence[PairFacts], shown: _Shown, known: set[tuple[str, str]]
) -> Iterator[Finding]:
    """D02, D03, D04: pictures that look alike."""
    partner = _partners(shown)
    targets = np.flatnonzero(partner != NONE)
    sources = partner[targets]
    levels = mean_difference(shown.looks, targets, sources)
    bits = np.bitwise_count(shown.looks.phashes[targets] ^ shown.looks.phashes[sources])
    for number, target in enumerate(targets.tolist()):
        picture = shown.picture(facts, target)
        if (picture.split, picture.path) not in known:
            other = shown.picture(facts, int(sources[number]))
            yield _near_finding(
                picture, other, bits=int(bits[number]), levels=float(levels[number])
            )


def _partners(shown: _Shown) -> NDArray[np.int64]:
    """Return a near picture for each, of an earlier split, else an earlier one of its own split."""
    partner = np.full(len(shown.rows), NONE, np.int64)
    for split in range(int(shown.splits.max(initial=-1)) + 1):
        own = np.flatnonzero(shown.splits == split)
        partner[own] = first_near(
            shown.looks, targets=own, sources=np.flatnonzero(shown.splits < split)
        )
        rest = own[partner[own] == NONE]
        partner[rest] = first_near(shown.looks, targets=rest, sources=own)
    return partner


def _near_finding(picture: _Picture, other: _Picture, *, bits: int, levels: float) -> Finding:
    is_same = picture.facts.format != other.facts.format and levels <= SAME_LEVELS
    kind = "same picture, in another format, as" if is_same else "looks like"
    is_across = picture.split != other.split
    return finding(
        "D04" if is_across else "D02" if is_same else "D03",
        f"{kind} {other.path} ({other.split})",
        split=picture.split,
        path=picture.path,
        numbers={"bits": bits, "levels": round(levels, 2)},
        level="warn" if is_across and not is_same else None,
    )
