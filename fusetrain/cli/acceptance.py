"""What `train` says about a data set before it trains on it, or instead.

The checks are those of `check-data`; what is accepted is decided in `checks/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fusetrain.cli.console import stderr_console, visible
from fusetrain.cli.long_progress import long_progress
from fusetrain.config.schema import Config

if TYPE_CHECKING:
    from fusetrain.build import TrainingData
    from fusetrain.checks.audit import AuditReport
    from fusetrain.data.spec import DataSpec


def checked_data(
    spec: DataSpec,
    settings: Config,
    allowed: Sequence[str],
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> TrainingData:
    """Check the two splits that are trained on, print what is odd about them, and return them.

    Args:
        spec: The data set.
        settings: Of the training.
        allowed: Codes of findings that are accepted.
        meanwhile: Called again and again; what it raises ends the check.

    Raises:
        DataError: They hold what training would choke on.
    """
    from fusetrain import build

    report = _audited(spec, settings.train.imgsz, allowed=allowed, meanwhile=meanwhile)
    _print_remarks(report)
    data = build.open_data(settings, scans=report.scans)
    return replace(data, findings=dict(report.counts))


def _audited(
    spec: DataSpec, imgsz: int, *, allowed: Sequence[str], meanwhile: Callable[[], None]
) -> AuditReport:
    """Check the two splits that are trained on, and refuse what training would choke on."""
    from fusetrain.build import TRAINING_SPLITS
    from fusetrain.checks.acceptance import require_trainable
    from fusetrain.checks.audit import audit, require_acceptable

    require_acceptable(allowed)
    for line in (f"data: {spec.layout.sentence}", *spec.layout.notes):
        stderr_console().print(visible(line), markup=False, soft_wrap=True)
    with long_progress("checking", "measurements") as advance:

        def progress(done: int, total: int) -> None:
            advance(done, total)
            meanwhile()

        report = audit(spec, only_splits=TRAINING_SPLITS, imgsz=imgsz, progress=progress)
    require_trainable(report, spec, allowed)
    return report


def _print_remarks(report: AuditReport) -> None:
    """Print how many warnings there are, by code."""
    warned = {finding.code for finding in report.findings if finding.level in ("warn", "error")}
    if warned:
        counts = ", ".join(f"{code} x{report.counts[code]}" for code in sorted(warned))
        stderr_console().print(f"data: {counts} (see fusetrain check-data)", markup=False)
