"""Tell a root cause once: leave out findings that only follow from another one.

Whether a finding is right by itself is decided where it is made; here are no numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fusetrain.checks.findings import Finding

# Pictures in the wrong folder are judged as what they are not; strangers lie nowhere on each other.
CONSEQUENCES: Mapping[str, frozenset[str]] = {
    "P05": frozenset({"P10", "P13", "P14", "P16"}),
    "P07": frozenset({"P09"}),
}


def without_consequences(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in their order, without those that another one explains.

    A finding about a whole split explains those of all its files, one about a file those of it.
    """
    given = list(findings)
    explained = {
        (code, entry.split, entry.path)
        for entry in given
        for code in CONSEQUENCES.get(entry.code, ())
    }
    return [entry for entry in given if not explained & _explanations(entry)]


def _explanations(entry: Finding) -> set[tuple[str, str, str]]:
    """Return what would explain a finding: something about its split, or about its file."""
    return {(entry.code, entry.split, path) for path in ("", entry.path)}
