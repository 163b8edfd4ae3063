"""What becomes of a training whose data set has errors: it is refused, unless they are accepted.

Which findings refuse is told in `audit.py`; this file says it to the user.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.findings import Finding
from fusetrain.data.spec import DataSpec
from fusetrain.errors import DataError, Problem


def require_trainable(report: AuditReport, spec: DataSpec, allowed: Collection[str]) -> None:
    """Check that an audit found nothing that training would choke on.

    Args:
        report: The audit of the splits that are trained on.
        spec: The data set.
        allowed: Codes of findings that are accepted.

    Raises:
        DataError: It did; all of it is named.
    """
    refusals = report.refusals(allowed)
    if refusals:
        errors = "1 error" if len(refusals) == 1 else f"{len(refusals)} errors"
        shown = shlex.quote(str(spec.path))
        raise DataError(
            f"training is refused: {errors} in the data set",
            where=str(spec.path),
            problems=[_problem(finding) for finding in refusals],
            remedy=f"`fusetrain check-data {shown}` lists all; --allow CODE accepts one kind",
        )


def _problem(finding: Finding) -> Problem:
    where = finding.path if finding.line is None else f"{finding.path}:{finding.line}"
    return Problem(f"{finding.code} {finding.message}", where=where)
