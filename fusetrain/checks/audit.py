"""Run all checks over the splits of a data set and sum up what they found.

The audit reads every image in full, in child processes, and writes nothing. What each check looks
for stands beside the check; this file knows only in which order they run.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fusetrain.checks import labels, pairs, splits
from fusetrain.checks.findings import CODES, LEVELS, Finding, finding
from fusetrain.checks.images import PairFacts, PairTask, crashed_pair, measure_pair
from fusetrain.checks.pool import default_workers, run_contained
from fusetrain.data.index import SplitScan, scan_split
from fusetrain.data.spec import DataSpec, load_spec
from fusetrain.errors import DataError, Problem, UsageError

Verdict = Literal["ok", "warn", "error"]
Progress = Callable[[int, int], None]

SCAN_CHECKS: tuple[Callable[[SplitScan], list[Finding]], ...] = (
    pairs.check_partners,
    labels.check_lines,
    labels.check_missing,
    labels.check_empty,
    labels.check_whole_image,
    labels.check_duplicates,
)
PAIR_CHECKS: tuple[Callable[[PairFacts], list[Finding]], ...] = (
    pairs.check_aspect,
    pairs.check_copy,
    pairs.check_pseudo_colour,
    pairs.check_blank,
)
SPLIT_CHECKS: tuple[Callable[[Sequence[PairFacts]], list[Finding]], ...] = (
    pairs.check_swapped,
    pairs.check_bit_depth,
)
# D and S findings are printed and never stop a training.
PLACE = re.compile(r"(.*?)(?::(\d+))?(?::(\d+))?", re.DOTALL)
REFUSING_KINDS = ("P", "I", "L")


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        findings: Everything, ordered by level, code, split, path and line.
        num_pairs: Split name to the number of its pairs.
        scans: Split name to its scan, so that a training need not read names and labels again.
    """

    findings: tuple[Finding, ...]
    num_pairs: Mapping[str, int]
    scans: Mapping[str, SplitScan] = field(default_factory=dict, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """Return how often each code was found, in the order of the table of codes."""
        counted = Counter(entry.code for entry in self.findings)
        return {code: counted[code] for code in CODES if counted[code]}

    @property
    def verdict(self) -> Verdict:
        """Return the worst level found; remarks (info) are fine."""
        levels = {entry.level for entry in self.findings}
        if "error" in levels:
            return "error"
        return "warn" if "warn" in levels else "ok"

    def refusals(self, allowed: Iterable[str] = ()) -> list[Finding]:
        """Return the errors of the kinds P, I and L that a training must not start with.

        Args:
            allowed: Codes that the user accepts.

        Raises:
            UsageError: A code is not known, or is never accepted (unreadable files and labels).
        """
        accepted = require_acceptable(allowed)
        return [
            entry
            for entry in self.findings
            if entry.level == "error"
            and entry.code[0] in REFUSING_KINDS
            and entry.code not in accepted
        ]


def require_acceptable(codes: Iterable[str]) -> set[str]:
    """Return codes that a user accepts.

    Raises:
        UsageError: A code is not known, or is never accepted (unreadable files and labels).
    """
    accepted = set(codes)
    for code in sorted(accepted):
        if code not in CODES:
            raise UsageError(f"--allow {code}: no such code", expected=", ".join(CODES))
        if CODES[code].blocks:
            raise UsageError(
                f"--allow {code}: {CODES[code].meaning} is never accepted",
                remedy=CODES[code].remedy,
            )
    return accepted


def audit_path(
    path: Path,
    *,
    only_splits: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit a data YAML or data-set folder; a YAML that cannot be used becomes findings (S04).

    Raises:
        DataError: There is nothing at the path, or it has no such split.
    """
    if not path.exists():
        load_spec(path)  # raises with the remedy
    try:
        spec = load_spec(path)
    except DataError as error:
        return AuditReport(_schema_findings(error, path), {})
    return audit(spec, only_splits=only_splits, workers=workers, progress=progress)


def audit(
    spec: DataSpec,
    *,
    only_splits: Sequence[str] = (),
    workers: int | None = None,
    imgsz: int = 640,
    progress: Progress | None = None,
) -> AuditReport:
    """Check pairs, images, labels and splits of a data set.

    Args:
        spec: The data set.
        only_splits: Splits to look at; all when empty.
        workers: Child processes; one a core when None.
        imgsz: Long side of the training canvas in px, by which tiny boxes are judged.
        progress: Called with the number of pairs done and of all pairs.

    Raises:
        DataError: The data set has no such split.
    """
    names = tuple(dict.fromkeys(only_splits)) or tuple(spec.splits)
    scans = {name: scan_split(spec, name) for name in names}
    facts = _measure(tuple(scans.values()), workers=workers, progress=progress)
    found = [entry for scan in scans.values() for check in SCAN_CHECKS for entry in check(scan)]
    found += [entry for fact in facts for entry in fact.findings]
    found += [entry for check in PAIR_CHECKS for fact in facts for entry in check(fact)]
    for name, scan in scans.items():
        own = [fact for fact in facts if fact.split == name]
        found += [entry for check in SPLIT_CHECKS for entry in check(own)]
        sizes_hw = {fact.row: fact.rgb.size_hw for fact in own if fact.rgb is not None}
        found += labels.check_tiny_boxes(scan, sizes_hw, imgsz=imgsz)
    found += splits.check_classes(tuple(scans.values()))
    found += splits.check_repeated_files(facts)
    return AuditReport(
        tuple(sorted(found, key=_order)),
        {name: len(scan.index) for name, scan in scans.items()},
        scans,
    )


def _measure(
    scans: Sequence[SplitScan], *, workers: int | None, progress: Progress | None
) -> list[PairFacts]:
    """Decode and measure every pair, in the order of the splits and their rows."""
    tasks = [
        PairTask(scan.index.root, scan.index.split, row, rgb_path, ir_path)
        for scan in scans
        for row, (rgb_path, ir_path) in enumerate(scan.pairing.pairs)
    ]
    facts = []
    for fact in run_contained(
        measure_pair, tasks, crashed=crashed_pair, workers=workers or default_workers()
    ):
        facts.append(fact)
        if progress is not None:
            progress(len(facts), len(tasks))
    return facts


def _schema_findings(error: DataError, path: Path) -> tuple[Finding, ...]:
    problems = error.problems or (Problem(error.what, error.where, error.expected),)
    return tuple(_schema_finding(problem, path) for problem in problems)


def _schema_finding(problem: Problem, path: Path) -> Finding:
    """Return one fault of a data YAML; the place becomes path and line."""
    file, line, column = PLACE.fullmatch(problem.where).groups(default="")  # type: ignore[union-attr]
    message = f"column {column}: {problem.message}" if column else problem.message
    return finding(
        "S04",
        f"{message}; {problem.hint}" if problem.hint else message,
        path=os.path.relpath(file, path if path.is_dir() else path.parent) if file else "",
        line=int(line) if line else None,
    )


def _order(entry: Finding) -> tuple[int, int, str, str, int, str]:
    level, code = LEVELS.index(entry.level), list(CODES).index(entry.code)
    return level, code, entry.split, entry.path, entry.line or 0, entry.message
