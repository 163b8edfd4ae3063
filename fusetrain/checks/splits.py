"""Checks over the splits of a set: classes, and files that stand in it more than once.

Near duplicates and neighbouring frames are not looked for here; these checks compare whole files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.images import PairFacts
from fusetrain.data.index import SplitScan

IMBALANCE = 50.0


def check_classes(scans: Sequence[SplitScan]) -> list[Finding]:
    """S01, S02, S03: which classes are rare, absent from a split, or never used."""
    if not scans:
        return []
    names = scans[0].index.class_names
    counts = np.array([np.bincount(s.index.box_classes, minlength=len(names)) for s in scans])
    total = counts.sum(axis=0)
    if not total.any():
        return []
    found = [
        finding("S03", f"no box has class {number} ({names[number]})")
        for number in np.flatnonzero(total == 0)
    ]
    for scan, row in zip(scans, counts, strict=True):
        for number in np.flatnonzero((row == 0) & (total > 0)):
            message = f"no box has class {number} ({names[number]})"
            found.append(finding("S01", message, split=scan.index.split))
    used = np.flatnonzero(total)
    most, least = used[total[used].argmax()], used[total[used].argmin()]
    if total[most] > IMBALANCE * total[least]:
        message = f"{total[most]} boxes of {names[most]}, {total[least]} of {names[least]}"
        ratio = float(total[most] / total[least])
        found.append(finding("S02", message, numbers={"ratio": round(ratio, 2)}))
    return found


def check_repeated_files(facts: Sequence[PairFacts]) -> list[Finding]:
    """D01, D04: visible and infrared files with the very same bytes, in a split or across."""
    groups: dict[bytes, list[tuple[str, str]]] = defaultdict(list)
    for fact in facts:
        for image, path in ((fact.rgb, fact.rgb_path), (fact.ir, fact.ir_path)):
            if image is not None:
                groups[image.sha256].append((fact.split, path))
    found = []
    for places in groups.values():
        first_split, first_path = places[0]
        for split, path in places[1:]:
            if path == first_path and split == first_split:
                continue
            code = "D01" if split == first_split else "D04"
            message = f"same bytes as {first_path} ({first_split})"
            found.append(finding(code, message, split=split, path=path))
    return found
