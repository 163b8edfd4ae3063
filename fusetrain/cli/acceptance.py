"""What `train` says about a data set before it trains on it, or instead.

The checks are those of `check-data`; what is accepted is decided in `checks/`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fusetrain.cli.console import stderr_console, visible
from fusetrain.cli.long_progress import long_progress
from fusetrain.config.schema import Config
from fusetrain.errors import DataError, Problem

if TYPE_CHECKING:
    from fusetrain.build import TrainingData
    from fusetrain.checks.audit import AuditReport
    from fusetrain.checks.findings import Finding
    from fusetrain.data.spec import DataSpec


def checked_data(spec: DataSpec, settings: Config, allowed: Sequence[str]) -> TrainingData:
    """Check the two splits that are trained on, print what is odd about them, and return them.

    Raises:
        DataError: They hold what training would choke on.
    """
    from fusetrain import build

    report = _audited(spec, settings.train.imgsz, allowed=allowed)
    _print_remarks(report)
    data = build.open_data(settings, scans=report.scans)
    return replace(data, findings=dict(report.counts))


def _audited(spec: DataSpec, imgsz: int, *, allowed: Sequence[str]) -> AuditReport:
    """Check the two splits that are trained on, and refuse what training would choke on."""
    from fusetrain.build import TRAINING_SPLITS
    from fusetrain.checks.audit import audit, require_acceptable

    require_acceptable(allowed)
    for line in (f"data: {spec.layout.sentence}", *spec.layout.notes):
        stderr_console().print(visible(line), markup=False, soft_wrap=True)
    with long_progress("checking", "measurements") as advance:
        report = audit(spec, only_splits=TRAINING_SPLITS, imgsz=imgsz, progress=advance)
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
    return report


def _problem(finding: Finding) -> Problem:
    where = finding.path if finding.line is None else f"{finding.path}:{finding.line}"
    return Problem(f"{finding.code} {finding.message}", where=where)


def _print_remarks(report: AuditReport) -> None:
    """Print how many warnings there are, by code."""
    warned = {finding.code for finding in report.findings if finding.level in ("warn", "error")}
    if warned:
        counts = ", ".join(f"{code} x{report.counts[code]}" for code in sorted(warned))
        stderr_console().print(f"data: {counts} (see fusetrain check-data)", markup=False)
