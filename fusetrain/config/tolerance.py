"""How much a training puts up with before it ends: the limits behind its reactions to faults.

They are part of the `train` group of `schema.py` and stand here because they belong together. What
is done about each fault is told in docs/faults.md.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fusetrain.config.base import Settings

Seconds = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]


class ToleranceSettings(Settings):
    """Limits of what a training survives; all count faults, none changes an untroubled run."""

    max_bad_samples: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.01, description="Share of the pairs of a split that may be left out, rounded up."
    )
    io_retries: Count = Field(
        3, description="Rounds of reading a pair again after an I/O error that may pass."
    )
    worker_timeout: Seconds = Field(
        120.0, description="Seconds of silence after which a loader worker is replaced."
    )
    max_worker_restarts: Count = Field(
        3, description="Loader workers replaced in an epoch before reading goes on without."
    )
    max_skipped: AtLeastOne = Field(
        10, description="Steps skipped in a row, as not finite, before the run is rolled back."
    )
    max_rollbacks: Count = Field(3, description="Rollbacks before the run ends as diverged.")
    max_failed_saves: AtLeastOne = Field(
        3, description="Saves that fail in a row before the run ends."
    )
