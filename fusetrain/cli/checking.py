"""What `check-data` was asked for: flags that contradict each other, and how a stop is told.

The flags themselves stand in `data.py`, the audit in `fusetrain.checks`.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from fusetrain.cli.console import stderr_console, visible
from fusetrain.cli.long_progress import long_progress
from fusetrain.errors import AbortedError, StoppedError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from fusetrain.checks.audit import AuditOptions, AuditReport
    from fusetrain.checks.flow.tasks import Registration
    from fusetrain.data.spec import DataSpec

UNITS = "measurements"


@dataclass(frozen=True)
class Request:
    """The flags of `check-data` that say what to measure and how to judge.

    Attributes:
        data: Data YAML or folder.
        splits: Splits to look at; all when empty.
        workers: Child processes; None is one a core.
        registration: sample, all or off; None is sample, or what shards were measured with.
        max_shift_px: Shift that is an error, px.
        headers_only: Images are not decoded.
        state: Folder that keeps measurements; None keeps nothing.
        html: Page to write; None writes none.
    """

    data: Path
    splits: tuple[str, ...]
    workers: int | None
    registration: str | None
    max_shift_px: float
    headers_only: bool
    state: Path | None
    html: Path | None

    def check(self) -> None:
        """Refuse values and combinations that make no sense.

        Raises:
            UsageError: There is one.
        """
        from fusetrain.checks.flow.tasks import Registration

        modes = get_args(Registration)
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers {self.workers}", expected="a whole number from 1")
        if self.registration is not None and self.registration not in modes:
            raise UsageError(f"--registration {self.registration}", expected=", ".join(modes))
        if not (math.isfinite(self.max_shift_px) and self.max_shift_px > 0):
            raise UsageError(f"--max-shift {self.max_shift_px:g}", expected="px, more than 0")
        if self.headers_only and self.registration in ("sample", "all"):
            raise UsageError(
                f"--headers-only with --registration {self.registration}",
                expected="one of the two: registration needs the pixels",
            )

    @property
    def mode(self) -> Registration:
        """Return whose registration is measured."""
        default = "off" if self.headers_only else "sample"
        return self.registration or default  # type: ignore[return-value]

    @property
    def options(self) -> AuditOptions:
        """Return what the audit measures and how it judges."""
        from fusetrain.checks.audit import AuditOptions

        return AuditOptions(self.mode, self.max_shift_px, self.headers_only, self.state)

    def opened(self, spec: DataSpec, console: Console | None = None) -> None:
        """Say what the set was recognised as; refuse a page that would lie in it."""
        if self.html is not None:
            from fusetrain.checks.page.html import require_html_path

            require_html_path(self.html, roots=[spec.root])
        lines = [f"recognised: {spec.layout.sentence}", *spec.layout.notes]
        if self.headers_only:
            lines.append("headers only: images are not decoded, checks of pixels are left out")
        shown = console or stderr_console()
        for line in lines:
            shown.print(visible(line), markup=False, soft_wrap=True)


def run_audit(request: Request, *, always_reports: bool) -> AuditReport:
    """Measure and judge everything here."""
    from fusetrain.checks.audit import audit_path

    with _stoppable(request.state), long_progress("checking", UNITS) as advance:
        return audit_path(
            request.data,
            only_splits=request.splits,
            workers=request.workers,
            progress=advance,
            options=request.options,
            opened=partial(request.opened, console=advance.console),
            always_reports=always_reports,
        )


def run_shard(request: Request, shard: str, *, out: Path | None) -> tuple[Path, int]:
    """Measure one part; return the file with what was measured, and how many pairs."""
    from fusetrain.checks.flow.shards import Shard, write_shard

    if request.html is not None:
        raise UsageError("--html with --shard", expected="--html where the shards are merged")
    part = Shard.parse(shard)
    file = out or part.default_file
    with _stoppable(request.state), long_progress(f"shard {part}", UNITS) as advance:
        num_pairs = write_shard(
            request.data,
            part,
            out=file,
            only_splits=request.splits,
            workers=request.workers,
            progress=advance,
            options=request.options,
            opened=partial(request.opened, console=advance.console),
        )
    return file, num_pairs


def run_merge(request: Request, folder: Path) -> AuditReport:
    """Judge what shards measured."""
    from fusetrain.checks.flow.shards import merge_shards

    if request.state is not None:
        raise UsageError("--state with --merge", expected="--state where the shards are measured")
    with _stoppable(None):
        return merge_shards(
            request.data,
            folder,
            only_splits=request.splits,
            registration=request.mode if request.registration else None,
            headers_only=request.headers_only,
            max_shift_px=request.max_shift_px,
            workers=request.workers,
            opened=request.opened,
        )


@contextmanager
def _stoppable(state: Path | None) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into a clean end that says whether one can go on.

    Raises:
        StoppedError: A signal came, and what was measured is kept.
        AbortedError: A signal came, and nothing is kept.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if is_main else None
    try:
        yield
    except KeyboardInterrupt:
        if state is not None:
            raise StoppedError(
                "stopped before the end; what was measured is kept",
                where=str(state),
                remedy="the same command goes on from there",
            ) from None
        raise AbortedError(
            "stopped before the end; nothing is kept",
            remedy="--state DIR keeps what was measured, so that the next check goes on from there",
        ) from None
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)
