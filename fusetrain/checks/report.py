"""Turn an audit into what is shown: rows for tables, lines of examples, one object for JSON.

Nothing is judged here and nothing is printed; the command line escapes the strings and lays them
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.findings import CODES, LEVELS, Finding

MAX_EXAMPLES = 5


def to_json(report: AuditReport) -> dict[str, Any]:
    """Return the audit as `check-data --json` prints it: every finding, paths below the root."""
    return {
        "verdict": report.verdict,
        "pairs": dict(report.num_pairs),
        "counts": report.counts,
        "findings": [
            {
                "code": entry.code,
                "level": entry.level,
                "split": entry.split,
                "path": entry.path,
                "line": entry.line,
                "message": entry.message,
                "numbers": dict(entry.numbers),
                "remedy": entry.remedy,
            }
            for entry in report.findings
        ],
    }


def code_rows(report: AuditReport) -> list[tuple[str, str, int, str]]:
    """Return level, code, count and meaning of each code found, the worst first."""
    return [
        (level, code, len(list(group)), CODES[code].meaning)
        for (level, code), group in groupby(report.findings, key=_group)
    ]


def example_lines(report: AuditReport) -> Iterator[tuple[str, str]]:
    """Yield, for each code, ``path:line: message`` of its first findings and its remedy."""
    for (_, code), group in groupby(report.findings, key=_group):
        entries = list(group)
        for entry in entries[:MAX_EXAMPLES]:
            yield code, f"{_place(entry)}: {entry.message}"
        if len(entries) > MAX_EXAMPLES:
            yield code, f"… and {len(entries) - MAX_EXAMPLES} more (all of them with --json)"
        yield code, f"next: {CODES[code].remedy}"


def verdict_line(report: AuditReport) -> str:
    """Return one sentence: how many pairs, how many findings of each level."""
    pairs = ", ".join(f"{count} pairs in {split}" for split, count in report.num_pairs.items())
    levels = [entry.level for entry in report.findings]
    counts = ", ".join(
        f"{levels.count(level)} {name}"
        for level, name in zip(LEVELS, ("errors", "warnings", "remarks"), strict=True)
    )
    return f"{report.verdict}: {pairs or 'no pairs'}; {counts}"


def _group(entry: Finding) -> tuple[str, str]:
    return entry.level, entry.code


def _place(entry: Finding) -> str:
    place = entry.path or entry.split or "all splits"
    return f"{place}:{entry.line}" if entry.line is not None else place
