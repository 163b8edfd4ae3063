"""Checks over the splits of a set: which classes are rare, missing or never used.

Pictures that stand in a set more than once are the business of `duplicates.py` and `leakage.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.data.index import SplitScan
from fusetrain.data.labels import outside_names

IMBALANCE = 50.0


def check_classes(scans: Sequence[SplitScan], *, names_are_given: bool = True) -> list[Finding]:
    """S01, S02, S03, S05: classes that are rare, absent from a split, never used, or one twice.

    Args:
        scans: All splits that are checked.
        names_are_given: Someone wrote the names down; else a class without boxes is only a gap
            between the numbers that the labels use, or a class of other splits.
    """
    if not scans:
        return []
    names = scans[0].index.class_names
    counts = np.array([np.bincount(s.index.box_classes, minlength=len(names)) for s in scans])
    total = counts.sum(axis=0)
    if not total.any():
        return []
    found = _one_twice(names, total)
    unused = np.flatnonzero(total == 0) if names_are_given else np.zeros(0, np.int64)
    for number in unused:
        shift = "" if number else _one_too_many(scans, names)
        found.append(finding("S03", f"no box has class {_class_word(number, names)}{shift}"))
    counts_from_one = len(names) > 1 and not total[0] and total[1:].all()
    if counts_from_one and not names_are_given:
        message = f"classes are numbered 1 to {len(names) - 1}, and none is 0: a class too many"
        found.append(finding("S03", message, level="info"))
    for scan, row in zip(scans, counts, strict=True):
        for number in np.flatnonzero((row == 0) & (total > 0)):
            message = f"no box has class {_class_word(number, names)}"
            found.append(finding("S01", message, split=scan.index.split))
    used = np.flatnonzero(total)
    most, least = used[total[used].argmax()], used[total[used].argmin()]
    if total[most] > IMBALANCE * total[least]:
        message = f"{total[most]} boxes of {names[most]}, {total[least]} of {names[least]}"
        ratio = float(total[most] / total[least])
        found.append(finding("S02", message, numbers={"ratio": round(ratio, 2)}))
    return found


def _one_too_many(scans: Sequence[SplitScan], names: Sequence[str]) -> str:
    """Return what speaks for classes that are counted from 1, as the end of a sentence."""
    beyond = outside_names(len(names), len(names))
    problems = [problem for scan in scans for problem in scan.label_problems]
    count = sum(problem.message == beyond for problem in problems if problem.code == "L02")
    if not count:
        return ""
    lines = "1 line has" if count == 1 else f"{count} lines have"
    return f", and {lines} class {len(names)}: counted from 1? Then each number is one too high"


def _one_twice(names: Sequence[str], total: NDArray[np.int64]) -> list[Finding]:
    """Return the names that differ only in case or blanks, and so may mean one class."""
    alike: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        alike.setdefault(" ".join(name.casefold().split()), []).append(number)
    found = []
    for numbers in alike.values():
        if len(numbers) > 1:
            shown = ", ".join(f"{names[number]!r} ({total[number]} boxes)" for number in numbers)
            found.append(finding("S05", f"one class or several? {shown}"))
    return found


def _class_word(number: int | np.integer[Any], names: Sequence[str]) -> str:
    """Return the number of a class with its name; the number alone where that is its name."""
    name = names[int(number)]
    return f"{number}" if name == str(number) else f"{number} ({name})"
