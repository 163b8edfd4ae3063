"""Run all checks over the splits of a data set and sum up what they found.

The audit reads every image in full, in child processes, and never writes into the data set. What
each check looks for stands beside the check, their order in `judging.py`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fusetrain.checks.findings import CODES, Finding, finding
from fusetrain.checks.flow.judging import Evidence, judge
from fusetrain.checks.flow.kept import open_state
from fusetrain.checks.flow.label_pool import parallel_reader
from fusetrain.checks.flow.measuring import (
    Effort,
    Progress,
    compare_partners,
    look_through_window,
    measure_all,
)
from fusetrain.checks.flow.tasks import Registration, all_tasks, registration_tasks
from fusetrain.checks.images import PairFacts
from fusetrain.checks.registration.shifts import RegistrationFacts
from fusetrain.data.formats.coco_json import read_once
from fusetrain.data.index import SplitScan, scan_split
from fusetrain.data.spec import DataSpec, load_spec, yaml_in
from fusetrain.errors import DataError, Problem, UsageError

Verdict = Literal["ok", "warn", "error"]
Opened = Callable[[DataSpec], None]

# D and S findings are printed and never stop a training.
PLACE = re.compile(r"(.*?)(?::(\d+))?(?::(\d+))?", re.DOTALL)
REFUSING_KINDS = ("P", "I", "L")


@dataclass(frozen=True)
class AuditOptions:
    """What an audit measures and how it judges.

    Attributes:
        registration: Whose shift is measured: up to 200 pairs a split (sample), all, or off.
        max_shift_px: Shift within a pair that is an error, in px at a long side of 640 px.
        headers_only: Images are not decoded; registration must be off.
        state: Folder in which measurements are kept for the next time; None keeps nothing.
    """

    registration: Registration = "sample"
    max_shift_px: float = 10.0
    headers_only: bool = False
    state: Path | None = None


AS_USUAL = AuditOptions()


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        findings: Everything, ordered by level, code, split, path and line.
        num_pairs: Split name to the number of its pairs.
        scans: Split name to its scan, so that a training need not read names and labels again.
        facts: What every pair measures, in the order of the splits and their rows.
        registration: How far the pairs that were looked at are apart.
        layout: What the data set was recognised as, as one sentence.
        notes: What was chosen or left aside when it was recognised, a sentence each.
        path: The data YAML or folder that was given.
    """

    findings: tuple[Finding, ...]
    num_pairs: Mapping[str, int]
    scans: Mapping[str, SplitScan] = field(default_factory=dict, repr=False)
    facts: Sequence[PairFacts] = field(default=(), repr=False)
    registration: Sequence[RegistrationFacts] = field(default=(), repr=False)
    layout: str = ""
    notes: tuple[str, ...] = ()
    path: Path | None = None

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


@read_once()
def audit_path(
    path: Path,
    *,
    only_splits: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
    options: AuditOptions = AS_USUAL,
    opened: Opened | None = None,
    always_reports: bool = False,
) -> AuditReport:
    """Audit a data YAML or data-set folder; a YAML that cannot be used becomes findings (S04).

    So do, with ``always_reports``, lists and annotations that it names and that cannot be used.

    Args:
        path: The YAML or folder.
        only_splits: Splits to look at; all when empty.
        workers: Child processes; one a core when None.
        progress: Called with the number of measurements done and of all.
        options: What is measured and how it is judged.
        opened: Called with the data set before anything is measured.
        always_reports: A folder that is no data set, and a path with nothing, become findings too.

    Raises:
        DataError: There is nothing at the path or no data set in the folder, or it has no such
            split.
    """
    try:
        spec = load_spec(path)
    except DataError as error:
        is_foreign = not path.exists() or (path.is_dir() and yaml_in(path) is None)
        if is_foreign and not always_reports:
            raise
        return _unusable(error, path, as_a_whole=is_foreign)
    if opened is not None:
        opened(spec)
    effort = Effort(workers=workers, state=None, progress=progress)
    try:
        scans = scan_splits(spec, chosen_splits(spec, only_splits), workers=effort.num_workers)
    except DataError as error:
        if not always_reports:
            raise
        return _unusable(error, path)
    return audit(spec, scans=scans, workers=workers, progress=progress, options=options)


def audit(
    spec: DataSpec,
    *,
    only_splits: Sequence[str] = (),
    scans: Mapping[str, SplitScan] | None = None,
    workers: int | None = None,
    imgsz: int = 640,
    progress: Progress | None = None,
    options: AuditOptions = AS_USUAL,
) -> AuditReport:
    """Check pairs, images, labels and splits of a data set.

    Args:
        spec: The data set.
        only_splits: Splits to look at; all when empty.
        scans: Names and labels of the splits to look at, where they were read before.
        workers: Child processes; one a core when None.
        imgsz: Long side of the training canvas in px, by which tiny boxes are judged.
        progress: Called with the number of measurements done and of all.
        options: What is measured and how it is judged.

    Raises:
        DataError: The data set has no such split, or the state folder cannot be used.
    """
    state = options.state and open_state(options.state, root=spec.root)
    effort = Effort(workers=workers, state=state, progress=progress)
    if scans is None:
        scans = scan_splits(spec, chosen_splits(spec, only_splits), workers=effort.num_workers)
    indexes = [scan.index for scan in scans.values()]
    facts, registration = measure_all(
        all_tasks(indexes),
        registration_tasks(indexes, options.registration),
        headers_only=options.headers_only,
        effort=effort,
    )
    return report_on(
        spec,
        scans,
        facts=facts,
        registration=registration,
        imgsz=imgsz,
        options=options,
        effort=effort,
    )


def chosen_splits(spec: DataSpec, only_splits: Sequence[str]) -> tuple[str, ...]:
    """Return the splits to look at, each once; all when none is asked for."""
    return tuple(dict.fromkeys(only_splits)) or tuple(spec.splits)


@read_once()
def scan_splits(spec: DataSpec, names: Sequence[str], *, workers: int) -> dict[str, SplitScan]:
    """Return names and labels of some splits; labels of large ones are read in processes."""
    read = parallel_reader(workers)
    return {name: scan_split(spec, name, read=read) for name in names}


def report_on(
    spec: DataSpec,
    scans: Mapping[str, SplitScan],
    *,
    facts: Sequence[PairFacts],
    registration: Sequence[RegistrationFacts],
    imgsz: int,
    options: AuditOptions,
    effort: Effort,
) -> AuditReport:
    """Judge what was measured, here or elsewhere; some partners are compared once more."""
    evidence = Evidence(
        scans=scans,
        facts=facts,
        registration=registration,
        partners=compare_partners(registration, spec, effort=effort),
        windows=()
        if options.headers_only
        else look_through_window(spec, scans, facts, effort=effort),
        headers_only=options.headers_only,
        names_are_given=spec.names_are_given,
    )
    return AuditReport(
        judge(evidence, imgsz=imgsz, max_shift_px=options.max_shift_px),
        {name: len(scan.index) for name, scan in scans.items()},
        scans,
        facts=facts,
        registration=registration,
        layout=spec.layout.sentence,
        notes=spec.layout.notes,
        path=spec.path,
    )


def _unusable(error: DataError, path: Path, *, as_a_whole: bool = False) -> AuditReport:
    """Return the report on a set that cannot be read, one finding a fault, or one in all."""
    whole = Problem(error.what, error.where, error.expected)
    problems = error.problems if error.problems and not as_a_whole else (whole,)
    return AuditReport(tuple(_schema_finding(problem, path) for problem in problems), {}, path=path)


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
