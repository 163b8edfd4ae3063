"""Turn an audit into what is shown: groups of findings, sentences, one object for JSON.

Nothing is judged here and nothing is printed; whoever shows the strings escapes and lays them out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.findings import CODES, LEVELS, Finding, Level
from fusetrain.checks.registration.shifts import RegistrationFacts

DOCUMENT = "docs/check-data.md"
NUMBER = re.compile(r"\d+(?:\.(\d+))?")


@dataclass(frozen=True)
class FindingGroup:
    """The findings of one code at one level.

    Attributes:
        level: error, warn or info.
        code: Key of CODES.
        findings: At least one, ordered by split, path and line.
    """

    level: Level
    code: str
    findings: Sequence[Finding]

    @property
    def meaning(self) -> str:
        """Return what the code stands for, as one line."""
        return CODES[self.code].meaning

    @property
    def remedy(self) -> str:
        """Return what the user can do."""
        return CODES[self.code].remedy


def grouped(report: AuditReport) -> list[FindingGroup]:
    """Return the findings by level and code, the worst first."""
    return [
        FindingGroup(level, code, tuple(entries))
        for (level, code), entries in groupby(
            report.findings, key=lambda entry: (entry.level, entry.code)
        )
    ]


def place(entry: Finding) -> str:
    """Return ``path:line`` of a finding, or its split where it concerns no file."""
    where = entry.path or entry.split or "all splits"
    return f"{where}:{entry.line}" if entry.line is not None else where


def untold_numbers(entry: Finding) -> str:
    """Return the numbers of a finding that its message does not tell, as ``name 0.123, …``."""
    told = [(float(match[0]), len(match[1] or "")) for match in NUMBER.finditer(entry.message)]
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in entry.numbers.items()
        if not any(round(abs(value) * unit, d) == t for t, d in told for unit in (1, 100))
    )


def documentation(code: str) -> str:
    """Return where a code is explained."""
    return f"{DOCUMENT}#{code.lower()}"


def to_json(report: AuditReport) -> dict[str, Any]:
    """Return the audit as `check-data --json` prints it: every finding, paths below the root.

    The keys are described in docs/check-data.schema.json; they may only grow.
    """
    return {
        "verdict": report.verdict,
        "layout": report.layout,
        "notes": list(report.notes),
        "pairs": dict(report.num_pairs),
        "counts": report.counts,
        "registration": registration_summary(report.registration),
        "findings": [_json_finding(entry) for entry in report.findings],
    }


def registration_summary(facts: Sequence[RegistrationFacts]) -> dict[str, dict[str, Any]]:
    """Return by split how many pairs were measured, how many surely, and how far they are apart.

    Shifts are medians over the sure pairs, in px at a long side of 640 px, None where no pair is
    sure; ``mad_px`` is the median distance of a pair from the median shift.
    """
    by_split: dict[str, list[RegistrationFacts]] = {}
    for fact in facts:
        by_split.setdefault(fact.split, []).append(fact)
    return {split: _shift_summary(entries) for split, entries in by_split.items()}


def verdict_line(report: AuditReport) -> str:
    """Return one sentence: how many pairs, how many findings of each level."""
    pairs = ", ".join(
        f"{_counted(count, 'pair')} in {split}" for split, count in report.num_pairs.items()
    )
    levels = [entry.level for entry in report.findings]
    counts = ", ".join(
        _counted(levels.count(level), name)
        for level, name in zip(LEVELS, ("error", "warning", "remark"), strict=True)
    )
    return f"{report.verdict}: {pairs or 'no pairs'}; {counts}"


def training_lines(report: AuditReport) -> list[str]:
    """Return whether `train` would start, what it would accept, and the command to type next.

    Nothing is returned where there is nothing to train on and nothing to mend first.
    """
    data = _data_word(report)
    refused = dict.fromkeys(entry.code for entry in report.refusals())
    if "S04" in report.counts:
        return [f"next: mend {data}, then `fusetrain check-data {data}`"]
    if not refused:
        can_train = {"train", "val"} <= set(report.num_pairs)
        train = report.scans.get("train")
        if can_train and train is not None and not len(train.index.boxes):
            return [
                "no pair of train has a box: a training would learn nothing",
                f"next: add labels, then `fusetrain check-data {data}`",
            ]
        return [f"next: fusetrain train --config FILE --data {data}"] if can_train else []
    never = [code for code in refused if CODES[code].blocks]
    accepts = f"`--allow CODE` accepts one kind{', never ' if never else ''}{', '.join(never)}"
    return [
        f"train refuses this set because of {', '.join(refused)}; {accepts}",
        f"next: mend these, then `fusetrain check-data {data}`",
    ]


def pictures_line(report: AuditReport) -> str:
    """Return the command that shows the flagged pairs."""
    return f"next: `fusetrain check-data {_data_word(report)} --html FILE` shows the pairs"


def _data_word(report: AuditReport) -> str:
    return shlex.quote(str(report.path)) if report.path else "DATA"


def _json_finding(entry: Finding) -> dict[str, Any]:
    return {
        "code": entry.code,
        "level": entry.level,
        "split": entry.split,
        "path": entry.path,
        "line": entry.line,
        "message": entry.message,
        "numbers": dict(entry.numbers),
        "remedy": entry.remedy,
        "docs": documentation(entry.code),
    }


def _shift_summary(facts: Sequence[RegistrationFacts]) -> dict[str, Any]:
    shifts = np.array(
        [
            (fact.dx_px, fact.dy_px)
            for fact in facts
            if fact.is_sure and fact.dx_px is not None and fact.dy_px is not None
        ],
        np.float64,
    ).reshape(-1, 2)
    summary: dict[str, Any] = {"pairs": len(facts), "sure": len(shifts)}
    if not len(shifts):
        return {**summary, "dx_px": None, "dy_px": None, "mad_px": None}
    middle = np.median(shifts, axis=0)
    spread = float(np.median(np.hypot(*(shifts - middle).T)))
    dx, dy, mad = (round(float(value), 2) for value in (*middle, spread))
    return {**summary, "dx_px": dx, "dy_px": dy, "mad_px": mad}


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
