"""The checks in the order in which they run: from names, labels and measurements to findings.

A new check gets its line in one of the tables. Nothing is read here, so that measurements of
another time or machine are judged exactly as fresh ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fusetrain.checks import (
    boxes,
    duplicates,
    infrared,
    labels,
    leakage,
    pairs,
    quality,
    shared_labels,
    splits,
    window,
)
from fusetrain.checks.findings import CODES, LEVELS, Finding
from fusetrain.checks.flow.facts import FactsTable, as_table
from fusetrain.checks.flow.screening import worth_a_look
from fusetrain.checks.images import PairFacts
from fusetrain.checks.registration import partners
from fusetrain.checks.registration import shifts as registration
from fusetrain.checks.registration.partners import PartnerFacts
from fusetrain.checks.registration.shifts import RegistrationFacts
from fusetrain.checks.root_causes import without_consequences
from fusetrain.checks.window import WindowFacts
from fusetrain.data.index import SplitScan

# One split: what its names and its labels say.
SCAN_CHECKS: tuple[Callable[[SplitScan], list[Finding]], ...] = (
    pairs.check_partners,
    pairs.check_foreign,
    labels.check_lines,
    labels.check_missing,
    labels.check_unread,
    labels.check_empty,
    labels.check_whole_image,
    labels.check_duplicates,
    boxes.check_corners,
    boxes.check_agreement,
)
# One pair that was decoded in full; `screening.py` tells which pairs they are asked about.
PAIR_CHECKS: tuple[Callable[[PairFacts], list[Finding]], ...] = (
    pairs.check_aspect,
    pairs.check_copy,
    infrared.check_pseudo_colour,
    infrared.check_blank,
    infrared.check_lines,
    infrared.check_levels,
    quality.check_quality,
)
# All decoded pairs of one split, in the order of its index.
SPLIT_CHECKS: tuple[Callable[[Sequence[PairFacts]], list[Finding]], ...] = (
    pairs.check_swapped,
    infrared.check_stuck,
    infrared.check_bit_depth,
    infrared.check_stretched,
)
# All decoded pairs of the set, in the order of the splits.
SET_CHECKS: tuple[Callable[[Sequence[PairFacts]], list[Finding]], ...] = (
    duplicates.check_duplicates,
    leakage.check_neighbours,
)
# What still can be told when only the headers of the images were read.
HEADER_CHECKS: tuple[Callable[..., list[Finding]], ...] = (
    pairs.check_aspect,
    infrared.check_bit_depth,
)
LEVEL_RANK = {level: rank for rank, level in enumerate(LEVELS)}
CODE_RANK = {code: rank for rank, code in enumerate(CODES)}


@dataclass(frozen=True)
class Evidence:
    """Everything that checks may look at.

    Attributes:
        scans: Split name to its names and labels, in the order of the splits.
        facts: What each pair measures, in the order of the splits and their rows.
        registration: How far pairs are apart, of those that were looked at, in the same order.
        partners: How well blocks of images agree with each other.
        windows: What the thermal window leaves of the infrared images of each split.
        headers_only: Images were not decoded: only what their headers say is known.
        names_are_given: Someone wrote the names of the classes down.
    """

    scans: Mapping[str, SplitScan]
    facts: Sequence[PairFacts]
    registration: Sequence[RegistrationFacts] = ()
    partners: Sequence[PartnerFacts] = ()
    windows: Sequence[WindowFacts] = ()
    headers_only: bool = False
    names_are_given: bool = True


def judge(evidence: Evidence, *, imgsz: int, max_shift_px: float) -> tuple[Finding, ...]:
    """Return all findings, ordered by level, code, split, path and line.

    Args:
        evidence: What was measured.
        imgsz: Long side of the training canvas in px, by which tiny boxes are judged.
        max_shift_px: Shift between the images of a pair that is an error, px at 640 px long side.
    """
    found = _found(evidence, imgsz=imgsz, max_shift_px=max_shift_px)
    return tuple(sorted(without_consequences(found), key=_order))


def _found(evidence: Evidence, *, imgsz: int, max_shift_px: float) -> Iterator[Finding]:
    def is_usable(check: object) -> bool:
        return not evidence.headers_only or check in HEADER_CHECKS

    for scan in evidence.scans.values():
        for scan_check in SCAN_CHECKS:
            yield from scan_check(scan)
    pair_checks = tuple(filter(is_usable, PAIR_CHECKS))
    table = as_table(PairFacts, evidence.facts)
    for fact in table.taken(worth_a_look(table)):
        yield from fact.findings
        for pair_check in pair_checks:
            yield from pair_check(fact)
    for name, own in _by_split(evidence.scans, table).items():
        for split_check in filter(is_usable, SPLIT_CHECKS):
            yield from split_check(own)
        sizes_hw = np.stack([own.numbers("rgb", "size_hw", side) for side in (0, 1)], axis=1)
        yield from labels.check_tiny_boxes(evidence.scans[name], sizes_hw, imgsz=imgsz)
    for seen in evidence.windows:
        yield from window.check_window(seen)
    yield from splits.check_classes(
        tuple(evidence.scans.values()), names_are_given=evidence.names_are_given
    )
    yield from shared_labels.check_shared(tuple(evidence.scans.values()), table)
    for set_check in filter(is_usable, SET_CHECKS):
        yield from set_check(table)
    yield from registration.check_registration(evidence.registration, max_shift_px=max_shift_px)
    yield from partners.check_partners(evidence.registration, evidence.partners)


def _by_split(
    scans: Mapping[str, SplitScan], facts: FactsTable[PairFacts]
) -> dict[str, FactsTable[PairFacts]]:
    """Return the facts of each split; a part of a table is no copy."""
    own = {}
    start = 0
    for name, scan in scans.items():
        own[name] = facts.part(start, start + len(scan.index))
        start += len(scan.index)
    assert start == len(facts)
    return own


def _order(entry: Finding) -> tuple[int, int, str, str, int, str]:
    level, code = LEVEL_RANK[entry.level], CODE_RANK[entry.code]
    return level, code, entry.split, entry.path, entry.line or 0, entry.message
